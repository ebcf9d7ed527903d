// What flows through a unit, read from what its values do: a memory with gates for what is kept, written and shown; a
// state that blends old and new; or a plain sum that is squashed.

import { capital, small, spoken } from "./naming.js";
import { plain, signed } from "./numbers.js";
import { withRole } from "./state.js";

/** "memory" for a unit whose output is not its memory or that has a gate for writing, "blend", or "plain". */
export function kindOf() {
  if (withRole("writes") || withRole("shows")) return "memory";
  return withRole("keeps") ? "blend" : "plain";
}

/** What a state is called: "cell state"; "memory" for the one state of a unit that has no other. */
function nameOf(role) {
  const value = withRole(role);
  return value ? small(value.label).replace(` ${value.symbol}`, "") : "memory";
}

/** What U multiplies, as drawing and sentences call it: the memory, or the letter of the output where that is another state. */
export const recalledName = () => withRole("output")?.symbol ?? "memory";

/** Numbers by role; a unit without a gate for it keeps nothing, reads all, writes what it does not keep, and shows all. */
function rolesOf({ values, parts, before, after, readsFirst }) {
  const number = (role, other) => (withRole(role) ? values[withRole(role).name] : other);
  const keeps = number("keeps", 0);
  const reads = number("reads", 1);
  const [input, memory] = parts[(withRole("candidate") ?? withRole("other")).name];
  const state = (role) => withRole(role)?.name;
  const [memoryName, outputName] = [state("memory") ?? state("state"), state("output") ?? state("state")];
  return {
    keeps, reads, writes: number("writes", 1 - keeps), shows: number("shows", 1), candidate: number("candidate", 0), input, memory,
    recalled: readsFirst ? memory : reads * memory, branch: readsFirst ? before[outputName] : memory,
    old: before[memoryName], next: after[memoryName], oldOutput: before[outputName], output: after[outputName],
  };
}

/** The numbers of lines and pools, and what is said beside the parts, line by line; those that a layout lacks are left out. */
export function planOf(numbers) {
  const n = rolesOf(numbers);
  const kind = kindOf();
  const squashed = Math.tanh(n.next);
  return {
    lines: {
      before: n.old, branch: n.branch, recalled: kind === "memory" ? n.oldOutput : n.recalled, input: n.input, sum: n.input + n.recalled,
      fresh: n.candidate, kept: n.keeps * n.old, taken: n.writes * n.candidate, after: n.next, hidden: n.next, squashed, shown: n.output,
    },
    pools: { previous: n.old, recall: n.oldOutput, candidate: n.candidate, next: n.next, output: n.output },
    texts: {
      previous: [`${nameOf("memory")} before`], next: [`${nameOf("memory")} after`],
      recall: [`${nameOf("output")} before`], output: [`${nameOf("output")} after`],
      candidate: [`candidate ${withRole("candidate")?.symbol}`],
      input: [spoken(`word ${signed(n.input)}`)], recalled: [`${recalledName()} ${signed(n.recalled)}`], sum: [signed(n.input + n.recalled)],
      kept: [signed(n.keeps * n.old)], taken: [signed(n.writes * n.candidate)], squashed: [signed(squashed)],
      ...(withRole("keeps")?.off ? {} : { keep: ["keep old"], take: ["take new"] }),
    },
  };
}

/** How the unit comes to its new memory and output, with symbols and numbers, a line for each. */
export function equationOf(numbers) {
  const n = rolesOf(numbers);
  const kind = kindOf();
  if (kind === "plain") return spoken(`memory after = φ(word ${signed(n.input)} and memory ${signed(n.recalled)}) = ${plain(n.next)}`);
  const [keep, write, show, candidate] = ["keeps", "writes", "shows", "candidate"].map((role) => withRole(role)?.symbol);
  const rest = write ?? `(1\u00a0−\u00a0${keep})`;
  const [kept, shown] = [nameOf("memory"), nameOf("output")];
  const sum = `${plain(n.keeps)} × ${plain(n.old)} + ${plain(n.writes)} × ${plain(n.candidate)}`;
  const memory = `${kept} after = ${keep} × ${kept} before + ${rest}\u00a0×\u00a0${candidate} = ${sum} = ${plain(n.next)}`;
  if (!show) return memory;
  return `${memory};\n${shown} after = ${show} × tanh(${kept} after) = ${plain(n.shows)} × ${plain(Math.tanh(n.next))} = ${plain(n.output)}`;
}

/** What the drawing shows, in words: which gates there are and what each does. */
export function hintOf() {
  const kind = kindOf();
  if (kind === "plain") return "This unit has no gates: at every word, what comes from the memory and what comes from the word are added and squashed.";
  const off = (role) => withRole(role)?.off;
  const gate = (role) => `the ${withRole(role)?.name} gate`;
  const sentences = [];
  if (kind === "memory") {
    sentences.push(`The ${nameOf("memory")} flows along the first line.`);
    if (withRole("keeps")) sentences.push(`${gate("keeps")} lets a part of it through,`);
    if (withRole("writes")) sentences.push(`${gate("writes")} lets a part of the candidate in,`);
    sentences.push(withRole("shows") ? `and ${gate("shows")} shows a part of it as the ${nameOf("output")}.` : "and all of it is the output.");
  } else {
    sentences.push("Memory flows along the first line.");
    if (withRole("reads")) sentences.push(off("reads") ? `without ${gate("reads")} all of it goes into the candidate,` : `${gate("reads")} lets a part of it into the candidate,`);
    sentences.push(off("keeps") ? `and without ${gate("keeps")} the new takes the place of the old.` : `and ${gate("keeps")} blends the old memory with the new.`);
  }
  const text = sentences.map((part, i) => (i && sentences[i - 1].endsWith(".") ? capital(part) : part)).join(" ");
  return `${text} Blue is positive, orange negative, width is size. Drag ${movable()}, or move it with the arrow keys, to ask: what if?`;
}

/** What can be moved by hand. */
export const movable = () => (["keeps", "reads", "writes", "shows"].some((role) => withRole(role) && !withRole(role).off) ? "a gate" : "the candidate");
