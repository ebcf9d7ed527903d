// The drawing of one unit: lines whose width is what flows along them, pools of what is there, and gates in the way.

import { LAYOUTS } from "./layouts.js";
import { shorten, small, spoken } from "./naming.js";
import { plain, signed } from "./numbers.js";
import { kindOf, planOf, recalledName } from "./plans.js";
import { Slider } from "./slider.js";
import { isGate, withRole } from "./state.js";

const NARROW_BELOW = 640; // pixels

export class Drawing {
  /** `byHand(name, value)` is called when a gate or the candidate is moved; null undoes it. */
  constructor(host, byHand) {
    Object.assign(this, { host, byHand, numbers: null, layout: null });
    new ResizeObserver(() => this.build()).observe(host);
    // What nobody sees need not move: an animated drawing costs time in every frame.
    new IntersectionObserver(([seen]) => host.classList.toggle("seen", seen.isIntersecting)).observe(host);
  }

  build() {
    if (!this.host.clientWidth) return;
    this.narrow = this.host.clientWidth < NARROW_BELOW;
    const parts = LAYOUTS[kindOf()][Number(this.narrow)];
    if (parts === this.layout) return;
    this.layout = parts;
    const svg = make("svg", { viewBox: `0 0 ${parts.size.join(" ")}`, class: this.narrow ? "narrow" : "wide" });
    const each = (places, draw) => Object.fromEntries(Object.entries(places).map(([name, at]) => [name, draw(svg, at, name)]));
    this.flows = each(parts.lines, flow);
    this.pools = each(parts.pools, pool);
    each(parts.signs, sign);
    const [x, y] = parts.word;
    make("rect", { x: x - 60, y: y - 19, width: 120, height: 38, rx: 8, class: "word" }, svg);
    this.word = write(svg, [x, y + 5, "middle"], "", "word-text");
    this.texts = each(parts.texts, (_, at, name) => write(svg, at, "", name));
    this.sliders = {};
    for (const [role, track] of Object.entries(parts.sliders ?? {})) this.addSlider(svg, track, withRole(role));
    this.host.replaceChildren(svg);
    if (this.numbers) this.show(this.numbers);
  }

  /** A gate that is off keeps its place, behind the lines, but nothing moves there. */
  addSlider(svg, track, value) {
    if (!value) return;
    const [[x1, y1], [x2, y2]] = track;
    if (value.off) return svg.prepend(make("line", { x1, y1, x2, y2, class: "fixed" }));
    const [low, high] = [isGate(value) ? 0 : -1, 1];
    this.sliders[value.name] = new Slider(svg, track, { name: small(value.label), low, high, moved: (moved) => this.byHand(value.name, moved) });
  }

  /** Shows { word, before, after, values, parts, hand, readsFirst }. */
  show(numbers) {
    this.numbers = numbers;
    if (!this.layout) return;
    const { lines: amounts, pools, texts } = planOf(numbers);
    for (const [name, set] of Object.entries(this.flows)) set(amounts[name]);
    for (const [name, set] of Object.entries(this.pools)) set(pools[name]);
    this.word.textContent = shorten(numbers.word);
    for (const [name, text] of Object.entries(this.texts)) lines(text, texts[name] ?? this.sayGate(withRole(name), numbers));
    for (const [name, slider] of Object.entries(this.sliders)) slider.show(numbers.values[name], name in numbers.hand);
  }

  /** What stands beside a gate: its value, and what the word and the memory add up to in it. */
  sayGate(gate, { values, parts, hand }) {
    if (!gate) return [];
    const { name, symbol, off } = gate;
    if (off) return [`${name} off: ${symbol} = ${plain(values[name], 0)}`];
    const title = `${name} ${symbol} ${plain(values[name])}`;
    if (name in hand) return [title];
    const [word, memory] = parts[name];
    const details = [spoken(`word ${signed(word)}`), `${recalledName()} ${signed(memory)}`];
    return this.narrow ? [title, ...details] : [title, details.join(", ")];
  }
}

function make(tag, attributes, parent) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  parent?.append(node);
  return node;
}

/** A line with round corners; returns a function that gives it the width and the sign of a value. */
function flow(svg, corners) {
  const d = path(corners);
  const [band, pulse] = ["flow", "pulse"].map((kind) => make("path", { d, class: kind }, svg));
  return (value) => {
    const size = Math.min(1, Math.abs(value));
    band.style.strokeWidth = `${(2 + 16 * size).toFixed(1)}px`;
    pulse.style.strokeWidth = `${(1 + 5 * size).toFixed(1)}px`;
    pulse.style.opacity = size < 0.02 ? 0 : 0.8;
    band.setAttribute("class", `flow ${value < 0 ? "minus" : "plus-sign"}`);
  };
}

function path(corners, radius = 22) {
  const parts = [`M${corners[0].join(" ")}`];
  corners.slice(1, -1).forEach((corner, i) => {
    const [a, b] = [corners[i], corners[i + 2]].map((other) => towards(corner, other, radius));
    parts.push(`L${a.join(" ")} Q${corner.join(" ")} ${b.join(" ")}`);
  });
  return `${parts.join(" ")} L${corners.at(-1).join(" ")}`;
}

function towards([x, y], [tx, ty], distance) {
  const length = Math.hypot(tx - x, ty - y);
  const share = Math.min(distance, length / 2) / length;
  return [x + share * (tx - x), y + share * (ty - y)];
}

/** What is done where lines meet, or along a line. */
function sign(svg, [x, y], name) {
  const half = name.length > 1 ? 26 : 13;
  make("rect", { x: x - half, y: y - 13, width: 2 * half, height: 26, rx: 13, class: "sign" }, svg);
  write(svg, [x, y + (name.length > 1 ? 5 : 6), "middle"], name, name.length > 1 ? "plus function" : "plus");
}

/** A round pool of memory with its value in it. */
function pool(svg, [x, y]) {
  const circle = make("circle", { cx: x, cy: y, r: 34, class: "pool" }, svg);
  const text = write(svg, [x, y + 6, "middle"], "", "value");
  return (value) => {
    text.textContent = plain(value);
    circle.setAttribute("class", `pool ${value < 0 ? "minus" : "plus-sign"}`);
    circle.style.setProperty("--pull", Math.min(1, Math.abs(value)).toFixed(3));
  };
}

function write(svg, [x, y, anchor, stacked = ""], content, name) {
  const text = make("text", { x, y, "text-anchor": anchor, class: `${name} ${stacked}`.trim() }, svg);
  text.textContent = content;
  return text;
}

function lines(text, content) {
  const x = text.getAttribute("x");
  const shown = text.classList.contains("stacked") ? content.flatMap((line) => line.split(" ")) : content;
  text.replaceChildren(
    ...shown.filter(Boolean).map((line, i) => {
      const part = make("tspan", { x, dy: i ? 19 : 0, class: i ? "detail" : "main" });
      part.textContent = line;
      return part;
    }),
  );
}
