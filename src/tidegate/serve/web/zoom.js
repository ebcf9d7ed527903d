// The part of the heat map that is shown, and how pointer and keys change it and choose a word and a unit.

import { go, set, state } from "./state.js";

const SMALLEST = 4; // words or units that are shown at least
const element = (id) => document.getElementById(id);

export class Zoom {
  /** `room()` tells where words and rows are on the canvas, `hover(t, row)` is called for the cell under the pointer. */
  constructor(canvas, room, draw, hover) {
    Object.assign(this, { canvas, room, draw, hover, part: null, drag: null });
    this.startPointer();
    canvas.addEventListener("keydown", (event) => this.key(event));
    element("zoom-in").addEventListener("click", () => this.scale(0.5));
    element("zoom-out").addEventListener("click", () => this.scale(2));
    element("zoom-all").addEventListener("click", () => this.scale(Infinity));
  }

  /** Left, top, right and bottom, in words and rows. */
  shown() {
    return this.part ?? [0, 0, state.map.steps, state.map.units];
  }

  /** The rectangle that is being drawn by the pointer. */
  box() {
    if (!this.drag?.far) return null;
    const { from, to } = this.drag;
    const [x, y] = [Math.min(from.x, to.x), Math.min(from.y, to.y)];
    return [x, y, Math.abs(to.x - from.x), Math.abs(to.y - from.y)];
  }

  /** The cell under a point of the canvas, clamped to those shown. */
  under({ x, y }) {
    const at = this.room();
    const t = Math.floor(at.left + (x - (at.width - at.inner.width)) / at.sx);
    const row = Math.floor(at.top + y / at.sy);
    return { t: Math.max(at.left, Math.min(t, at.right - 1)), row: Math.max(at.top, Math.min(row, at.bottom - 1)) };
  }

  startPointer() {
    const { canvas } = this;
    const point = (event) => ({ x: event.offsetX, y: event.offsetY });
    const on = (name, act) => canvas.addEventListener(name, (event) => state.map?.steps && act(event), { passive: false });
    on("pointerdown", (event) => {
      if (event.button) return;
      this.drag = { from: point(event), to: point(event), far: false };
      if (event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId);
    });
    on("pointermove", (event) => {
      const to = point(event);
      if (this.drag) this.pull(to, event.pointerType === "mouse");
      const { t, row } = this.under(to);
      this.hover(t, row);
    });
    on("pointerup", (event) => this.release(point(event)));
    on("pointercancel", () => (this.drag = null));
    on("pointerleave", () => this.drag || this.draw());
    on("dblclick", () => this.scale(Infinity));
    on("wheel", (event) => {
      if (!event.ctrlKey) return; // a plain wheel scrolls the page; pinching comes with ctrlKey
      event.preventDefault();
      this.scale(event.deltaY < 0 ? 0.8 : 1.25, this.under(point(event)));
    });
  }

  /** Fingers scroll the page, only a mouse draws a rectangle. */
  pull(to, mouse) {
    const { from } = this.drag;
    this.drag.to = to;
    this.drag.far ||= mouse && Math.hypot(to.x - from.x, to.y - from.y) > 6;
    if (this.drag.far) this.draw();
  }

  release(to) {
    if (!this.drag) return;
    const { far, from } = this.drag;
    this.drag = null;
    const [a, b] = [this.under(from), this.under(to)];
    if (far) this.show(Math.min(a.t, b.t), Math.min(a.row, b.row), Math.max(a.t, b.t) + 1, Math.max(a.row, b.row) + 1);
    else {
      set({ unit: state.map.order[b.row], hand: {} });
      go(b.t);
    }
  }

  /** Shows a part of the map, enlarged where it is smaller than a part may be. */
  show(left, top, right, bottom) {
    const { steps, units } = state.map;
    const [l, r] = fit(left, right, steps);
    const [t, b] = fit(top, bottom, units);
    this.part = r - l === steps && b - t === units ? null : [l, t, r, b];
    this.draw();
  }

  /** Scales the part around the chosen word and unit, or around another cell. */
  scale(factor, at = { t: state.step, row: state.map?.order.indexOf(state.unit) }) {
    if (!state.map?.steps) return;
    const { steps, units } = state.map;
    const [left, top, right, bottom] = this.shown();
    const [width, height] = [Math.min(steps, (right - left) * factor), Math.min(units, (bottom - top) * factor)];
    const share = (value, low, high) => Math.max(0, Math.min(1, (value - low) / (high - low)));
    const [x, y] = [at.t - share(at.t, left, right) * width, at.row - share(at.row, top, bottom) * height];
    this.show(x, y, x + width, y + height);
  }

  key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const scales = { "+": 0.5, "=": 0.5, "-": 2, 0: Infinity };
    if (event.altKey || event.ctrlKey || event.metaKey || !state.map?.steps) return;
    if (scales[event.key]) this.scale(scales[event.key]);
    else if (moves[event.key]) this.move(...moves[event.key]);
    else return;
    event.preventDefault();
  }

  /** Moves to a cell beside the chosen one, and the part shown with it. */
  move(dt, drow) {
    const { order } = state.map;
    const row = Math.max(0, Math.min(order.length - 1, order.indexOf(state.unit) + drow));
    set({ unit: order[row], hand: {} });
    if (dt) go(state.step + dt);
    if (!this.part) return;
    const [left, top, right, bottom] = this.part;
    const dx = Math.min(0, state.step - left) + Math.max(0, state.step + 1 - right);
    const dy = Math.min(0, row - top) + Math.max(0, row + 1 - bottom);
    if (dx || dy) this.show(left + dx, top + dy, right + dx, bottom + dy);
  }
}

function fit(low, high, all) {
  const size = Math.min(all, Math.max(SMALLEST, Math.round(high - low)));
  const start = Math.max(0, Math.min(all - size, Math.round((low + high - size) / 2)));
  return [start, start + size];
}
