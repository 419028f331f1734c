// Denoise: choose images, choose what denoises them, send, and see the queue.

import { clear, el, field, newId } from "./dom.js";
import { bytes, plural, seconds } from "./format.js";
import { busyBox, during, emptyBox, errorBox, isAbort, notice } from "./notices.js";
import { list, mentions, onceKey, post } from "./api.js";
import { dropZone, uploadList } from "./drop.js";
import { imageShelf } from "./image_grid.js";
import { methodChoice } from "./method_choice.js";
import { denoiseQueue } from "./queue.js";
import { may } from "./session.js";

const MANY = 8; // images from which on others may go first

/* Of no inputmode: keyboards of digits have neither - nor a comma. */
function partInputs(onChange) {
  const pages = el("input", { type: "text", placeholder: "0-9,12", spellcheck: "false" });
  const channels = el("input", { type: "text", placeholder: "0,2", spellcheck: "false" });
  for (const input of [pages, channels]) input.addEventListener("input", onChange);
  return {
    node: el("details", {}, el("summary", {}, "Only some pages or channels"),
      field("Pages", pages, "From 0, as in 0-9,12. All others stay as they are."),
      field("Channels", channels, "From 0, as in 0,2.")),
    value() {
      const part = {};
      if (pages.value.trim()) part.pages = pages.value.replace(/\s/g, "");
      if (channels.value.trim()) part.channels = channels.value.split(",").map((c) => Number(c));
      return part;
    },
  };
}

export async function show(root, { query, signal }) {
  const chosen = new Set((query.get("images") ?? "").split(",").filter(Boolean));
  const wrong = el("div", {});
  const estimate = el("p", { class: "estimate", role: "status" });
  const part = partInputs(() => draw());
  const how = el("div", {}, busyBox("Loading models"));
  const submitId = newId("send");
  const submit = el("button", { class: "primary", type: "button", id: submitId, "aria-describedby": `${submitId}-e` }, "Denoise");
  estimate.id = `${submitId}-e`;
  let choice = null;
  let wait = 0;

  const shelf = imageShelf((s) => list("/v1/images", "images", { signal: s }), {
    chosen,
    first: true,
    onChange: () => draw(),
    empty: () => emptyBox("No images yet", "Drop some above; they are chosen by themselves."),
  });

  function request(image) {
    return { kind: "denoise", image, ...choice.get(), ...part.value() };
  }

  function draw() {
    const n = chosen.size;
    submit.textContent = n > 1 ? `Denoise ${n} images` : "Denoise";
    if (n === 0 || !choice) {
      estimate.textContent = n === 0 ? "Choose at least one image." : "";
      return;
    }
    clearTimeout(wait);
    wait = setTimeout(() => guess().catch(() => {}), 250);
  }

  /* What one image costs, by the server's arithmetic. */
  async function guess() {
    const [first] = chosen;
    if (!first || !may("submit")) return;
    try {
      const cost = await post("/v1/jobs?dry_run=true", request(first), { signal });
      const work = Number.isFinite(cost.seconds) ? `${cost.seconds < 1 ? "less than 1 s" : `about ${seconds(cost.seconds)}`} of work` : "";
      const each = chosen.size > 1 ? " for the first of them" : "";
      const place = cost.queue_position > 1 ? `, place ${cost.queue_position} in the queue` : "";
      estimate.textContent = `${[work, `${bytes(cost.peak_bytes)} of memory`].filter(Boolean).join(", ")}${each}${place}.`;
      clear(wrong);
    } catch (error) {
      if (!isAbort(error)) {
        estimate.textContent = "";
        clear(wrong, errorBox(error));
      }
    }
  }

  async function send() {
    if (chosen.size === 0) {
      estimate.textContent = "Choose at least one image first.";
      return;
    }
    await during(submit, async () => {
      const priority = chosen.size >= MANY && (await mentions("priority")) ? { priority: "batch" } : {};
      const ids = [...chosen];
      for (const id of ids) {
        await post("/v1/jobs", { ...request(id), ...priority }, { idempotent: onceKey() });
        chosen.delete(id);
      }
      notice(`${plural(ids.length, "image")} sent`);
    }, wrong);
    shelf.draw();
    draw();
    queue.refresh();
    queueHeading.scrollIntoView({ block: "nearest" });
  }

  const queue = denoiseQueue(signal);
  const queueHeading = el("h3", {}, "Queue and results");
  submit.addEventListener("click", send);
  const form = may("submit") ? el("div", { class: "form" },
    el("section", { class: "panel" }, el("h3", {}, el("span", { class: "step" }, "1"), "Images"),
      dropZone("Drop more images here.", async (images) => {
        for (const image of images) chosen.add(image.id);
        await shelf.reload(signal);
      }), uploadList(signal), shelf.node),
    el("section", { class: "panel" }, el("h3", {}, el("span", { class: "step" }, "2"), "Model or filter"), how, part.node,
      wrong, el("div", { class: "row end send" }, estimate, submit)))
    : el("p", { class: "note" }, "Your token may look, but not send images.");
  clear(root, el("h2", {}, "Denoise"), el("div", { class: "split-view" }, form,
    el("section", { class: "panel queue" }, queueHeading, queue.node)));
  part.node.addEventListener("change", draw);
  await shelf.reload(signal);
  choice = await methodChoice(signal, query.get("model"), draw);
  clear(how, choice.node);
  draw();
}
