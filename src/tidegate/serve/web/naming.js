// What steps are called: words by their letters, rows of numbers by their places.

import { state, when, words } from "./state.js";

const LONGEST = 30; // letters of a word that are shown
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const NOUNS = { word: "step", Word: "Step", text: "sequence" };

/** Sentences of the page about words, and labels of controls, are those of steps while a file of numbers is read. */
export function start() {
  const said = [...document.querySelectorAll(".spoken")].map((node) => {
    const key = node.ariaLabel ? "ariaLabel" : "textContent";
    return [node, key, node[key]];
  });
  when(["account"], () => {
    for (const [node, key, sentence] of said) if (node[key] !== spoken(sentence)) node[key] = spoken(sentence);
  });
}

const numbers = () => Boolean(state.account?.numbers);

export const spoken = (sentence) => (numbers() ? sentence.replace(/\b(word|Word|text)/g, (noun) => NOUNS[noun]) : sentence);

export const small = (label) => label.charAt(0).toLowerCase() + label.slice(1);

export const capital = (sentence) => sentence.charAt(0).toUpperCase() + sentence.slice(1);

export function shorten(word, most = 9) {
  const letters = [...(word ?? "")];
  return letters.length > most ? `${letters.slice(0, most - 1).join("")}…` : letters.join("");
}

/** The answer about the words, with what is shown of each. */
export function withNames(account) {
  return { ...account, numbers: Boolean(state.source.vectors), shown: account.words.map((word) => shorten(word, LONGEST)) };
}

/** "film", or "step 3". */
export const named = (t) => (numbers() ? `step ${t + 1}` : (words()[t] ?? ""));

/** The same with its place where the text has the word several times: "film (3)". */
export const distinct = (t) => named(t) + (words().indexOf(words()[t]) === words().lastIndexOf(words()[t]) ? "" : ` (${t + 1})`);

/** In a sentence: “film”, or step 3. No word turns the direction of the sentence. */
export function quoted(t, name = named(t)) {
  if (numbers()) return name;
  return RIGHT_TO_LEFT.test(name) ? `“\u2068${name}\u2069”` : `“${name}”`;
}

/** With its place: word 3 “film”, or step 3. */
export const placed = (t) => (numbers() ? named(t) : `word ${t + 1} ${quoted(t)}`);
