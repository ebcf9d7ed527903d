// The heat map: one gate of every unit at every word, on a canvas. Units with the longest memory are at the top.

import { asker, decode } from "./api.js";
import { css, onTheme, stops, table } from "./colours.js";
import { shorten } from "./charts.js";
import { memory, plain } from "./numbers.js";
import { whenSeen } from "./seen.js";
import { go, isGru, place, set, state, when, words } from "./state.js";

const GATES = {
  update: ["Update gate z", "sequential", "How much of its old value a unit keeps at this word: 1 keeps all, 0 writes it anew."],
  reset: ["Reset gate r", "sequential", "How much of the old memory a unit looks at while it makes its new value: 0 starts afresh."],
  candidate: ["Candidate n", "diverging", "The new value that a unit would write at this word."],
  hidden: ["State h", "diverging", "The value of a unit after this word."],
  kept: ["Kept at the end", "sequential", "The share of what a unit wrote at this word that is still in it at the end."],
  preactivation: ["Before activation", "diverging", "What goes into the activation function of a unit."],
};
const GUTTER = { left: 62, bottom: 24, words: 62 };
const SMALLEST = 4; // words or units that a zoom shows at least

const element = (id) => document.getElementById(id);
const canvas = element("map");
const ask = asker("gates");
const pixels = document.createElement("canvas");
let values = new Uint16Array();
let view = null; // the part shown: [left, top, right, bottom] in words and rows
let drag = null;
const draw = whenSeen(canvas, drawNow);
const paint = whenSeen(canvas, paintNow);

export function start() {
  const { facts } = state;
  if (!facts.gates.length) return;
  element("gates").hidden = false;
  set({ gate: facts.gates[0] });
  element("gate").append(...facts.gates.map(choice));
  startPlaces(facts);
  when(["source", "layer", "reverse", "gate"], () => ask({ ...place(), gate: state.gate }, receive));
  when(["step", "unit"], draw);
  onTheme(paint);
  new ResizeObserver(draw).observe(canvas);
  startPointer();
  canvas.addEventListener("keydown", key);
  element("zoom-in").addEventListener("click", () => zoom(0.5));
  element("zoom-out").addEventListener("click", () => zoom(2));
  element("zoom-all").addEventListener("click", () => zoom(Infinity));
}

function choice(gate) {
  const label = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "gate", value: gate });
  input.checked = gate === state.gate;
  input.addEventListener("change", (event) => set({ touched: event.timeStamp, gate }));
  label.append(input, GATES[gate][0]);
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
  if (!same) view = null;
  set({ map, unit: state.unit ?? liveliest(map) });
  paint();
}

/** The unit whose values change most along the text: the one to look at first. */
function liveliest({ steps, units }) {
  const spread = (unit) => {
    const row = Array.from({ length: steps }, (_, t) => values[t * units + unit]);
    const mean = row.reduce((sum, one) => sum + one, 0) / steps;
    return row.reduce((sum, one) => sum + (one - mean) ** 2, 0);
  };
  return steps ? [...Array(units).keys()].reduce((best, unit) => (spread(unit) > spread(best) ? unit : best), 0) : null;
}

/** Colours the values, one pixel each. */
function paintNow() {
  const { map } = state;
  if (!map) return;
  const scale = GATES[state.gate][1];
  const { steps, units, order } = map;
  [pixels.width, pixels.height] = [Math.max(1, steps), units];
  const image = new ImageData(pixels.width, units);
  const [data, colours] = [new Uint32Array(image.data.buffer), table(scale)];
  for (let row = 0; row < units; row++)
    for (let t = 0, at = row * pixels.width; t < steps; t++, at++) data[at] = colours[values[t * units + order[row]] >> 8];
  pixels.getContext("2d").putImageData(image, 0, 0);
  element("map-scale").style.backgroundImage = `linear-gradient(to right, ${stops(scale).join(", ")})`;
  [element("map-low").textContent, element("map-high").textContent] = [plain(map.low, 0), plain(map.high, map.high % 1 ? 1 : 0)];
  element("gate-hint").textContent =
    GATES[state.gate][2] + (isGru() ? " Each line is a unit; those that remember longest are at the top." : " Each line is a unit.");
  canvas.ariaLabel = `${GATES[state.gate][0]} of ${units} units at ${steps} words`;
  drawNow();
}

function room() {
  const [left, top, right, bottom] = view ?? [0, 0, state.map.steps, state.map.units];
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const named = (width - GUTTER.left) / (right - left) >= 15;
  const inner = { width: width - GUTTER.left, height: height - (named ? GUTTER.words : GUTTER.bottom) };
  const [sx, sy] = [inner.width / Math.max(1, right - left), inner.height / (bottom - top)];
  return { left, top, right, bottom, width, height, named, inner, sx, sy, x: (t) => GUTTER.left + (t - left) * sx, y: (row) => (row - top) * sy };
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
    context.drawImage(pixels, ...source, GUTTER.left, 0, at.inner.width, at.inner.height);
    drawMarks(context, at);
  }
  drawAxes(context, at);
  element("map-note").textContent = describe(state.step, map.order.indexOf(state.unit));
}

function drawMarks(context, at) {
  const row = state.map.order.indexOf(state.unit);
  context.save();
  context.beginPath();
  context.rect(GUTTER.left, 0, at.inner.width, at.inner.height);
  context.clip();
  for (const [colour, width] of [[css("--card"), 3.5], [css("--ink"), 1.5]]) {
    [context.strokeStyle, context.lineWidth] = [colour, width];
    context.strokeRect(at.x(state.step) - 0.5, -4, Math.max(at.sx, 3) + 1, at.inner.height + 8);
    context.strokeRect(GUTTER.left - 4, at.y(row) - 0.5, at.inner.width + 8, Math.max(at.sy, 3) + 1);
  }
  if (drag?.far) context.strokeRect(...drag.box());
  context.restore();
}

function drawAxes(context, at) {
  const { map } = state;
  context.font = "12px system-ui, sans-serif";
  context.fillStyle = css("--muted");
  context.textBaseline = "middle";
  context.textAlign = "right";
  const lines = Math.max(2, Math.min(7, Math.floor(at.inner.height / 50)));
  for (let i = 0; i < lines; i++) {
    const row = Math.min(at.bottom - 1, Math.floor(at.top + (i / (lines - 1)) * (at.bottom - at.top - 1)));
    const y = Math.max(7, Math.min(at.inner.height - 7, at.y(row + 0.5)));
    context.fillText(isGru() ? `${memory(map.memory[map.order[row]])}${i ? "" : " words"}` : `unit ${map.order[row]}`, GUTTER.left - 6, y);
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
  const long = isGru() ? ` (remembers ${memory(map.memory[unit])} words)` : "";
  return `Word ${t + 1} “${words()[t] ?? ""}”, unit ${unit}${long}: ${GATES[gate][0]} = ${plain(value)}`;
}

/** The word and the row under a pointer. */
function under(event) {
  const at = room();
  const t = Math.floor(at.left + (event.offsetX - GUTTER.left) / at.sx);
  const row = Math.floor(at.top + event.offsetY / at.sy);
  return { t: Math.max(at.left, Math.min(t, at.right - 1)), row: Math.max(at.top, Math.min(row, at.bottom - 1)) };
}

function startPointer() {
  canvas.addEventListener("pointerdown", (event) => {
    if (!state.map?.steps || event.button) return;
    drag = { from: event, to: event, far: false, box: () => box(drag) };
    if (event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!state.map?.steps) return;
    if (drag) {
      drag.to = event;
      drag.far ||= event.pointerType === "mouse" && Math.hypot(event.offsetX - drag.from.offsetX, event.offsetY - drag.from.offsetY) > 6;
      if (drag.far) draw();
    }
    const { t, row } = under(event);
    element("map-note").textContent = describe(Math.floor(t), Math.floor(row));
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!drag) return;
    const { far, from } = drag;
    drag = null;
    const [a, b] = [under(from), under(event)];
    if (far) return show(Math.min(a.t, b.t), Math.min(a.row, b.row), Math.max(a.t, b.t) + 1, Math.max(a.row, b.row) + 1);
    set({ unit: state.map.order[Math.floor(b.row)], hand: {} });
    go(Math.floor(b.t));
  });
  canvas.addEventListener("pointercancel", () => (drag = null));
  canvas.addEventListener("pointerleave", () => state.map && !drag && draw());
  canvas.addEventListener("dblclick", () => zoom(Infinity));
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey || !state.map?.steps) return; // a plain wheel scrolls the page; pinching comes with ctrlKey
    event.preventDefault();
    zoom(event.deltaY < 0 ? 0.8 : 1.25, under(event));
  }, { passive: false });
}

function box({ from, to }) {
  return [Math.min(from.offsetX, to.offsetX), Math.min(from.offsetY, to.offsetY), Math.abs(to.offsetX - from.offsetX), Math.abs(to.offsetY - from.offsetY)];
}

/** Shows a part of the map, enlarged where it is smaller than a part may be. */
function show(left, top, right, bottom) {
  const { steps, units } = state.map;
  const [l, r] = fit(left, right, steps);
  const [t, b] = fit(top, bottom, units);
  view = r - l === steps && b - t === units ? null : [l, t, r, b];
  draw();
}

function fit(low, high, all) {
  const size = Math.min(all, Math.max(SMALLEST, Math.round(high - low)));
  const start = Math.max(0, Math.min(all - size, Math.round((low + high - size) / 2)));
  return [start, start + size];
}

/** Scales the part shown around the chosen word and unit, or around another cell. */
function zoom(factor, at = { t: state.step, row: state.map?.order.indexOf(state.unit) }) {
  if (!state.map?.steps) return;
  const { steps, units } = state.map;
  const [left, top, right, bottom] = view ?? [0, 0, steps, units];
  const [width, height] = [Math.min(steps, (right - left) * factor), Math.min(units, (bottom - top) * factor)];
  const shareX = Math.max(0, Math.min(1, (at.t - left) / (right - left)));
  const shareY = Math.max(0, Math.min(1, (at.row - top) / (bottom - top)));
  const [x, y] = [at.t - shareX * width, at.row - shareY * height];
  show(x, y, x + width, y + height);
}

function key(event) {
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const zooms = { "+": 0.5, "=": 0.5, "-": 2, 0: Infinity };
  if (event.altKey || event.ctrlKey || event.metaKey || !state.map?.steps) return;
  if (zooms[event.key]) zoom(zooms[event.key]);
  else if (moves[event.key]) {
    const [dt, dr] = moves[event.key];
    const { order } = state.map;
    const row = Math.max(0, Math.min(order.length - 1, order.indexOf(state.unit) + dr));
    set({ unit: order[row], hand: {} });
    if (dt) go(state.step + dt);
    follow(row);
  } else return;
  event.preventDefault();
}

/** Moves the part shown to where the chosen cell is. */
function follow(row) {
  if (!view) return;
  const [left, top, right, bottom] = view;
  const dx = Math.min(0, state.step - left) + Math.max(0, state.step + 1 - right);
  const dy = Math.min(0, row - top) + Math.max(0, row + 1 - bottom);
  if (dx || dy) show(left + dx, top + dy, right + dx, bottom + dy);
}
