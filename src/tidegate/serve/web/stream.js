// The ledger as a stream: how much of each word's deposit is in the memory after each word.

import { asker } from "./api.js";
import { BANDS, css } from "./colours.js";
import { WordChart } from "./charts.js";
import { distinct, quoted, shorten, spoken } from "./naming.js";
import { percent } from "./numbers.js";
import { keeps, place, state, when, words } from "./state.js";

const ask = asker("ledger", document.getElementById("ledger"));
const note = document.getElementById("stream-note");
let chart;
let bands = null; // the answer of /api/ledger

export function start() {
  if (!keeps()) return;
  document.getElementById("ledger").hidden = false;
  chart = new WordChart(document.getElementById("stream"), 300, layout);
  when(["source", "layer", "reverse"], () => ask(place(), receive));
  when(["account"], show);
  when(["step"], () => describe(state.step));
}

function receive(answer) {
  bands = answer;
  show();
}

/** Lays the bands on each other, all other words first, around a middle line. */
function show() {
  if (bands?.amounts[0].length !== words().length) return; // the words come with another answer
  const layers = [bands.amounts.at(-1), ...bands.amounts.slice(0, -1)];
  let edge = layers[0].map((_, t) => -layers.reduce((sum, row) => sum + row[t], 0) / 2);
  const edges = [edge];
  for (const row of layers) edges.push((edge = edge.map((y, t) => y + row[t])));
  chart.show(edges, `stream${bands.top.length}`);
  describe(state.step);
}

function layout() {
  const colours = ["--line", ...BANDS].map((colour) => () => (colour.startsWith("--") ? css(colour) : colour));
  const path = globalThis.uPlot.paths.spline();
  return {
    series: Array.from({ length: bands.top.length + 2 }, () => ({ stroke: () => css("--card"), width: 1, paths: path, points: { show: false } })),
    bands: Array.from({ length: bands.top.length + 1 }, (_, i) => ({ series: [i + 2, i + 1], fill: colours[i] })),
    y: { show: false },
    cursor: { points: { show: false } },
    range: (_, low, high) => [low * 1.02, high * 1.02],
    draw: label,
    hover: (t) => describe(t ?? state.step),
  };
}

/** Writes each word where its band is thickest. */
function label(plot) {
  const { ctx, data } = plot;
  const ratio = devicePixelRatio;
  const y = (edge, t) => plot.valToPos(data[edge][t], "y", true);
  const sizes = bands.amounts.map((_, i) => {
    const thickness = data[0].map((t) => y(i + 1, t) - y(i + 2, t));
    const size = Math.max(...thickness);
    return { i, size, at: thickness.indexOf(size) };
  });
  const taken = [];
  ctx.save();
  Object.assign(ctx, { textAlign: "center", textBaseline: "middle", lineJoin: "round", lineWidth: 4 * ratio });
  for (const { i, size, at } of sizes.sort((a, b) => b.size - a.size)) {
    const height = Math.min(14 * ratio, size * 0.8);
    if (height < 9 * ratio) break;
    const text = i ? shorten(distinct(bands.top[i - 1]), 16) : spoken("all other words");
    ctx.font = `${height}px system-ui, sans-serif`;
    const half = ctx.measureText(text).width / 2 + 4 * ratio;
    const [low, high] = [plot.bbox.left + half, plot.bbox.left + plot.bbox.width - half];
    const [x, middle] = [Math.max(low, Math.min(high, plot.valToPos(at, "x", true))), (y(i + 1, at) + y(i + 2, at)) / 2];
    if (taken.some((other) => Math.abs(other.x - x) < other.half + half && Math.abs(other.middle - middle) < 14 * ratio)) continue;
    taken.push({ x, half, middle });
    ctx.strokeStyle = i ? BANDS[i - 1] : css("--line");
    ctx.fillStyle = i ? "#16202a" : css("--ink");
    ctx.strokeText(text, x, middle);
    ctx.fillText(text, x, middle);
  }
  ctx.restore();
}

/** Says the shares of the word that was just read, of the largest others, and of the rest. */
function describe(t) {
  if (!bands || !bands.amounts[0].length || t >= bands.amounts[0].length) return (note.textContent = "");
  const total = bands.amounts.reduce((sum, row) => sum + row[t], 0) || 1;
  const others = bands.top
    .map((word, i) => [word, bands.amounts[i][t] / total])
    .filter(([word, share]) => word !== t && share >= 0.005)
    .sort(([, a], [, b]) => b - a)
    .slice(0, 5);
  const shares = [[t, bands.own[t] / total], ...others];
  const rest = 1 - shares.reduce((sum, [, share]) => sum + share, 0);
  const parts = shares.map(([word, share]) => `${percent(share)} ${quoted(word, distinct(word))}`);
  if (rest >= 0.005) parts.push(`${percent(rest)} others`);
  note.textContent = `After ${quoted(t, distinct(t))} the memory holds: ${parts.join(", ")}.`;
}
