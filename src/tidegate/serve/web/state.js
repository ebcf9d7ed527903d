// What the page shows now, in one place. A module says on which parts it depends and is called when one of them changes.

export const state = {
  facts: null, // what /api/model says
  source: { text: "" }, // what is read: { text } or { vectors }
  touched: 0, // when the user changed it, on the clock of performance.now()
  told: null, // the answer of /api/words
  label: 1, // the class that pictures speak of
  seek: false, // whether the next answer shall choose the word that counts most
  step: 0,
  layer: 0,
  reverse: false,
  gate: "update",
  map: null, // the answer of /api/gates
  unit: null, // until the words say which counts most
  hand: {}, // gates set by hand: reset, update, candidate
};

const listeners = [];

export function when(keys, act) {
  listeners.push([keys, act]);
}

export function set(changes) {
  const changed = Object.keys(changes).filter((key) => state[key] !== changes[key]);
  Object.assign(state, changes);
  for (const [keys, act] of listeners) if (keys.some((key) => changed.includes(key))) act();
}

export const place = () => ({ ...state.source, layer: state.layer, reverse: state.reverse });
export const words = () => state.told?.shown ?? []; // as they are shown, see naming.js
export const isGru = () => state.facts.gated;

/** The gates of a GRU that move; of some models one or both are fixed. */
export const gates = () => (isGru() ? ["update", "reset"].filter((gate) => !state.facts.off.includes(gate)) : []);

/** Whether units keep what was written: without an update gate they write everything anew. */
export const keeps = () => gates().includes("update");

/** The name of a class; one that is a mere number is called so. */
export const className = (c) => (/^\d+$/.test(state.facts.labels[c]) ? `class ${state.facts.labels[c]}` : state.facts.labels[c]);

/** Moves to a word; a change by hand belongs to the step where it was made. */
export function go(step) {
  set({ step: Math.max(0, Math.min(step, words().length - 1)), hand: {} });
}

/** How far each word moves the score of a class away from the mean of the others: of two classes, the log-odds. */
export function pulls(told, label) {
  const C = told.logits.length;
  return told.contributions.map((row) => (C * row[label] - row.reduce((sum, one) => sum + one, 0)) / (C - 1));
}
