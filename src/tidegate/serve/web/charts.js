// Charts along the words: uPlot with our axes, colours and the mark of the chosen word. A click chooses a word.

import { css, onTheme } from "./colours.js";
import { shorten } from "./naming.js";
import { whenSeen } from "./seen.js";
import { go, state, when, words } from "./state.js";

const uPlot = globalThis.uPlot;
const FONT = "12px system-ui, sans-serif";
const LABEL_ROOM = 15; // pixels that a slanted word needs

/** A chart in `host`. `layout(chart)` gives uPlot's options without sizes; `data` is a list of series over the words. */
export class WordChart {
  constructor(host, height, layout) {
    Object.assign(this, { host, height, layout, plot: null, series: [], kind: "", width: 0 });
    const redraw = whenSeen(host, () => this.plot?.redraw(false));
    new ResizeObserver(() => this.resize()).observe(host);
    onTheme(redraw);
    when(["step"], redraw);
  }

  /** Draws series; `kind` says when the old plot cannot show the new ones. */
  show(series, kind = "") {
    const T = words().length;
    this.series = series;
    const full = `${kind} ${series.length} ${this.showsWords()} ${T > 1}`;
    if (full !== this.kind) {
      this.plot?.destroy();
      this.plot = null;
    }
    this.kind = full;
    const data = [Array.from({ length: T }, (_, t) => t), ...series];
    if (!T || !this.width) return;
    if (this.plot) {
      this.plot.setData(data);
      if (this.showsWords()) this.plot.redraw(false, true); // the axis has their names, which uPlot keeps while their number stays
    } else this.plot = new uPlot(this.options(), data, this.host);
  }

  showsWords() {
    return words().length * LABEL_ROOM < this.width - 60;
  }

  resize() {
    const width = this.host.clientWidth; // read here alone: it makes the browser lay out the page
    if (!width) return; // while it is hidden it keeps its size
    this.width = width;
    if (!this.series.length || !state.account) return;
    if (!this.plot || this.kind.split(" ").at(-2) !== String(this.showsWords())) this.show(this.series, this.kind.split(" ")[0]);
    else if (this.plot.width !== width) this.plot.setSize({ width, height: this.height });
  }

  options() {
    const options = this.layout(this);
    const colours = { stroke: () => css("--muted"), grid: { stroke: () => css("--line"), width: 1 }, ticks: { show: false } };
    const named = this.showsWords();
    const x = {
      ...colours,
      font: FONT,
      grid: { show: false },
      space: named ? LABEL_ROOM - 1 : 60,
      incrs: [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000],
      size: named ? 64 : 28,
      rotate: named ? 50 : 0,
      values: (_, at) => at.map((t) => (Number.isInteger(t) ? (named ? shorten(words()[t]) : String(t + 1)) : "")),
    };
    const y = { ...colours, font: FONT, size: 48, ...options.y };
    return {
      width: this.width,
      height: this.height,
      padding: [10, 10, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 }, ...options.cursor },
      scales: { x: { time: false, range: (_, low, high) => [low - 0.5, high + 0.5] }, y: { range: options.range } },
      axes: [x, y],
      series: [{}, ...options.series],
      bands: options.bands,
      hooks: {
        drawClear: [(plot) => mark(plot)],
        draw: options.draw ? [options.draw] : [],
        setCursor: [(plot) => options.hover?.(plot.cursor.left >= 0 ? plot.cursor.idx : null)],
        ready: [(plot) => plot.over.addEventListener("click", () => plot.cursor.idx != null && go(plot.cursor.idx))],
      },
    };
  }
}

/** Shades the column of the chosen word. */
function mark(plot) {
  const { ctx, bbox } = plot;
  const [left, right] = [state.step - 0.5, state.step + 0.5].map((x) => plot.valToPos(x, "x", true));
  const width = Math.max(right - left, 3 * devicePixelRatio);
  ctx.save();
  ctx.fillStyle = css("--mark");
  ctx.fillRect((left + right - width) / 2, bbox.top, width, bbox.height);
  ctx.restore();
}

/** The colour of a custom property, read when the chart is drawn: themes may change. */
export const stroke = (name) => () => css(name);
