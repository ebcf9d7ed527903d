// Asks what the model is, then starts every part of the page.

import { fetchJson, report } from "./api.js";
import { start as startBeside } from "./beside.js";
import { start as startFlow } from "./flow.js";
import { start as startMap } from "./heatmap.js";
import { start as startNames } from "./naming.js";
import { start as startPictures } from "./picture.js";
import { start as startSource } from "./source.js";
import { set, state } from "./state.js";
import { start as startStepper } from "./stepper.js";
import { start as startStream } from "./stream.js";
import { start as startUnit } from "./unit.js";
import { start as startWords } from "./words.js";

function describe({ name, title, layers, directions, units, parameters }) {
  const size = layers ? `${layers} layer${layers > 1 ? "s" : ""} of ${units} units${directions > 1 ? ", both directions" : ""}` : "";
  return [name, title, size, `${parameters.toLocaleString("en")} parameters`].filter(Boolean).join(" · ");
}

try {
  const facts = await fetchJson("model");
  set({ facts, layer: Math.max(0, facts.layers - 1), label: facts.labels.length === 2 ? 1 : 0 });
  document.getElementById("facts").textContent = describe(facts);
  document.title = `${facts.name} · tidegate`;
  for (const start of [startWords, startMap, startStream, startFlow, startUnit, startStepper, startNames, startPictures, startSource]) start();
  await startBeside();
  document.documentElement.dataset.ready = state.facts.kind;
} catch (error) {
  report("model", error.message);
}
