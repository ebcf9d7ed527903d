// Saves a section as a PNG: what is on the screen, drawn again on a canvas, without what can be pressed or typed into.

import { report } from "./api.js";
import { css } from "./colours.js";

const SCALE = 2; // pixels of the picture for each one of the page
const LEFT_OUT = "button, input, textarea, details, .unseen, .choice label:not(:has(:checked)), .zoom, #map-keys";
const COLOURS = /(?:rgba?|hsla?|color|oklab|oklch)\([^)]*\)/g;
const STYLES = ["fill", "stroke", "stroke-width", "stroke-linecap", "stroke-linejoin", "stroke-dasharray", "opacity", "display",
  "visibility", "font-family", "font-size", "font-weight", "text-anchor", "paint-order"];

export function start() {
  for (const section of document.querySelectorAll("main section:has(.plot, canvas, .words)")) {
    const title = section.querySelector("h2");
    const button = Object.assign(document.createElement("button"), { type: "button", className: "save filled", textContent: "Save as PNG" });
    button.setAttribute("aria-describedby", title.id);
    button.addEventListener("click", () => save(section, title.textContent).catch(({ message }) => report("picture", message)));
    title.before(button);
  }
}

async function save(section, title) {
  const canvas = await picture(section);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await new Promise((done) => canvas.toBlob(done)));
  link.download = `${title.toLowerCase().replaceAll(/\W+/g, "-")}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  report("picture", "");
}

/** Returns a canvas with the picture of a section. */
async function picture(section) {
  const { left, top, width, height } = section.getBoundingClientRect();
  const pen = Object.assign(document.createElement("canvas"), { width: width * SCALE, height: height * SCALE }).getContext("2d");
  pen.scale(SCALE, SCALE);
  pen.translate(-left, -top);
  const end = await draw(pen, section, top);
  const whole = Object.assign(document.createElement("canvas"), { width: pen.canvas.width, height: (end - top + 18) * SCALE });
  whole.getContext("2d").drawImage(pen.canvas, 0, 0);
  return whole;
}

/** Draws an element with all that is in it; returns where the lowest of them ends. */
async function draw(pen, element, end) {
  if (element.matches(LEFT_OUT) || !element.checkVisibility({ visibilityProperty: true })) return end;
  const style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  pen.save();
  if (element instanceof HTMLCanvasElement) pen.drawImage(element, box.left, box.top, box.width, box.height);
  else if (element instanceof SVGElement) pen.drawImage(await image(element, box), box.left, box.top, box.width, box.height);
  else if (element instanceof HTMLSelectElement) write(pen, element.selectedOptions[0]?.text ?? "", box, style);
  else {
    fill(pen, element, style, box);
    if (element instanceof HTMLMeterElement) fillMeter(pen, element, box);
    for (const child of element.childNodes) {
      if (child instanceof Text) writeWords(pen, child, style);
      else if (child instanceof Element) end = await draw(pen, child, end);
    }
  }
  pen.restore();
  return element.querySelector(LEFT_OUT) || element.matches("section") ? end : Math.max(end, box.bottom);
}

/** Fills the box of an element, and keeps what scrolls inside it. */
function fill(pen, element, style, { left, top, width, height }) {
  pen.beginPath();
  pen.roundRect(left, top, width, height, element.matches("section") ? 0 : parseFloat(style.borderRadius) || 0);
  pen.fillStyle = style.backgroundColor;
  const stops = style.backgroundImage.match(COLOURS);
  if (stops) {
    pen.fillStyle = pen.createLinearGradient(left, 0, left + width, 0);
    stops.forEach((colour, i) => pen.fillStyle.addColorStop(i / Math.max(1, stops.length - 1), colour));
  }
  pen.fill();
  pen.strokeStyle = style.color;
  pen.lineWidth = 2;
  if (element.ariaSelected === "true") pen.stroke();
  if (style.overflowY === "auto") pen.clip();
  const key = getComputedStyle(element, "::before"); // the line before an entry of a legend
  if (key.content === "none" || !parseFloat(key.borderTopWidth)) return;
  pen.strokeStyle = key.borderTopColor;
  pen.lineWidth = parseFloat(key.borderTopWidth);
  pen.setLineDash({ dashed: [6, 4], dotted: [2, 3] }[key.borderTopStyle] ?? []);
  pen.beginPath();
  pen.moveTo(left, top + parseFloat(style.lineHeight) / 2);
  pen.lineTo(left + parseFloat(key.width), top + parseFloat(style.lineHeight) / 2);
  pen.stroke();
}

function fillMeter(pen, meter, { left, top, width, height }) {
  pen.clip();
  pen.fillStyle = css(meter.closest(".best") ? "--accent" : "--line-strong");
  pen.beginPath();
  pen.roundRect(left, top, width * meter.value, height, height / 2);
  pen.fill();
}

/** Writes the words of a text where the page has them. */
function writeWords(pen, text, style) {
  for (const { 0: word, index } of text.data.matchAll(/\S+/g)) {
    const range = document.createRange();
    range.setStart(text, index);
    range.setEnd(text, index + word.length);
    const box = range.getClientRects()[0];
    if (box) write(pen, word, box, style);
  }
}

function write(pen, text, { left, top, width, height }, style) {
  pen.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  pen.fillStyle = pen.strokeStyle = style.color;
  pen.direction = style.direction;
  pen.textAlign = "left";
  const { fontBoundingBoxAscent: above, fontBoundingBoxDescent: below } = pen.measureText(text);
  const line = top + (height + above - below) / 2;
  pen.fillText(text, left, line);
  if (!style.textDecorationLine.includes("underline")) return;
  pen.setLineDash([1.5, 2]);
  pen.beginPath();
  pen.moveTo(left, line + 3.5);
  pen.lineTo(left + width, line + 3.5);
  pen.stroke();
  pen.setLineDash([]);
}

/** Returns a drawing as an image, in which the styles of the page are attributes. */
async function image(drawing, { width, height }) {
  const copy = drawing.cloneNode(true);
  const [from, to] = [drawing, copy].map((root) => [root, ...root.querySelectorAll("*")]);
  from.forEach((node, i) => {
    const style = getComputedStyle(node);
    for (const name of STYLES) to[i].setAttribute(name, style.getPropertyValue(name));
  });
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  const found = new Image();
  found.src = `data:image/svg+xml,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  await found.decode();
  return found;
}
