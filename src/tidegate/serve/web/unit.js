// One unit: its drawing at the chosen word, its life along the text, and what another gate would have changed.

import { asker } from "./api.js";
import { stroke, WordChart } from "./charts.js";
import { Drawing } from "./drawing.js";
import { capital, named, placed, quoted, spoken } from "./naming.js";
import { memory, plain, signed } from "./numbers.js";
import { className, gates, go, isGru, keeps, place, set, state, when, words } from "./state.js";

const element = (id) => document.getElementById(id);
const ask = asker("unit", element("one"));
const askWhatIf = asker("what-if", element("change"), { waits: false });
const select = element("unit");
const LETTERS = { update: "z", reset: "r" };
let drawing;
let chart;
let told = null;
let answer = null; // of the last question "what if"

export function start() {
  if (!state.facts.gates.length) return;
  element("one").hidden = false;
  element("one-hint").textContent = hint();
  element("undo").hidden = !isGru();
  for (const gate of ["update", "reset"]) element("life-keys").querySelector(`.${gate}`).hidden = !gates().includes(gate);
  drawing = new Drawing(element("drawing"), state.facts, byHand);
  chart = new WordChart(element("life"), 210, lifeLayout);
  select.addEventListener("change", () => set({ unit: Number(select.value), hand: {} }));
  element("undo").addEventListener("click", () => set({ hand: {} }));
  element("drawing").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    go(state.step + step);
  });
  when(["map", "told"], showUnits);
  when(["source", "layer", "reverse", "unit"], () => state.unit !== null && ask({ ...place(), unit: state.unit }, receive));
  when(["told", "step", "hand", "label"], show);
  when(["hand", "step"], whatIf);
}

function hint() {
  if (!isGru()) return "A vanilla RNN has no gates: at every word, what comes from the memory and what comes from the word are added and squashed.";
  const { off } = state.facts;
  const reset = off.includes("reset") ? "Without a reset gate all of it goes into the candidate," : "The reset gate lets a part of it into the candidate,";
  const update = off.includes("update") ? "without an update gate the new takes the place of the old." : "the update gate blends the old memory with the new.";
  const ask = `Drag ${movable()}, or move it with the arrow keys, to ask: what if?`;
  return `Memory flows along the upper line. ${reset} ${update} Blue is positive, orange negative, width is size. ${ask}`;
}

const movable = () => (gates().length ? "a gate" : "the candidate");

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

function receive(unit) {
  told = unit;
  answer = null;
  select.value = state.unit;
  show();
}

function whatIf() {
  answer = null;
  if (!Object.keys(state.hand).length) return show();
  const question = { ...place(), unit: state.unit, step: state.step, ...state.hand };
  askWhatIf(question, (found) => {
    if (!Object.keys(state.hand).length || question.step !== state.step || question.unit !== state.unit) return;
    answer = found;
    show();
  });
}

function show() {
  const { step, hand } = state;
  element("undo").disabled = !Object.keys(hand).length;
  if (!told || told.hidden.length !== words().length || !words().length) return clear();
  const values = answer?.gates ?? Object.fromEntries(Object.entries(told.gates).map(([gate, row]) => [gate, row[step]]));
  const index = isGru() ? { reset: 0, update: 1, candidate: 2 } : { candidate: 0 };
  const part = (gate) => [told.from_input[index[gate]][step], told.from_memory[index[gate]][step]];
  const [input, recalled] = part("candidate");
  const numbers = {
    word: named(step), previous: told.previous[step], hidden: (answer ?? told).hidden[step], input, recalled, hand,
    reset: 1, update: 0, candidate: told.hidden[step], parts: {},
  };
  if (isGru()) {
    const { reset, update, candidate } = { ...values, ...hand };
    Object.assign(numbers, { reset, update, candidate, parts: { reset: part("reset"), update: part("update") } });
  }
  drawing.show(numbers);
  element("drawing").ariaLabel = spoken(`Drawing of unit ${state.unit} at ${placed(step)}; left and right arrow: word by word`);
  element("equation").textContent = equation(numbers);
  showChange();
  showLife();
}

function clear() {
  element("equation").textContent = element("change").textContent = element("life-note").textContent = "";
}

function equation({ previous, update, candidate, hidden, input, recalled }) {
  if (!isGru()) return spoken(`memory after = φ(word ${signed(input)} and memory ${signed(recalled)}) = ${plain(hidden)}`);
  const [old, fresh] = [`${plain(update)} × ${plain(previous)}`, `${plain(1 - update)} × ${plain(candidate)}`];
  return `memory after = z × memory before + (1\u00a0−\u00a0z)\u00a0×\u00a0n = ${old} + ${fresh} = ${plain(hidden)}`;
}

function showChange() {
  const note = element("change");
  if (!answer) {
    note.textContent = isGru() ? `Move ${movable()} to see what it would have changed.` : "";
    return;
  }
  const { label } = state;
  const [before, after] = [answer.before[label], answer.after[label]].map((p) => 100 * p);
  const text = `${className(label)}: ${before.toFixed(2)} % → ${after.toFixed(2)} %`;
  const strong = Object.assign(document.createElement("b"), { textContent: `${text} (${signed(after - before)} points)` });
  note.replaceChildren("What if? ", strong, spoken(". All that comes after this word is computed anew."));
}

function showLife() {
  const series = [...gates().map((gate) => told.gates[gate]), told.hidden, answer?.hidden].filter(Boolean);
  chart.show(series, `life${answer ? "1" : "0"}`);
  element("life-keys").querySelector(".hand").hidden = !answer;
  hover(null);
}

function lifeLayout() {
  const points = { show: (plot) => plot.data[0].length < 2 };
  const line = (colour, width, dash) => ({ stroke: stroke(colour), width, dash, points });
  const lines = { update: line("--update", 1.5), reset: line("--reset", 1.5, [2, 3]) };
  return {
    series: [...gates().map((gate) => lines[gate]), line("--for-strong", 2.5), ...(answer ? [line("--against-strong", 2.5, [6, 4])] : [])],
    range: (_, low, high) => [Math.min(-1, low), Math.max(1, high)],
    y: { splits: undefined },
    hover,
  };
}

function hover(at) {
  const t = at ?? state.step;
  if (!told || t >= told.hidden.length) return;
  const open = gates().map((gate) => `, ${gate} ${LETTERS[gate]} ${plain(told.gates[gate][t])}`);
  const hand = answer ? `, by hand ${plain(answer.hidden[t])}` : "";
  element("life-note").textContent = `${capital(quoted(t))}: state ${plain(told.hidden[t])}${hand}${open.join("")}.`;
}
