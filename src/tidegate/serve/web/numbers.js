// Numbers as people read them, with a true minus sign.

export const plain = (x, digits = 2) => (Number(x.toFixed(digits)) < 0 ? "−" : "") + Math.abs(x).toFixed(digits);
export const signed = (x, digits = 2) => (Number(x.toFixed(digits)) > 0 ? "+" : "") + plain(x, digits);

export const counted = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;

/** Powers of ten within a sentence get a true minus sign, at which no line breaks. */
export const unbroken = (sentence) => sentence.replace(/e-(?=\d)/g, "e−");

/** Near 0 and 1 with one digit more. */
export const percent = (p) => `${(100 * p).toFixed(Math.abs(p - 0.5) > 0.495 && Math.abs(p - 0.5) < 0.4995 ? 1 : 0)}\u00a0%`;

/** Steps that something is remembered for: "12 words"; 1 / (1 − z) grows without bounds. */
export const memory = (steps) => (steps >= 1000 ? "over 1,000" : steps >= 10 ? steps.toFixed(0) : steps.toFixed(1));

/** A power of ten by its logarithm: 1, 0.01, 1e−6. */
export function power(log) {
  if (log >= -3 && log <= 4) return (10 ** log).toLocaleString("en", { maximumFractionDigits: 3 });
  return `1e${String(Math.round(log)).replace("-", "−")}`;
}
