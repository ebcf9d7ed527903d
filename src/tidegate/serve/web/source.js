// What is read: a text as it is typed, an example, or a file of numbers.

import { report } from "./api.js";
import { counted } from "./numbers.js";
import { set, state, when } from "./state.js";

const EXAMPLES = {
  "A plot, then a verdict":
    "A long tale of brothers and wars and ships and storms, of kings who sail for years and of the sons who wait for " +
    "them at home, of letters lost and found, and of a feast where everybody meets again. But the movie is really boring.",
  "Love first, then a plot":
    "I love this movie so much, and then it goes on and on about the plot of the story and who meets whom and where, " +
    "and about the house by the sea and the people who lived in it before the war.",
  "Not bad": "Not bad at all. I had expected little of it, and I was wrong.",
};

const text = document.getElementById("text");
const note = document.getElementById("text-note");
const file = document.getElementById("csv");

export function start() {
  const examples = document.getElementById("examples");
  for (const [name, example] of Object.entries(EXAMPLES)) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", (event) => {
      text.value = example;
      read(event, true);
    });
    examples.append(button);
  }
  text.addEventListener("input", (event) => read(event));
  file.addEventListener("change", load);
  document.getElementById("csv-note").textContent = `one row of ${counted(state.facts.embedding_size, "number")} for each word`;
  when(["account"], showNote);
  text.value ||= Object.values(EXAMPLES)[0];
  read({ timeStamp: performance.now() }, true);
}

function read(event, seek = false) {
  report("file", "");
  set({ touched: event.timeStamp, seek, hand: {}, source: { text: text.value } });
}

async function load(event) {
  const [chosen] = file.files;
  if (!chosen) return;
  try {
    const vectors = parse(await chosen.text(), state.facts.embedding_size);
    text.value = "";
    report("file", "");
    set({ touched: event.timeStamp, seek: true, hand: {}, source: { vectors } });
    note.textContent = `${chosen.name}: ${counted(vectors.length, "step")} of ${counted(vectors[0].length, "number")}.`;
  } catch (error) {
    report("file", `${chosen.name}: ${error.message}`);
  }
  file.value = ""; // the same file may be chosen again
}

/** Reads rows of numbers; a first line of names is left out. */
export function parse(content, width) {
  const lines = content.split(/\r?\n/).filter((line) => line.trim());
  const rows = lines.map((line) => line.split(/[,;\t]/).map((cell) => (cell.trim() === "" ? NaN : Number(cell))));
  const first = rows.length && rows[0].every(Number.isNaN) ? 1 : 0;
  if (!rows.some((row) => row.every(Number.isFinite))) throw new Error(`this is not a table of numbers; this model reads ${counted(width, "number")} a step.`);
  rows.slice(first).forEach((row, i) => {
    const line = i + first + 1;
    if (!row.every(Number.isFinite)) throw new Error(`line ${line} holds something that is not a number.`);
    if (row.length !== width) throw new Error(`line ${line} has ${counted(row.length, "number")}, this model reads ${width} a step.`);
  });
  return rows.slice(first);
}

function showNote() {
  if (state.source.vectors) return;
  const { words, unknown, left_out: left } = state.account;
  const parts = [counted(words.length, "word")];
  if (unknown.length) parts.push(`${unknown.length} not in the model's vocabulary (dotted)`);
  if (left) parts.push(`${left.toLocaleString("en")} more left out: the model reads ${state.facts.longest.toLocaleString("en")}`);
  note.textContent = `${parts.join(" · ")}.`;
}
