// Gradient flow: how strongly the end of the text still depends on what was in the memory after each word.

import { asker } from "./api.js";
import { stroke, WordChart } from "./charts.js";
import { power, unbroken } from "./numbers.js";
import { isGru, place, state, when, words } from "./state.js";

const WAIT = 150; // milliseconds without a key before it is computed: matrices are multiplied for every word
const NAMES = { gru: "this GRU", rnn_tanh: "this RNN (tanh)", rnn_relu: "this RNN (relu)" };

const ask = asker("flow", document.getElementById("flow"));
let chart;
let told = null;
let timer = 0;

export function start() {
  if (!state.facts.gates.length) return;
  document.getElementById("flow").hidden = false;
  document.getElementById("flow-hint").textContent = isGru()
    ? "How much the memory at the end would change with the memory after each word. Beside the GRU: the vanilla RNN that it " +
      "becomes without gates, with the same candidate weights (r = 1 and z = 0 everywhere), reading the same text."
    : "How much the memory at the end would change with the memory after each word.";
  chart = new WordChart(document.getElementById("flow-plot"), 240, layout);
  when(["source", "layer", "reverse"], () => {
    clearTimeout(timer);
    timer = setTimeout(() => ask(place(), receive), WAIT);
  });
  when(["told"], show);
}

function receive(answer) {
  told = answer;
  show();
}

function show() {
  if (told?.this.log_norm.length !== words().length) return; // the words come with another answer
  const curves = [told.vanilla, told.this].filter(Boolean);
  chart.show(curves.map((curve) => curve.log_norm), "flow");
  document.getElementById("flow-note").replaceChildren(...curves.reverse().map(line));
}

const name = (curve) => (curve === told.vanilla ? "the RNN without gates" : (NAMES[state.facts.cell.split(" ")[0]] ?? "this network"));

function line(curve) {
  const item = document.createElement("li");
  item.className = curve === told.vanilla ? "vanilla" : "this";
  item.append(Object.assign(document.createElement("b"), { textContent: name(curve) }), ` ${unbroken(curve.verdict)}`);
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
