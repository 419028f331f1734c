// A dialog to choose some of the images that are on the server.

import { button, el } from "./dom.js";
import { plural } from "./format.js";
import { emptyBox, errorBox, isAbort } from "./notices.js";
import { list } from "./api.js";
import { imageShelf } from "./image_grid.js";

/** Resolves to the chosen images, or null. without: ids that are not offered. */
export function chooseImages(title, without = new Set()) {
  return new Promise((resolve) => {
    const control = new AbortController();
    const chosen = new Set();
    const use = button("Use them", () => end(shelf.images().filter((i) => chosen.has(i.id))), { class: "primary" });
    const dialog = el("dialog", { class: "wide", "aria-label": title });
    const end = (result) => {
      control.abort();
      dialog.close();
      dialog.remove();
      resolve(result);
    };
    const shelf = imageShelf(async (signal) => (await list("/v1/images", "images", { signal })).filter((i) => !without.has(i.id)), {
      chosen,
      onChange: () => {
        use.textContent = `Use ${plural(chosen.size, "image")}`;
      },
      empty: () => emptyBox("Nothing to choose", "There are no other images on the server. Drop some, instead."),
    });
    dialog.append(el("div", { class: "dialog-head" }, el("h3", {}, title)),
      el("div", { class: "dialog-body" }, shelf.node),
      el("div", { class: "dialog-foot row end" }, button("Cancel", () => end(null)), use));
    dialog.addEventListener("cancel", () => end(null));
    document.body.append(dialog);
    dialog.showModal();
    shelf.reload(control.signal).catch((error) => {
      if (!isAbort(error)) shelf.node.replaceChildren(errorBox(error));
    });
  });
}
