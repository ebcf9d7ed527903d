// Questions to the server. Of each kind one is under way; of those asked meanwhile only the newest is kept.

import { whenSeen } from "./seen.js";
import { state } from "./state.js";

const trouble = document.getElementById("trouble");
const failing = new Map();

export async function fetchJson(path, body) {
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(`/api/${path}`, options);
  } catch {
    throw new Error("The server does not answer. Is `tidegate serve` still running?");
  }
  const answer = await response.json().catch(() => ({ error: `The server answered ${response.status}.` }));
  if (!response.ok) throw new Error(answer.error ?? `The server answered ${response.status}.`);
  return answer;
}

/** Returns ask(question, use): use is called with the answer, unless a newer question has been asked by then.
 *  The element that shows the answer is busy meanwhile. A question that `waits` is asked when the element is seen. */
export function asker(path, element, { waits = true } = {}) {
  let running = false;
  let next = null;
  const start = waits ? whenSeen(element, run) : run;
  return function ask(question, use) {
    next = [question, use, state.touched];
    start();
  };
  async function run() {
    if (running) return;
    running = true;
    element.ariaBusy = "true";
    while (next) {
      const [body, receive, touched] = next;
      next = null;
      try {
        const answer = await fetchJson(path, body);
        if (!next) {
          report(path, "");
          receive(answer);
          painted(path, touched);
        }
      } catch (error) {
        report(path, error.message);
      }
    }
    running = false;
    element.ariaBusy = "false";
  }
}

/** Shows what went wrong with questions of a kind, or that they go well again. */
export function report(kind, message) {
  if (message) failing.set(kind, message);
  else failing.delete(kind);
  trouble.textContent = [...new Set(failing.values())].join(" ");
  trouble.hidden = !failing.size;
}

/** Notes how long it took from the user's last change to the frame with its picture; benchmarks read it. */
function painted(name, since) {
  requestAnimationFrame(() =>
    setTimeout(() => {
      performance.clearMeasures(name);
      performance.measure(name, { start: since, end: performance.now() });
    }),
  );
}

export function decode(text) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return new Uint16Array(bytes.buffer);
}
