// The same text in another model that the server has: its verdict and its words beside those of the page's own.

import { asker, fetchJson } from "./api.js";
import { withNames } from "./naming.js";
import { plain } from "./numbers.js";
import { className, pulls, state, when } from "./state.js";
import { colour, showVerdict } from "./words.js";

const element = (id) => document.getElementById(id);
const select = element("other");
let others = [];
let account = null;

export async function start() {
  others = await fetchJson("others");
  if (!others.length) return;
  element("own-name").textContent = titled(state.facts);
  select.append(...others.map((facts, i) => new Option(titled(facts), i)));
  const asks = others.map((_, i) => {
    const ask = asker(`others/${i}/words`, element("beside"));
    return () => ask(state.source, (answer) => receive(i, answer));
  });
  const ask = () => {
    element("beside").hidden = state.source.text === undefined; // numbers are those of one model
    if (!element("beside").hidden) asks[select.value]();
  };
  when(["source"], ask);
  select.addEventListener("change", () => {
    account = null; // that of the model chosen before
    ask();
  });
  when(["account", "label"], show);
  ask();
}

const titled = ({ name, title }) => `${name} · ${title}`;

function receive(i, answer) {
  if (i !== Number(select.value)) return; // another model has been chosen meanwhile
  account = withNames(answer);
  show();
}

function show() {
  if (!account || !state.account) return;
  const { labels } = others[select.value];
  const same = labels.indexOf(state.facts.labels[state.label]);
  const label = same < 0 ? account.probabilities.indexOf(Math.max(...account.probabilities)) : same;
  colour(element("own-words"), state.account, pulls(state.account, state.label));
  showVerdict(element("own-verdict"), state.account.probabilities, state.facts.labels);
  colour(element("other-words"), account, pulls(account, label));
  showVerdict(element("other-verdict"), account.probabilities, labels);
  const colours = same < 0 ? `Colours show what speaks for ${className(label, labels)} in the other one. ` : "";
  element("other-note").textContent = colours + differing(label, same);
}

/** Names the word on which the two differ most, if they cut the text alike and know the same class. */
function differing(label, same) {
  const { words } = state.account;
  if (same < 0 || !words.length || words.join(" ") !== account.words.join(" ")) return "";
  const [own, other] = [pulls(state.account, state.label), pulls(account, label)];
  const gaps = own.map((pull, t) => Math.abs(pull - other[t]));
  const t = gaps.indexOf(Math.max(...gaps));
  const [here, there] = [state.facts, others[select.value]].map(({ name }) => name);
  return `They differ most on “${account.shown[t]}”, which counts ${plain(own[t])} for ${className(state.label)} in ${here}, and ${plain(other[t])} in ${there}.`;
}
