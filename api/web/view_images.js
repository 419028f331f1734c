// Images: drop files, see what is there, go on with some of them.

import { button, clear, el } from "./dom.js";
import { bytes, plural, time } from "./format.js";
import { busyBox, confirmed, during, emptyBox, errorBox, isAbort, notice } from "./notices.js";
import { list, remove } from "./api.js";
import { dropZone, uploadList } from "./drop.js";
import { imageShelf } from "./image_grid.js";
import { watchServer } from "./online.js";
import { watchUploads } from "./upload.js";
import { may } from "./session.js";

export async function show(root, { signal }) {
  const chosen = new Set();
  const actionBar = el("div", { class: "actions", role: "group", "aria-label": "With the chosen images", hidden: true });
  const place = el("div", {}, busyBox("Loading the images"));
  const shelf = imageShelf((s) => list("/v1/images", "images", { signal: s }), {
    chosen,
    onChange: () => drawActions(),
    actions: (image) => [
      el("span", { class: "facts", title: `Uploaded ${time(image.created_at)}` }, bytes(image.bytes)),
      el("a", { class: "button quiet", href: `#/view/${image.id}`, "aria-label": `View ${image.name}` }, "View"),
    ],
    empty: () => emptyBox("No images yet",
      "Drop TIFF or PNG files above. Nothing is changed in them; results come as files of the same kind."),
  });

  async function reload() {
    try {
      await shelf.reload(signal);
      clear(place, shelf.node);
    } catch (error) {
      if (!isAbort(error)) clear(place, errorBox(error, reload));
    }
  }

  async function removeChosen(event) {
    const ids = [...chosen];
    if (!(await confirmed(`Delete ${plural(ids.length, "image")}?`,
      "The files are removed from the server. Results that were made from them stay.", "Delete"))) return;
    await during(event.target, async () => {
      for (const id of ids) {
        await remove(`/v1/images/${id}`);
        chosen.delete(id);
      }
      notice(`${plural(ids.length, "image")} deleted`);
    });
    await reload();
  }

  function drawActions() {
    const n = chosen.size;
    actionBar.hidden = n === 0;
    if (n === 0) return;
    const ids = [...chosen].join(",");
    clear(actionBar, el("span", { role: "status" }, `${plural(n, "image")} chosen`),
      may("submit") ? el("a", { class: "button primary", href: `#/denoise?images=${ids}` }, "Denoise\u2026") : null,
      may("train") ? el("a", { class: "button", href: `#/training/new?images=${ids}` }, "Train with them\u2026") : null,
      may("submit") ? button("Delete\u2026", removeChosen, { class: "danger" }) : null,
      button("Choose none", () => {
        chosen.clear();
        shelf.draw();
        drawActions();
      }, { class: "quiet" }));
  }

  clear(root, el("h2", {}, "Images"),
    may("submit") ? dropZone("Drop images here: TIFF, OME-TIFF or PNG, one or many, or whole folders.") : null,
    may("submit") ? uploadList(signal) : null, actionBar, place);
  let timer = 0;
  watchUploads((upload) => {
    if (upload?.state !== "done") return;
    clearTimeout(timer); // many files end at about the same time
    timer = setTimeout(reload, 300);
  }, signal);
  watchServer((isGone) => {
    if (!isGone) reload();
  }, signal);
  await reload();
}
