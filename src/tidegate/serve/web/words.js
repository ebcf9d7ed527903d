// The verdict, the words coloured by contribution, the probability after each, and all figures as a table.

import { asker } from "./api.js";
import { stroke, WordChart } from "./charts.js";
import { capital, named, quoted, spoken, withNames } from "./naming.js";
import { plain, percent, signed } from "./numbers.js";
import { className, go, keeps, pulls, set, state, when, words } from "./state.js";

const element = (id) => document.getElementById(id);
const list = element("words");
const select = element("label");
const ask = asker("words", list, { waits: false });
const VISIBLE = 0.6; // a power that lets small shares be seen beside large ones
let chosenByHand = false; // the class; else it follows the verdict
let curve;

export function start() {
  const { labels, term } = state.facts;
  element("words-hint").textContent = `The score is a sum with one term for each word. Colour shows the term: ${term}. Choose a word to see it in all pictures.`;
  select.append(...labels.map((_, c) => new Option(className(c), c)));
  select.addEventListener("change", () => {
    chosenByHand = true;
    set({ label: Number(select.value) });
  });
  curve = new WordChart(element("curve"), 190, curveLayout);
  list.addEventListener("click", (event) => event.target.dataset.step && go(Number(event.target.dataset.step)));
  list.addEventListener("keydown", move);
  element("figures").addEventListener("toggle", showTable);
  when(["source"], () => ask(state.source, receive));
  when(["account", "label"], show);
  when(["account", "label", "step"], showStep);
}

function receive(account) {
  const last = Math.max(0, account.words.length - 1);
  const follow = state.step >= words().length - 1 || state.step > last; // whoever types stays at the end
  const best = account.probabilities.indexOf(Math.max(...account.probabilities));
  const label = chosenByHand || state.facts.labels.length === 2 ? state.label : best;
  const sizes = pulls(account, label).map(Math.abs);
  const step = state.seek ? Math.max(0, sizes.indexOf(Math.max(...sizes))) : follow ? last : state.step;
  set({ account: withNames(account), label, step, seek: false, unit: state.unit ?? account.leading });
}

function show() {
  const { account, label, facts } = state;
  if (!account) return;
  select.value = label;
  const sums = pulls(account, label);
  colour(list, account, sums);
  element("words-empty").hidden = account.words.length > 0;
  document.body.classList.toggle("empty", !account.words.length);
  element("remark").textContent = account.remark && `${capital(spoken(account.remark)).replaceAll(" × ", "\u00a0×\u00a0")}.`;
  element("scale-high").textContent = `for ${className(label)}`;
  element("scale-low").textContent = facts.labels.length === 2 ? `for ${className(1 - label)}` : "against it";
  showVerdict(element("verdict"), account.probabilities, facts.labels);
  const classes = facts.labels.length === 2 ? [label] : [...facts.labels.keys()].slice(0, 12).filter((c) => c !== label);
  const shown = facts.labels.length === 2 ? classes : [...classes, label];
  curve.show(shown.map((c) => account.probability_after.map((row) => row[c])), `curve${label}`);
  showTable();
}

/** Makes as many words as there are; those that are there already are changed in place. */
export function colour(list, account, sums) {
  const largest = Math.max(1e-9, ...sums.map(Math.abs));
  const unknown = new Set(account.unknown);
  list.dir = state.source.text !== undefined && element("text").matches(":dir(rtl)") ? "rtl" : "ltr";
  while (list.children.length > account.words.length) list.lastChild.remove();
  account.shown.forEach((word, t) => {
    const item = list.children[t] ?? list.appendChild(newWord(t, list));
    const whole = account.words[t] === word ? "" : account.words[t];
    if (item.textContent !== word) item.textContent = word;
    if (item.title !== whole) item.title = whole;
    item.className = (sums[t] < 0 ? "against" : "for") + (unknown.has(t) ? " unknown" : "");
    item.style.setProperty("--pull", ((Math.abs(sums[t]) / largest) ** VISIBLE).toFixed(3));
    item.ariaLabel = `${word}, ${signed(sums[t])}`;
  });
}

function newWord(t, { id, role }) {
  const item = document.createElement("bdi");
  item.role = role === "listbox" ? "option" : "listitem";
  item.id = `${id.slice(0, -1)}-${t}`; // word-3, other-word-3
  item.dataset.step = t;
  return item;
}

/** Shows the probabilities of classes as bars. */
export function showVerdict(list, probabilities, labels) {
  const order = probabilities.map((p, c) => [p, c]).sort(([a], [b]) => b - a);
  const kept = probabilities.length === 2 ? probabilities.map((p, c) => [p, c]) : order.slice(0, 6);
  list.replaceChildren(
    ...kept.map(([p, c]) => {
      const item = document.createElement("li");
      const [name, value, bar] = ["b", "span", "meter"].map((tag) => item.appendChild(document.createElement(tag)));
      name.textContent = className(c, labels);
      name.id = `${list.id}-${c}`;
      bar.value = p;
      bar.setAttribute("aria-labelledby", name.id);
      value.textContent = percent(p);
      item.classList.toggle("best", c === order[0][1]);
      return item;
    }),
  );
}

function showStep() {
  const { account, step, label } = state;
  list.querySelector("[aria-selected=true]")?.removeAttribute("aria-selected");
  const item = list.children[step];
  if (!account || !item) {
    list.removeAttribute("aria-activedescendant");
    element("word-note").textContent = element("curve-note").textContent = "";
    return;
  }
  item.ariaSelected = "true";
  keepInView(item);
  list.setAttribute("aria-activedescendant", item.id);
  element("word-note").textContent = describe(step);
  element("curve-note").textContent = hover(step);
}

/** Scrolls the words, and not the page, to one that another picture has chosen. */
function keepInView({ offsetTop, offsetHeight }) {
  const top = offsetTop - list.offsetTop;
  const out = top < list.scrollTop || top + offsetHeight > list.scrollTop + list.clientHeight;
  if (out) list.scrollTop = top - list.clientHeight / 2;
}

function describe(t) {
  const { account, label, facts } = state;
  const pull = pulls(account, label)[t];
  const other = facts.labels.length === 2 ? `for ${className(1 - label)}` : `against ${className(label)}`;
  const towards = pull >= 0 ? `for ${className(label)}` : other;
  const kept = keeps() ? `; ${percent(account.kept[t])} of what it wrote is left at the end` : "";
  const unknown = account.unknown.includes(t) ? " (not in the vocabulary)" : "";
  return `${capital(quoted(t))}${unknown} counts ${plain(Math.abs(pull))} ${towards}${kept}.`;
}

function hover(t) {
  const { account, label } = state;
  const step = t ?? state.step;
  if (!account?.probability_after[step]) return "";
  return `After ${quoted(step)}: ${percent(account.probability_after[step][label])} for ${className(label)}.`;
}

function move(event) {
  const forward = list.dir === "rtl" ? "ArrowLeft" : "ArrowRight";
  const back = list.dir === "rtl" ? "ArrowRight" : "ArrowLeft";
  const steps = { [forward]: 1, ArrowDown: 1, [back]: -1, ArrowUp: -1, PageDown: 10, PageUp: -10 };
  const target = event.key === "Home" ? 0 : event.key === "End" ? Infinity : state.step + steps[event.key];
  if (Number.isNaN(target) || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  go(target);
  list.children[state.step]?.scrollIntoView({ block: "nearest" });
}

function curveLayout(chart) {
  const others = chart.series.slice(1).map(() => ({ stroke: stroke("--line-strong"), width: 1 }));
  const points = { show: (plot) => plot.data[0].length <= 60, size: 6 };
  return {
    series: [...others, { stroke: stroke("--for-strong"), width: 2.5, points }],
    range: [0, 1],
    y: { values: (_, at) => at.map((p) => `${Math.round(100 * p)} %`), splits: [0, 0.25, 0.5, 0.75, 1] },
    hover: (t) => (element("curve-note").textContent = hover(t)),
  };
}

function showTable() {
  const { account, facts } = state;
  const details = element("figures");
  if (!account || !details.open) return;
  const heads = [spoken("word"), "left at the end", ...facts.labels.flatMap((name) => [`share for ${name}`, `P(${name}) after it`])];
  const rows = account.words.map((_, t) => [
    named(t),
    percent(account.kept[t]),
    ...facts.labels.flatMap((_, c) => [signed(account.contributions[t][c], 3), account.probability_after[t][c].toFixed(3)]),
  ]);
  const sums = facts.labels.flatMap((_, c) => [
    `bias ${signed(account.bias[c], 3)}, in all ${signed(account.logits[c], 3)}`,
    account.probabilities[c].toFixed(3),
  ]);
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  head.append(...heads.map((text) => Object.assign(document.createElement("th"), { textContent: text, scope: "col" })));
  for (const cells of [...rows, ["sum", "", ...sums]]) {
    const row = (table.tBodies[0] ?? table.createTBody()).insertRow();
    row.append(...cells.map((text, i) => Object.assign(document.createElement(i ? "td" : "th"), { textContent: text })));
    row.firstChild.scope = "row";
  }
  details.querySelector("div").replaceChildren(table);
}
