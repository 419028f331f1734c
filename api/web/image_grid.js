// Images as cards with a picture, a name and facts, which can be chosen.

import { button, clear, el, newId } from "./dom.js";
import { shape } from "./format.js";
import { imageThumb } from "./thumbs.js";

/** images: an array that the caller owns. options: {chosen: Set of ids, onChange, actions(image)} */
export function imageGrid(images, { chosen, onChange, actions }) {
  const card = (image) => {
    const id = newId("pick");
    const box = el("input", { type: "checkbox", id, checked: chosen.has(image.id) });
    const node = el("li", { class: `card${chosen.has(image.id) ? " chosen" : ""}` },
      el("label", { for: id }, imageThumb(image.id),
        el("span", { class: "check" }, box, el("span", { class: "name", title: image.name }, image.name)),
        el("span", { class: "facts" }, shape(image))),
      actions ? el("div", { class: "row tight" }, actions(image)) : null);
    box.addEventListener("change", () => {
      if (box.checked) chosen.add(image.id);
      else chosen.delete(image.id);
      node.classList.toggle("chosen", box.checked);
      onChange?.();
    });
    return node;
  };
  return el("ul", { class: "grid" }, images.map(card));
}

/** A grid with a filter by name and a button for more, of images that load(signal) gives.
 * first: those that are chosen when it is loaded come first. */
export function imageShelf(load, { chosen, onChange, actions, empty, first }) {
  let images = [];
  let shown = 60;
  const filter = el("input", { type: "search", placeholder: "Filter by name", "aria-label": "Filter images by name" });
  const hits = el("span", { class: "hint", role: "status" });
  const place = el("div", {});
  const matching = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    return images.filter((i) => words.every((w) => i.name.toLowerCase().includes(w)));
  };
  const draw = () => {
    const found = matching();
    hits.textContent = filter.value ? `${found.length} of ${images.length}` : "";
    clear(place,
      images.length === 0 ? empty() : imageGrid(found.slice(0, shown), { chosen, onChange, actions }),
      found.length > shown ? button(`Show ${found.length - shown} more`, () => {
        shown += 240;
        draw();
      }) : null);
  };
  filter.addEventListener("input", draw);
  const everything = button("Choose all", () => {
    const found = matching();
    const every = found.every((i) => chosen.has(i.id));
    for (const image of found) if (every) chosen.delete(image.id);
    else chosen.add(image.id);
    draw();
    onChange?.();
  }, { class: "quiet" });
  const node = el("div", { class: "shelf" },
    el("div", { class: "row tools" }, filter, everything, hits), place);
  return {
    node,
    draw,
    images: () => images,
    async reload(signal) {
      images = await load(signal);
      if (first) images = [...images.filter((i) => chosen.has(i.id)), ...images.filter((i) => !chosen.has(i.id))];
      for (const id of [...chosen]) if (!images.some((i) => i.id === id)) chosen.delete(id);
      node.classList.toggle("bare", images.length === 0);
      draw();
      onChange?.();
    },
  };
}
