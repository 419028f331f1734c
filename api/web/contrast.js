// Contrast by percentiles: which grey values are black and white, the same for all pictures.

import { el, newId } from "./dom.js";
import { fixed, value } from "./format.js";
import { drawHistogram } from "./histogram.js";
import { percentile } from "./raster.js";

function slider(label, min, max, start, onChange) {
  const id = newId("c");
  const input = el("input", { type: "range", min, max, step: "0.1", value: String(start), id });
  const out = el("output", { for: id });
  const draw = () => {
    out.textContent = `${fixed(Number(input.value), 1)} %`;
  };
  input.addEventListener("input", () => {
    draw();
    onChange();
  });
  draw();
  return {
    node: el("div", { class: "scrub" }, el("label", { for: id }, label), input, out),
    value: () => Number(input.value),
    reset: () => {
      input.value = String(start);
      draw();
    },
  };
}

/** many: a stack, whose pages may share one contrast. onChange(): draw again. */
export function contrastPanel(many, onChange) {
  let lists = {}; // name -> sorted values
  let range = { black: 0, white: 1 };
  const low = slider("Low", 0, 50, 0.5, () => update(true));
  const high = slider("High", 50, 100, 99.8, () => update(true));
  const lockId = newId("lock");
  const lock = el("input", { type: "checkbox", id: lockId });
  const text = el("p", { class: "facts" });
  const canvas = el("canvas", { class: "histogram", role: "img", "aria-label": "Histogram" });
  const legend = el("p", { class: "legend" });
  const reset = el("button", { type: "button", class: "quiet" }, "Reset");
  reset.addEventListener("click", () => {
    low.reset();
    high.reset();
    update(true);
  });
  lock.addEventListener("change", () => update(true));

  function draw() {
    const style = getComputedStyle(canvas);
    const shown = [];
    if (lists.before) shown.push({ list: lists.before, style: "fill", colour: style.getPropertyValue("--before") });
    if (lists.after) shown.push({ list: lists.after, style: "line", colour: style.getPropertyValue("--after") });
    drawHistogram(canvas, shown, range);
    text.textContent = `black ${value(range.black)}, white ${value(range.white)}`;
    canvas.setAttribute("aria-label",
      `Histogram of grey values; ${text.textContent}${lists.after ? "; noisy filled, denoised as a line" : ""}`);
  }

  function update(own) {
    const of = lists.after ?? lists.before;
    if (!of) return;
    if (own || !lock.checked) {
      range = { black: percentile(of, low.value()), white: percentile(of, high.value()) };
      if (range.white <= range.black) range.white = range.black + 1e-6 + Math.abs(range.black) * 1e-6;
    }
    draw();
    onChange();
  }

  const node = el("section", {}, el("div", { class: "row between" }, el("h3", {}, "Contrast"), reset),
    low.node, high.node,
    many ? el("div", { class: "check" }, lock, el("label", { for: lockId }, "The same for all pages")) : null,
    canvas, legend, text);
  const observer = new ResizeObserver(() => {
    if (lists.before) draw();
  });
  observer.observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => canvas.isConnected && draw());
  return {
    node,
    range: () => range,
    /** before, after: sorted values; after may be absent. */
    show(before, after) {
      lists = { before, after };
      legend.replaceChildren(el("span", { class: "key before" }, after ? "noisy" : "image"),
        after ? el("span", { class: "key after" }, "denoised") : "");
      update(false);
    },
  };
}
