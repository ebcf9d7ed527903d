// One unit: its drawing at the chosen word, its life along the text, and what another gate would have changed.

import { asker } from "./api.js";
import { stroke, WordChart } from "./charts.js";
import { Drawing } from "./drawing.js";
import { capital, named, placed, quoted, small, spoken } from "./naming.js";
import { memory, plain, signed } from "./numbers.js";
import { equationOf, hintOf, movable } from "./plans.js";
import { className, gates, go, isGated, keeps, place, set, state, statesOf, when, words } from "./state.js";

const element = (id) => document.getElementById(id);
const ask = asker("unit", element("inside"));
const askWhatIf = asker("what-if", element("change"), { waits: false });
const select = element("unit");
const DASHES = { keeps: [], reads: [2, 3], writes: [2, 3], shows: [8, 3], gate: [1, 4] };
let drawing;
let chart;
let unit = null; // the answer of /api/unit
let answer = null; // of the last question "what if"

export function start() {
  if (!state.facts.maps.length) return;
  element("inside").hidden = false;
  element("inside-hint").textContent = hintOf();
  element("undo").hidden = !isGated();
  element("life-keys").replaceChildren(...[...statesOf(), ...gates()].map(key), key({ label: `${statesOf()[0].label}, by hand`, role: "hand" }));
  drawing = new Drawing(element("drawing"), byHand);
  chart = new WordChart(element("life"), 210, lifeLayout);
  select.addEventListener("change", () => set({ unit: Number(select.value), hand: {} }));
  element("undo").addEventListener("click", () => set({ hand: {} }));
  element("drawing").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    go(state.step + step);
  });
  when(["map", "account"], showUnits);
  when(["source", "layer", "reverse", "unit"], () => state.unit !== null && ask({ ...place(), unit: state.unit }, receive));
  when(["account", "step", "hand", "label"], show);
  when(["hand", "step"], whatIf);
}

/** The line of a value in the chart of the unit's life, named. */
function key({ label, role }) {
  return Object.assign(document.createElement("li"), { className: role, textContent: small(label) });
}

function byHand(gate, value) {
  const { [gate]: _, ...others } = state.hand;
  set({ hand: value === null ? others : { ...others, [gate]: value } });
}

function showUnits() {
  if (!state.map) return;
  const { order, memory: steps } = state.map;
  const name = (unit) => `${unit}` + (keeps() ? spoken(` · remembers ${memory(steps[unit])} words`) : "");
  if (select.options.length === order.length) {
    order.forEach((unit, i) => {
      const option = select.options[i];
      if (option.textContent !== name(unit)) Object.assign(option, { value: unit, textContent: name(unit) });
    });
  } else select.replaceChildren(...order.map((unit) => new Option(name(unit), unit)));
  select.value = state.unit;
}

function receive(found) {
  unit = found;
  answer = null;
  select.value = state.unit;
  show();
}

function whatIf() {
  answer = null;
  if (!Object.keys(state.hand).length) return show();
  const question = { ...place(), unit: state.unit, step: state.step, values: state.hand };
  askWhatIf(question, (found) => {
    if (!Object.keys(state.hand).length || question.step !== state.step || question.unit !== state.unit) return;
    answer = found;
    show();
  });
}

const output = () => statesOf()[0].name;

function show() {
  const { step, hand } = state;
  element("undo").disabled = !Object.keys(hand).length;
  if (!unit || unit.after[output()].length !== words().length || !words().length) return clear();
  const at = (rows) => Object.fromEntries(Object.entries(rows).map(([name, row]) => [name, row[step]]));
  const [input, memories] = [at(unit.from_input), answer?.from_memory ?? at(unit.from_memory)];
  const numbers = {
    word: named(step), hand, readsFirst: unit.reads_first,
    before: at(unit.before), after: at((answer ?? unit).after), values: { ...(answer?.gates ?? at(unit.gates)), ...hand },
    parts: Object.fromEntries(Object.keys(input).map((name) => [name, [input[name], memories[name]]])),
  };
  drawing.show(numbers);
  element("drawing").ariaLabel = spoken(`Drawing of unit ${state.unit} at ${placed(step)}; left and right arrow: word by word`);
  element("equation").textContent = equationOf(numbers);
  showChange();
  showLife();
}

function clear() {
  element("equation").textContent = element("change").textContent = element("life-note").textContent = "";
}

function showChange() {
  const note = element("change");
  if (!answer) {
    note.textContent = isGated() ? `Move ${movable()} to see what it would have changed.` : "";
    return;
  }
  const { label } = state;
  const [before, after] = [answer.probabilities_before[label], answer.probabilities[label]].map((p) => 100 * p);
  const text = `${className(label)}: ${before.toFixed(2)} % → ${after.toFixed(2)} %`;
  const strong = Object.assign(document.createElement("b"), { textContent: `${text} (${signed(after - before)} points)` });
  note.replaceChildren("What if? ", strong, spoken(". All that comes after this word is computed anew."));
}

function showLife() {
  const lines = [...gates().map(({ name }) => unit.gates[name]), ...statesOf().map(({ name }) => unit.after[name]), answer?.after[output()]];
  chart.show(lines.filter(Boolean), `life${answer ? "1" : "0"}`);
  element("life-keys").querySelector(".hand").hidden = !answer;
  hover(null);
}

function lifeLayout() {
  const points = { show: (plot) => plot.data[0].length < 2 };
  const line = (colour, width, dash) => ({ stroke: stroke(colour), width, dash, points });
  const styles = { state: ["--for-strong", 2.5], output: ["--for-strong", 2.5], memory: ["--memory", 2] };
  return {
    series: [
      ...gates().map(({ role }) => line(`--${role}`, 1.5, DASHES[role])),
      ...statesOf().map(({ role }) => line(...styles[role])),
      ...(answer ? [line("--against-strong", 2.5, [6, 4])] : []),
    ],
    range: (_, low, high) => [Math.min(-1, low), Math.max(1, high)],
    y: { splits: undefined },
    hover,
  };
}

function hover(at) {
  const t = at ?? state.step;
  if (!unit || t >= unit.after[output()].length) return;
  const [first, ...others] = statesOf();
  const hand = answer ? `, by hand ${plain(answer.after[first.name][t])}` : "";
  const rest = others.map(({ name, label }) => `, ${small(label)} ${plain(unit.after[name][t])}`);
  const open = gates().map(({ name, symbol }) => `, ${name} ${symbol} ${plain(unit.gates[name][t])}`);
  const title = others.length ? small(first.label) : "state";
  element("life-note").textContent = `${capital(quoted(t))}: ${title} ${plain(unit.after[first.name][t])}${hand}${rest.join("")}${open.join("")}.`;
}
