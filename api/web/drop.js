// A place to drop files on, which is also a button to choose them; and the progress of uploads.

import { button, clear, el } from "./dom.js";
import { bytes, percent } from "./format.js";
import { add, all, cancel, retry, tidy, watchUploads } from "./upload.js";

/* Files of dropped folders, too, in the order of their names. */
async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const files = [];
  const walk = async (entry) => {
    if (entry.isFile) {
      files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (some.length === 0) return;
      for (const one of some) await walk(one);
    }
  };
  for (const entry of entries) await walk(entry);
  return files.filter((f) => /\.(tiff?|png)$/i.test(f.name))
    .sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
}

/** onImages(images): called with what became of one drop, when all of it is there. */
export function dropZone(text, onImages) {
  const input = el("input", { type: "file", multiple: true, accept: ".tif,.tiff,.png,image/tiff,image/png",
    class: "visually-hidden", tabindex: "-1", "aria-hidden": "true" });
  const take = (files) => {
    if (files.length) add(files).then((images) => onImages?.(images));
  };
  const zone = el("div", { class: "drop" },
    el("p", {}, text),
    button("Choose files\u2026", () => input.click()), input);
  let depth = 0;
  const mark = (change) => {
    depth = Math.max(0, depth + change);
    zone.classList.toggle("over", depth > 0);
  };
  zone.addEventListener("dragenter", () => mark(1));
  zone.addEventListener("dragleave", () => mark(-1));
  zone.addEventListener("dragover", (event) => event.preventDefault());
  zone.addEventListener("drop", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    mark(-depth);
    take(await filesOf(event.dataTransfer));
  });
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = "";
  });
  return zone;
}

const words = { waiting: "waiting", sending: "", checking: "being checked by the server",
  done: "there", failed: "" };

function describe(upload) {
  const text = upload.text || words[upload.state];
  if (upload.state !== "sending") return text;
  const part = percent(upload.sent / upload.file.size);
  return text ? `${part}, ${text}` : `${part} of ${bytes(upload.file.size)}`;
}

function row(upload) {
  const bar = el("progress", { max: 1, "aria-label": `Upload of ${upload.file.name}` });
  const state = el("span", { class: "state" });
  const stop = button("Stop", () => cancel(upload), { class: "quiet",
    "aria-label": `Stop the upload of ${upload.file.name}` });
  const again = button("Try again", () => retry(upload), { class: "quiet",
    "aria-label": `Try again the upload of ${upload.file.name}` });
  const node = el("li", { class: "upload" },
    el("span", { class: "name", title: upload.file.name }, upload.file.name), bar, state, stop, again);
  const draw = () => {
    const ended = ["done", "failed"].includes(upload.state);
    node.className = `upload ${upload.state}`;
    bar.value = upload.state === "done" ? 1 : upload.sent / Math.max(1, upload.file.size);
    bar.hidden = upload.state === "failed";
    stop.hidden = ended;
    again.hidden = upload.state !== "failed";
    state.textContent = describe(upload);
  };
  draw();
  return { node, draw };
}

/** The list of uploads, kept up to date; empty and hidden without any. */
export function uploadList(signal) {
  const rows = new Map();
  const list = el("ul", { class: "uploads" });
  const summary = el("p", { class: "visually-hidden", role: "status" });
  const clean = button("Clear the list", tidy, { class: "quiet" });
  const box = el("div", { class: "uploading" }, list, summary, clean);
  const draw = (upload) => {
    if (upload) rows.get(upload)?.draw();
    else {
      rows.clear();
      clear(list, all().map((u) => {
        rows.set(u, row(u));
        return rows.get(u).node;
      }));
    }
    const ended = all().filter((u) => ["done", "failed"].includes(u.state)).length;
    box.hidden = all().length === 0;
    clean.hidden = ended === 0;
    const text = `${ended} of ${all().length} uploads have ended`;
    if (all().length > 0 && summary.textContent !== text) summary.textContent = text;
  };
  watchUploads(draw, signal);
  draw(null);
  return box;
}
