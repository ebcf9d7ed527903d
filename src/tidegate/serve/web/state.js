// What the page shows now, in one place. A module says on which parts it depends and is called when one of them changes.

export const state = {
  facts: null, // what /api/model says
  source: { text: "" }, // what is read: { text } or { vectors }
  touched: 0, // when the user changed it, on the clock of performance.now()
  account: null, // the answer of /api/words
  label: 1, // the class that pictures speak of
  seek: false, // whether the next answer shall choose the word that counts most
  step: 0,
  layer: 0,
  reverse: false,
  gate: "", // or another value of the units, by name: which one the map shows
  map: null, // the answer of /api/gates
  unit: null, // until the words say which counts most
  hand: {}, // values set by hand, by name
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
export const words = () => state.account?.shown ?? []; // as they are shown, see naming.js

const GATES = ["keeps", "reads", "writes", "shows", "gate"];

/** What the model says of a value that its units have: { name, label, symbol, role, off }. */
export const valueOf = (name) => state.facts.values.find((value) => value.name === name);

/** The value that has a role: "keeps", "candidate", "memory", …; undefined if the cell has none. */
export const withRole = (role) => state.facts.values.find((value) => value.role === role);

export const isGate = ({ role }) => GATES.includes(role);

/** The states of a unit, the output first. */
export const statesOf = () => state.facts.values.filter(({ role }) => ["state", "output", "memory"].includes(role));

/** The gates that move; those of some models are fixed. */
export const gates = () => state.facts.values.filter((value) => isGate(value) && !value.off);

export const isGated = () => state.facts.values.some(isGate);

/** Whether units keep what they have written; otherwise they write everything anew. */
export const keeps = () => Boolean(withRole("kept"));

/** The name of a class; one that is a mere number is called so. */
export const className = (c, labels = state.facts.labels) => (/^\d+$/.test(labels[c]) ? `class ${labels[c]}` : labels[c]);

/** Moves to a word; a change by hand belongs to the step where it was made. */
export function go(step) {
  set({ step: Math.max(0, Math.min(step, words().length - 1)), hand: {} });
}

/** How far each word moves the score of a class away from the mean of the others: of two classes, the log-odds. */
export function pulls(account, label) {
  const C = account.logits.length;
  return account.contributions.map((row) => (C * row[label] - row.reduce((sum, share) => sum + share, 0)) / (C - 1));
}
