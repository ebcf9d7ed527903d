// The drawing of one unit: memory flows along one line, what is new along the other, and gates stand in their way.

import { Slider } from "./slider.js";
import { plain, signed } from "./numbers.js";
import { shorten } from "./charts.js";

/** Two layouts of the same parts; lines are lists of corners, texts are [x, y, anchor]. */
const WIDE = {
  size: [960, 440],
  previous: [76, 84], next: [884, 84], word: [76, 396], candidate: [470, 340], sum: [812, 84],
  lines: {
    before: [[76, 84], [700, 84]], kept: [[700, 84], [812, 84]], after: [[812, 84], [884, 84]],
    branch: [[200, 84], [200, 210]], recalled: [[200, 210], [200, 340], [470, 340]], input: [[76, 396], [470, 396], [470, 340]],
    fresh: [[470, 340], [700, 340]], taken: [[700, 340], [812, 340], [812, 84]],
  },
  sliders: { reset: [[200, 268], [200, 148]], update: [[700, 290], [700, 134]], candidate: [[580, 396], [580, 284]] },
  texts: {
    reset: [224, 190, "start"], update: [676, 196, "end"], candidate: [580, 262, "middle"],
    recalled: [330, 326, "middle"], input: [300, 428, "middle"], kept: [754, 68, "middle"], taken: [824, 232, "start"],
    keep: [722, 132, "start"], take: [722, 298, "start"], previous: [76, 30, "middle"], next: [884, 30, "middle"],
  },
};
const NARROW = {
  size: [360, 720],
  previous: [56, 60], next: [56, 672], word: [286, 40], candidate: [262, 270], sum: [56, 590],
  lines: {
    before: [[56, 60], [56, 470]], kept: [[56, 470], [56, 590]], after: [[56, 590], [56, 672]],
    branch: [[56, 150], [140, 150]], recalled: [[140, 150], [244, 150], [244, 270]], input: [[280, 40], [280, 270]],
    fresh: [[262, 270], [262, 470]], taken: [[262, 470], [262, 590], [56, 590]],
  },
  sliders: { reset: [[96, 150], [192, 150]], update: [[232, 470], [92, 470]], candidate: [[186, 372], [338, 372]] },
  texts: {
    reset: [74, 188, "start"], update: [162, 420, "middle"], candidate: [246, 348, "end"],
    recalled: [234, 246, "end"], input: [292, 112, "start"], kept: [72, 536, "start"], taken: [166, 576, "middle"],
    keep: [78, 502, "start"], take: [248, 502, "end"], previous: [100, 50, "start"], next: [100, 682, "start"],
  },
};
const FLOWS = ["before", "branch", "recalled", "input", "fresh", "kept", "taken", "after"];
const NARROW_BELOW = 640; // pixels

export class Drawing {
  /** `byHand(gate, value)` is called when a gate is moved; null undoes it. */
  constructor(host, gru, byHand) {
    Object.assign(this, { host, gru, byHand, numbers: null, layout: null });
    new ResizeObserver(() => this.build()).observe(host);
    // What nobody sees need not move: an animated drawing costs time in every frame.
    new IntersectionObserver(([seen]) => host.classList.toggle("seen", seen.isIntersecting)).observe(host);
  }

  build() {
    if (!this.host.clientWidth) return;
    const layout = this.host.clientWidth < NARROW_BELOW ? NARROW : WIDE;
    if (layout === this.layout) return;
    this.layout = layout;
    const svg = make("svg", { viewBox: `0 0 ${layout.size.join(" ")}`, class: this.gru ? "gru" : "rnn" });
    const flows = this.gru ? FLOWS : FLOWS.filter((name) => name !== "kept");
    this.flows = Object.fromEntries(flows.map((name) => [name, flow(svg, layout.lines[name])]));
    this.places = Object.fromEntries(["previous", "candidate", "next"].map((name) => [name, pool(svg, layout[name])]));
    const [x, y] = layout.sum;
    if (this.gru) make("circle", { cx: x, cy: y, r: 13, class: "sum" }, svg), write(svg, [x, y + 6, "middle"], "+", "plus");
    const [wx, wy] = layout.word;
    make("rect", { x: wx - 60, y: wy - 19, width: 120, height: 38, rx: 8, class: "word" }, svg);
    this.word = write(svg, [wx, wy + 5, "middle"], "", "word-text");
    this.texts = Object.fromEntries(Object.entries(layout.texts).map(([name, at]) => [name, write(svg, at, "", name)]));
    this.sliders = this.gru ? this.makeSliders(svg, layout) : {};
    this.host.replaceChildren(svg);
    if (this.numbers) this.show(this.numbers);
  }

  makeSliders(svg, { sliders }) {
    const about = { reset: ["reset gate r", 0, 1], update: ["update gate z", 0, 1], candidate: ["candidate n", -1, 1] };
    return Object.fromEntries(
      Object.entries(about).map(([gate, [name, low, high]]) => {
        const moved = (value) => this.byHand(gate, value);
        return [gate, new Slider(svg, sliders[gate], { name, low, high, moved })];
      }),
    );
  }

  /** Shows { word, previous, reset, update, candidate, recalled, input, hidden, parts, hand }. */
  show(numbers) {
    this.numbers = numbers;
    if (!this.layout) return;
    const { previous, reset, update, candidate, recalled, input, hidden, hand } = numbers;
    const amounts = { before: previous, branch: recalled, recalled: reset * recalled, input, fresh: candidate };
    Object.assign(amounts, { kept: update * previous, taken: (1 - update) * candidate, after: hidden });
    for (const [name, set] of Object.entries(this.flows)) set(amounts[name]);
    for (const [name, value] of Object.entries({ previous, candidate, next: hidden })) this.places[name](value);
    this.word.textContent = shorten(numbers.word);
    this.label(numbers, amounts);
    for (const [gate, slider] of Object.entries(this.sliders)) slider.show(numbers[gate], gate in hand);
  }

  label({ parts, reset, update, hand }, amounts) {
    const gate = (name, value, [word, memory]) => [
      `${name} ${plain(value)}`,
      name.slice(-1).trim() in hand ? "" : `word ${signed(word)}, memory ${signed(memory)}`,
    ];
    const texts = { previous: ["memory before"], next: ["memory after"], input: [`word ${signed(amounts.input)}`] };
    texts.recalled = [`memory ${signed(amounts.recalled)}`];
    if (this.gru) {
      texts.reset = gate("reset r", reset, parts.reset);
      texts.update = gate("update z", update, parts.update);
      texts.candidate = ["candidate n"];
      Object.assign(texts, { kept: [signed(amounts.kept)], taken: [signed(amounts.taken)], keep: ["keep old"], take: ["take new"] });
    }
    for (const [name, text] of Object.entries(this.texts)) lines(text, texts[name] ?? []);
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
