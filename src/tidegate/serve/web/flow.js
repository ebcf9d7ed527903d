// Gradient flow: how strongly the end of the text still depends on what was in the memory after each word.

import { asker } from "./api.js";
import { stroke, WordChart } from "./charts.js";
import { spoken } from "./naming.js";
import { power, unbroken } from "./numbers.js";
import { place, state, when, words } from "./state.js";

const WAIT = 150; // milliseconds without a key before it is computed: matrices are multiplied for every word
const EVERY = "How much the memory at the end would change with the memory after each word.";

const ask = asker("flow", document.getElementById("flow"));
let chart;
let curves = null; // the answer of /api/flow
let timer = 0;

export function start() {
  if (!state.facts.maps.length) return;
  document.getElementById("flow").hidden = false;
  document.getElementById("flow-hint").textContent = EVERY;
  chart = new WordChart(document.getElementById("flow-plot"), 240, layout);
  when(["source", "layer", "reverse"], () => {
    clearTimeout(timer);
    timer = setTimeout(() => ask(place(), receive), WAIT);
  });
  when(["account"], show);
}

function receive(answer) {
  curves = answer;
  show();
}

function show() {
  if (curves?.this.log_norm.length !== words().length) return; // the words come with another answer
  const { kind } = state.facts;
  document.getElementById("flow-hint").textContent = spoken(
    curves.vanilla
      ? `${EVERY} Beside it stands the vanilla RNN that this ${kind} becomes with its gates off, with the same candidate weights, reading the same text.`
      : EVERY,
  );
  const both = [curves.vanilla, curves.this].filter(Boolean);
  chart.show(both.map((curve) => curve.log_norm), "flow");
  document.getElementById("flow-note").replaceChildren(...both.reverse().map(line));
}

function line(curve) {
  const item = document.createElement("li");
  item.className = curve === curves.vanilla ? "vanilla" : "this";
  const name = curve === curves.vanilla ? "the RNN without gates" : `this ${state.facts.kind}`;
  item.append(Object.assign(document.createElement("b"), { textContent: name }), ` ${unbroken(curve.verdict)}`);
  return item;
}

function layout(shown) {
  const both = shown.series.length === 2;
  const points = { show: (plot) => plot.data[0].length < 2 };
  const vanilla = { stroke: stroke("--against-strong"), width: 2, dash: [6, 4], points };
  return {
    series: [...(both ? [vanilla] : []), { stroke: stroke("--for-strong"), width: 2.5, points }],
    range: (_, low, high) => (low === null ? [-1, 1] : [Math.min(low, -1) - 0.2, Math.max(high, 1) + 0.2]),
    y: { values: (_, at) => at.map((log) => (Number.isInteger(log) ? power(log) : "")), size: 54 },
  };
}
