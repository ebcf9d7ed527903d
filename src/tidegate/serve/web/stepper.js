// The bar at the bottom: which word all pictures mark.

import { go, state, when, words } from "./state.js";

const element = (id) => document.getElementById(id);
const slider = element("step");

export function start() {
  slider.addEventListener("input", () => go(slider.value - 1));
  element("back").addEventListener("click", () => go(state.step - 1));
  element("on").addEventListener("click", () => go(state.step + 1));
  when(["account", "step"], show);
}

function show() {
  const T = words().length;
  element("stepper").hidden = !T;
  if (!T) return;
  slider.max = T;
  slider.value = state.step + 1;
  const { numbers } = state.account;
  const word = words()[state.step];
  slider.setAttribute("aria-valuetext", `${state.step + 1} of ${T}${numbers ? "" : `: ${word}`}`);
  element("step-note").replaceChildren(
    Object.assign(document.createElement("bdi"), { textContent: numbers ? "step" : word }),
    ` ${state.step + 1} / ${T}`,
  );
}
