// Colours for canvases, by theme. Style sheets hold all others. They can be told apart by colour-blind people.

const dark = matchMedia("(prefers-color-scheme: dark)");

const STOPS = {
  sequential: {
    light: ["#f4f7f8", "#a9d5d3", "#3f9a9c", "#0b5a66", "#03282f"],
    dark: ["#141c21", "#0f4a55", "#1d8488", "#63c6bd", "#e4fbf5"],
  },
  diverging: {
    light: ["#a34a00", "#ee9a50", "#f1f1ef", "#6aa8ee", "#0b4a9e"],
    dark: ["#ffb36b", "#b8621a", "#1c2429", "#2f6fc0", "#9ccbff"],
  },
};

/** Bands of the stream: light enough for dark letters on them, in both themes. */
export const BANDS = ["#77aadd", "#ee8866", "#44bb99", "#eedd88", "#99ddff", "#ffaabb", "#bbcc33", "#cfc4ea"];

export function onTheme(act) {
  dark.addEventListener("change", act);
}

/** A custom property of the style sheet, such as "--ink". */
export function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export function stops(scale) {
  return STOPS[scale][dark.matches ? "dark" : "light"];
}

/** 256 colours of a scale as 32-bit pixels of a canvas. */
export function table(scale) {
  const colours = stops(scale).map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  const pixels = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * (colours.length - 1);
    const low = Math.min(Math.floor(at), colours.length - 2);
    const [r, g, b] = colours[low].map((channel, k) => Math.round(channel + (at - low) * (colours[low + 1][k] - channel)));
    pixels[i] = (255 << 24) | (b << 16) | (g << 8) | r;
  }
  return pixels;
}
