// The heat map: one gate of every unit at every word, on a canvas. Units with the longest memory are at the top.

import { asker, decode } from "./api.js";
import { css, onTheme, stops, table } from "./colours.js";
import { capital, placed, shorten, spoken } from "./naming.js";
import { memory, plain } from "./numbers.js";
import { whenSeen } from "./seen.js";
import { gates, isGate, keeps, place, set, state, valueOf, when, words } from "./state.js";
import { Zoom } from "./zoom.js";

/** What the values of a map are, by their role. */
const MEANINGS = {
  keeps: "The share of its memory that a unit keeps at this word: 1 keeps all of it, 0 nothing.",
  reads: "The share of the old memory that a unit reads to make its candidate: at 0 it starts afresh.",
  writes: "The share of its candidate that a unit writes into its memory at this word.",
  shows: "The share of its memory that a unit shows as its output after this word.",
  gate: "How far this gate of a unit is open at this word: 1 is open, 0 is closed.",
  candidate: "The new value that a unit can write at this word.",
  state: "The value of a unit after this word.",
  output: "The output of a unit after this word, which all units read at the next.",
  memory: "What a unit remembers after this word; its output shows a part of it.",
  kept: "The share of what a unit wrote at this word that is still in its memory at the end.",
  other: "The sum that goes into the activation function of a unit.",
};
const GUTTER = { least: 74, bottom: 24, words: 62 };
const FONT = "12px system-ui, sans-serif";

const element = (id) => document.getElementById(id);
const canvas = element("map");
const ask = asker("gates", canvas, { waits: false });
const pixels = document.createElement("canvas");
let values = new Uint16Array();
let gutter = GUTTER.least; // room for the widest label at the left
let zoom; // which part is shown
const draw = whenSeen(canvas, drawNow);
const paint = whenSeen(canvas, paintNow);

export function start() {
  const { facts } = state;
  if (!facts.maps.length) return;
  element("gates").hidden = false;
  element("gates-title").textContent = gates().length ? "The gates of every unit" : "The states of every unit";
  set({ gate: facts.maps[0] });
  element("gate").append(...facts.maps.map(choice));
  startPlaces(facts);
  when(["source", "layer", "reverse", "gate"], () => ask({ ...place(), gate: state.gate }, receive));
  when(["account", "step", "unit"], draw);
  when(["account"], say);
  onTheme(paint);
  new ResizeObserver(draw).observe(canvas);
  zoom = new Zoom(canvas, room, draw, (t, row) => (element("map-note").textContent = describe(t, row)));
}

function choice(gate) {
  const label = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "gate", value: gate });
  input.checked = gate === state.gate;
  input.addEventListener("change", (event) => set({ touched: event.timeStamp, gate }));
  label.append(input, valueOf(gate).label);
  return label;
}

function startPlaces({ layers, directions }) {
  const select = element("place");
  const names = directions === 2 ? [" forward", " backward"] : [""];
  for (let layer = 0; layer < layers; layer++) names.forEach((name, d) => select.append(new Option(`${layer + 1}${name}`, layer * directions + d)));
  element("place-choice").hidden = layers * directions === 1;
  select.value = state.layer * directions;
  select.addEventListener("change", (event) => {
    const at = Number(select.value);
    set({ touched: event.timeStamp, hand: {}, layer: Math.floor(at / directions), reverse: at % directions === 1 });
  });
}

function receive(map) {
  const same = state.map && state.map.steps === map.steps && state.map.units === map.units;
  values = decode(map.values);
  if (!same) zoom.part = null;
  set({ map });
  gutter = widest(map);
  paint();
}

/** Colours the values, one pixel each. */
function paintNow() {
  const { map } = state;
  if (!map) return;
  const shown = valueOf(state.gate);
  const scale = isGate(shown) || shown.role === "kept" ? "sequential" : "diverging";
  const { steps, units, order } = map;
  [pixels.width, pixels.height] = [Math.max(1, steps), units];
  const image = new ImageData(pixels.width, units);
  const [data, colours] = [new Uint32Array(image.data.buffer), table(scale)];
  for (let row = 0; row < units; row++)
    for (let t = 0, at = row * pixels.width; t < steps; t++, at++) data[at] = colours[values[t * units + order[row]] >> 8];
  pixels.getContext("2d").putImageData(image, 0, 0);
  element("map-scale").style.backgroundImage = `linear-gradient(to right, ${stops(scale).join(", ")})`;
  [element("map-low").textContent, element("map-high").textContent] = [plain(map.low, 0), plain(map.high, map.high % 1 ? 1 : 0)];
  say();
  drawNow();
}

function say() {
  const { map, gate } = state;
  if (!map) return;
  const lines = keeps() ? "Each line is a unit; those that remember longest are at the top." : "Each line is a unit.";
  const { label: title, role } = valueOf(gate);
  element("gate-hint").textContent = spoken(`${MEANINGS[role]} ${lines}`);
  canvas.ariaLabel = spoken(`${title} of ${map.units} units at ${map.steps} words`);
}

/** What stands beside a unit's line: how long it remembers, if units keep anything, or its number. */
const label = ({ memory: steps }, unit, first) => (keeps() ? memory(steps[unit]) + (first ? spoken(" words") : "") : `unit ${unit}`);

function widest(map) {
  const labels = map.order.map((unit) => label(map, unit, true));
  const longest = labels.reduce((a, b) => (b.length > a.length ? b : a), "");
  const context = canvas.getContext("2d");
  context.font = FONT;
  return Math.max(GUTTER.least, Math.ceil(context.measureText(longest).width) + 10);
}

/** Where the shown part of the map is on the canvas. */
export function room() {
  const [left, top, right, bottom] = zoom.shown();
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const named = (width - gutter) / (right - left) >= 15;
  const inner = { width: width - gutter, height: height - (named ? GUTTER.words : GUTTER.bottom) };
  const [sx, sy] = [inner.width / Math.max(1, right - left), inner.height / (bottom - top)];
  return { left, top, right, bottom, width, height, named, inner, sx, sy, x: (t) => gutter + (t - left) * sx, y: (row) => (row - top) * sy };
}

function drawNow() {
  const { map } = state;
  if (!map || !canvas.clientWidth) return;
  const at = room();
  const ratio = devicePixelRatio;
  const [width, height] = [Math.round(at.width * ratio), Math.round(at.height * ratio)];
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, at.width, at.height);
  if (map.steps) {
    context.imageSmoothingEnabled = at.sx < 1;
    const source = [at.left, at.top, at.right - at.left, at.bottom - at.top];
    context.drawImage(pixels, ...source, gutter, 0, at.inner.width, at.inner.height);
    drawMarks(context, at);
  }
  drawAxes(context, at);
  element("map-note").textContent = describe(state.step, map.order.indexOf(state.unit));
}

function drawMarks(context, at) {
  const row = state.map.order.indexOf(state.unit);
  context.save();
  context.beginPath();
  context.rect(gutter, 0, at.inner.width, at.inner.height);
  context.clip();
  for (const [colour, width] of [[css("--card"), 3.5], [css("--ink"), 1.5]]) {
    [context.strokeStyle, context.lineWidth] = [colour, width];
    context.strokeRect(at.x(state.step) - 0.5, -4, Math.max(at.sx, 3) + 1, at.inner.height + 8);
    context.strokeRect(gutter - 4, at.y(row) - 0.5, at.inner.width + 8, Math.max(at.sy, 3) + 1);
  }
  const box = zoom.box();
  if (box) context.strokeRect(...box);
  context.restore();
}

function drawAxes(context, at) {
  const { map } = state;
  context.font = FONT;
  context.fillStyle = css("--muted");
  context.textBaseline = "middle";
  context.textAlign = "right";
  const lines = Math.max(2, Math.min(7, Math.floor(at.inner.height / 50)));
  for (let i = 0; i < lines; i++) {
    const row = Math.min(at.bottom - 1, Math.floor(at.top + (i / (lines - 1)) * (at.bottom - at.top - 1)));
    const y = Math.max(7, Math.min(at.inner.height - 7, at.y(row + 0.5)));
    context.fillText(label(map, map.order[row], i === 0), gutter - 6, y);
  }
  drawWords(context, at);
}

function drawWords(context, at) {
  const every = at.named ? 1 : [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((n) => n * at.sx >= 48);
  for (let t = Math.ceil(at.left / every) * every; t < at.right; t += every) {
    context.save();
    context.translate(at.named ? at.x(t + 0.5) : Math.min(at.x(t + 0.5), at.width - 12), at.inner.height + 8);
    if (at.named) context.rotate(-Math.PI / 3.6);
    context.textAlign = at.named ? "right" : "center";
    context.fillText(at.named ? shorten(words()[t]) : String(t + 1), 0, at.named ? 0 : 6);
    context.restore();
  }
}

function describe(t, row) {
  const { map, gate } = state;
  if (!map || row < 0 || t >= map.steps) return "";
  const unit = map.order[row];
  const value = map.low + (values[t * map.units + unit] / 65535) * (map.high - map.low);
  const long = keeps() ? spoken(` (remembers ${memory(map.memory[unit])} words)`) : "";
  return `${capital(placed(t))}, unit ${unit}${long}: ${valueOf(gate).label} = ${plain(value)}`;
}
