// A gate that can be moved: with a pointer along its track, or with the keys of any slider.

import { plain } from "./numbers.js";

const SVG = "http://www.w3.org/2000/svg";

export class Slider {
  /** `track` leads from the place of the lowest value to that of the highest. */
  constructor(svg, track, { name, low, high, moved }) {
    Object.assign(this, { track, low, high, moved, value: low });
    const [[x1, y1], [x2, y2]] = track;
    this.group = this.make(svg, "g", { class: "slider", tabindex: 0, role: "slider", "aria-label": name });
    this.group.setAttribute("aria-orientation", x1 === x2 ? "vertical" : "horizontal");
    this.group.setAttribute("aria-valuemin", low);
    this.group.setAttribute("aria-valuemax", high);
    this.make(this.group, "line", { x1, y1, x2, y2, class: "grip" });
    this.make(this.group, "line", { x1, y1, x2, y2, class: "track" });
    this.fill = this.make(this.group, "line", { x1, y1, x2, y2, class: "fill" });
    this.handle = this.make(this.group, "circle", { r: 12, class: "handle" });
    this.group.addEventListener("pointerdown", (event) => {
      this.group.setPointerCapture(event.pointerId);
      this.group.focus();
      this.drag(event);
    });
    this.group.addEventListener("pointermove", (event) => this.group.hasPointerCapture(event.pointerId) && this.drag(event));
    this.group.addEventListener("keydown", (event) => this.key(event));
  }

  make(parent, tag, attributes) {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return parent.appendChild(node);
  }

  show(value, byHand) {
    this.value = value;
    const [[x1, y1], [x2, y2]] = this.track;
    const at = (v) => Math.max(0, Math.min(1, (v - this.low) / (this.high - this.low)));
    const [share, zero] = [at(value), at(0)];
    const point = (s) => [x1 + s * (x2 - x1), y1 + s * (y2 - y1)];
    const [[zx, zy], [x, y]] = [point(zero), point(share)];
    for (const [name, v] of Object.entries({ x1: zx, y1: zy, x2: x, y2: y })) this.fill.setAttribute(name, v);
    this.handle.setAttribute("cx", x);
    this.handle.setAttribute("cy", y);
    this.group.classList.toggle("by-hand", byHand);
    this.group.setAttribute("aria-valuenow", value.toFixed(2));
    this.group.setAttribute("aria-valuetext", plain(value) + (byHand ? ", set by hand" : ""));
  }

  drag(event) {
    const matrix = this.group.ownerSVGElement.getScreenCTM().inverse();
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix);
    const [[x1, y1], [x2, y2]] = this.track;
    const share = ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / ((x2 - x1) ** 2 + (y2 - y1) ** 2);
    this.move(this.low + share * (this.high - this.low));
  }

  key(event) {
    const small = (this.high - this.low) / 50;
    const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 5, PageDown: -5, Home: -Infinity, End: Infinity };
    if (event.key === "Escape") this.moved(null);
    else if (event.key in steps) this.move(this.value + small * steps[event.key]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  move(value) {
    const rounded = Math.round(Math.max(this.low, Math.min(this.high, value)) * 100) / 100;
    this.show(rounded, true);
    this.moved(rounded);
  }
}
