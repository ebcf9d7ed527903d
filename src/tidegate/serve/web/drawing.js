// The drawing of one unit: memory flows along one line, what is new along the other, and gates stand in their way.

import { layout } from "./layouts.js";
import { shorten, spoken } from "./naming.js";
import { plain, signed } from "./numbers.js";
import { Slider } from "./slider.js";

const NARROW_BELOW = 640; // pixels
const MOVABLE = { reset: ["reset gate r", 0, 1], update: ["update gate z", 0, 1], candidate: ["candidate n", -1, 1] };

export class Drawing {
  /** Gates in `off` are fixed. `byHand(gate, value)` is called when one is moved; null undoes it. */
  constructor(host, { gated, off }, byHand) {
    Object.assign(this, { host, gru: gated, off, byHand, numbers: null, layout: null });
    new ResizeObserver(() => this.build()).observe(host);
    // What nobody sees need not move: an animated drawing costs time in every frame.
    new IntersectionObserver(([seen]) => host.classList.toggle("seen", seen.isIntersecting)).observe(host);
  }

  build() {
    if (!this.host.clientWidth) return;
    this.narrow = this.host.clientWidth < NARROW_BELOW;
    const parts = layout(this.gru, this.narrow);
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
    this.sliders = each(parts.sliders ?? {}, (_, track, gate) => this.slider(svg, track, gate));
    this.host.replaceChildren(svg);
    if (this.numbers) this.show(this.numbers);
  }

  /** A gate that is off keeps its place, behind the lines, but nothing moves there. */
  slider(svg, track, gate) {
    const [[x1, y1], [x2, y2]] = track;
    if (this.off.includes(gate)) return svg.prepend(make("line", { x1, y1, x2, y2, class: "fixed" }));
    const [name, low, high] = MOVABLE[gate];
    return new Slider(svg, track, { name, low, high, moved: (value) => this.byHand(gate, value) });
  }

  /** Shows { word, previous, reset, update, candidate, recalled, input, hidden, parts, hand }. */
  show(numbers) {
    this.numbers = numbers;
    if (!this.layout) return;
    const { previous, reset, update, candidate, recalled, input, hidden, hand } = numbers;
    const amounts = { before: previous, branch: recalled, recalled: reset * recalled, input, sum: input + recalled, fresh: candidate };
    Object.assign(amounts, { kept: update * previous, taken: (1 - update) * candidate, after: hidden });
    const values = { previous, candidate, next: hidden };
    for (const [name, set] of Object.entries(this.flows)) set(amounts[name]);
    for (const [name, set] of Object.entries(this.pools)) set(values[name]);
    this.word.textContent = shorten(numbers.word);
    const said = this.say(numbers, amounts);
    for (const [name, text] of Object.entries(this.texts)) lines(text, said[name] ?? []);
    for (const [gate, slider] of Object.entries(this.sliders)) if (!this.off.includes(gate)) slider.show(numbers[gate], gate in hand);
  }

  /** What stands beside each part, line by line. */
  say(numbers, { recalled, input, sum, kept, taken }) {
    const said = {
      previous: ["memory before"], next: ["memory after"], candidate: ["candidate n"],
      input: [spoken(`word ${signed(input)}`)], recalled: [`memory ${signed(recalled)}`],
      sum: [signed(sum)], kept: [signed(kept)], taken: [signed(taken)],
      reset: this.sayGate("reset", "r", numbers), update: this.sayGate("update", "z", numbers),
    };
    return this.off.includes("update") ? said : { ...said, keep: ["keep old"], take: ["take new"] };
  }

  sayGate(gate, letter, { [gate]: value, parts, hand }) {
    if (this.off.includes(gate)) return [`${gate} off: ${letter} = ${plain(value, 0)}`];
    const title = `${gate} ${letter} ${plain(value)}`;
    if (gate in hand || !parts[gate]) return [title];
    const [word, memory] = parts[gate];
    const details = [spoken(`word ${signed(word)}`), `memory ${signed(memory)}`];
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

/** What is done where lines meet. */
function sign(svg, [x, y], name) {
  make("circle", { cx: x, cy: y, r: 13, class: "sign" }, svg);
  write(svg, [x, y + 6, "middle"], name, "plus");
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

function write(svg, [x, y, anchor], content, name) {
  const text = make("text", { x, y, "text-anchor": anchor, class: name }, svg);
  text.textContent = content;
  return text;
}

function lines(text, content) {
  const x = text.getAttribute("x");
  text.replaceChildren(
    ...content.filter(Boolean).map((line, i) => {
      const part = make("tspan", { x, dy: i ? 19 : 0, class: i ? "detail" : "main" });
      part.textContent = line;
      return part;
    }),
  );
}
