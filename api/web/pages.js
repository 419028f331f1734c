// Which page is shown: a scrubber for plain stacks; for files with axes one for z and one for
// time, and the channel; for colours the sample of a pixel.

import { button, el, field, newId, select } from "./dom.js";
import { count } from "./format.js";

function scrubber(label, n, onChange) {
  const id = newId("scrub");
  const input = el("input", { type: "range", min: 0, max: n - 1, step: 1, value: "0", id });
  const out = el("output", { for: id });
  const step = (d) => {
    const next = Math.max(0, Math.min(n - 1, Number(input.value) + d));
    if (next === Number(input.value)) return;
    input.value = String(next);
    draw();
    onChange();
  };
  const draw = () => {
    out.textContent = `${count(Number(input.value) + 1)} / ${count(n)}`;
    input.setAttribute("aria-valuetext", `${label} ${Number(input.value) + 1} of ${n}`);
  };
  input.addEventListener("input", () => {
    draw();
    onChange();
  });
  draw();
  return {
    node: el("div", { class: "scrub" }, el("label", { for: id }, label),
      button("\u2039", () => step(-1), { "aria-label": `Previous ${label.toLowerCase()}` }), input,
      button("\u203a", () => step(1), { "aria-label": `Next ${label.toLowerCase()}` }), out),
    value: () => Number(input.value),
  };
}

/** image: as the server describes it. {node, get() -> {page, channel}} */
export function pageChoice(image, onChange) {
  const axes = image.axes && image.axes.t * image.axes.z * image.axes.c === image.pages ? image.axes : null;
  const names = image.channel_names ?? [];
  const parts = [];
  const at = { t: null, z: null, c: null, page: null };
  if (axes) {
    if (axes.c > 1) {
      const options = Array.from({ length: axes.c }, (_, i) => [i, names[i] ?? `channel ${i + 1}`]);
      const choice = select(options, 0);
      choice.addEventListener("change", onChange);
      at.c = { value: () => Number(choice.value) };
      parts.push(field("Channel", choice));
    }
    for (const [key, label] of [["z", "Slice"], ["t", "Time"]])
      if (axes[key] > 1) {
        at[key] = scrubber(label, axes[key], onChange);
        parts.push(at[key].node);
      }
  } else if (image.pages > 1) {
    at.page = scrubber("Page", image.pages, onChange);
    parts.push(at.page.node);
  }
  let sample = null;
  if (image.channels > 1) {
    sample = select([["", "all, as light"], ...Array.from({ length: image.channels },
      (_, i) => [i, names[i] ?? `${i + 1}`])], "");
    sample.addEventListener("change", onChange);
    parts.push(field("Colour channel", sample));
  }
  const page = () => {
    if (!axes) return at.page?.value() ?? 0;
    let index = 0;
    let stride = 1; // the order names the fastest axis first
    for (const letter of axes.order.toLowerCase()) {
      if (!["t", "z", "c"].includes(letter)) continue;
      index += stride * (at[letter]?.value() ?? 0);
      stride *= axes[letter];
    }
    return index;
  };
  return { node: el("div", { class: "pages" }, parts), many: image.pages > 1,
    get: () => ({ page: page(), channel: sample && sample.value !== "" ? Number(sample.value) : null }) };
}
