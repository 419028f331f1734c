// Viewer: an image, or an image before and after, at the same place with the same contrast.

import { button, clear, el, newId } from "./dom.js";
import { bytes, count, fixed, percent, seconds, shape, value } from "./format.js";
import { busyBox, errorBox, isAbort } from "./notices.js";
import { Problem, download, get } from "./api.js";
import { contrastPanel } from "./contrast.js";
import { pageChoice } from "./pages.js";
import { greyScale, heatScale, loadRaster, paint, residualOf, sorted, whiteness } from "./raster.js";
import { Stage } from "./stage.js";
import { workedBy } from "./queue.js";

const modes = [
  ["slider", "Slider"], ["side", "Side by side"], ["difference", "Difference"], ["residual", "Residual"],
];

/* What is compared: {title, image, before, after, job, report}; paths of previews. */
async function subjectOf(id, signal) {
  if (id.startsWith("img_")) {
    const image = await get(`/v1/images/${id}`, { signal });
    return { title: image.name, image, before: `/v1/images/${id}/preview`, after: null };
  }
  const job = await get(`/v1/jobs/${id}`, { signal });
  if (job.kind !== "denoise" || job.state !== "succeeded")
    throw new Problem(409, { detail: `This job is ${job.state}; there is a picture when a denoise job is succeeded.` });
  const report = await get(`/v1/jobs/${id}/report`, { signal });
  const image = await get(`/v1/images/${job.image}`, { signal });
  return { title: image.name, image, job, report, before: `/v1/images/${job.image}/preview`,
    after: `/v1/jobs/${id}/preview` };
}

function factList(subject) {
  const { image, job, report } = subject;
  const rows = [["Image", shape(image)], ["File", `${image.format}, ${bytes(image.bytes)}`]];
  if (image.pixel_size_um) rows.push(["Pixel", `${value(image.pixel_size_um)} \u00b5m`]);
  if (job) {
    rows.push(["By", job.model ? el("a", { href: `#/models/${job.model}` }, workedBy(job)) : workedBy(job)],
      ["Took", seconds(report.seconds)],
      ["Planes", `${count(job.result.planes_denoised)} denoised${job.result.planes_left ? `, ${count(job.result.planes_left)} left` : ""}`],
      ["Clipped", `${count(job.result.clipped_pixels)} pixels`]);
  }
  return el("dl", { class: "pairs" }, rows.map(([k, v]) => [el("dt", {}, k), el("dd", {}, v)]));
}

function residualText(facts) {
  const most = Math.max(Math.abs(facts.beside), Math.abs(facts.below));
  const verdict = most < 0.1
    ? "Neighbouring pixels of what was removed are hardly alike: it looks like noise."
    : "Neighbouring pixels of what was removed are alike: look in the residual for shapes of the sample. Noise of the camera itself can do the same.";
  return [el("dl", { class: "pairs" },
    el("dt", {}, "Mean"), el("dd", {}, value(facts.mean)),
    el("dt", {}, "SD"), el("dd", {}, value(facts.sd)),
    el("dt", {}, "Alike, beside"), el("dd", {}, fixed(facts.beside, 3)),
    el("dt", {}, "Alike, below"), el("dd", {}, fixed(facts.below, 3))),
  el("p", { class: "hint" }, verdict)];
}

function modeChoice(onMode) {
  const name = newId("mode");
  return el("fieldset", { class: "segments" }, el("legend", { class: "visually-hidden" }, "What is shown"),
    modes.map(([mode, label], i) => {
      const id = newId("mode");
      const radio = el("input", { type: "radio", name, id, value: mode, checked: i === 0 });
      radio.addEventListener("change", () => onMode(mode));
      return [radio, el("label", { for: id }, label)];
    }));
}

export async function show(root, { params, signal, titled }) {
  clear(root, busyBox("Loading"));
  const subject = await subjectOf(params[0], signal);
  titled(subject.title);
  const both = subject.after !== null;
  let mode = both ? "slider" : "single";
  let data = null; // rasters of the page that is shown
  let load = null; // AbortController of the page that is being loaded

  const hintId = newId("keys");
  const canvas = el("canvas", { class: "stage-canvas", tabindex: "0", role: "img",
    "aria-label": both ? `${subject.title}, noisy and denoised` : subject.title, "aria-describedby": hintId });
  const line = el("div", { class: "divider", "aria-hidden": "true" });
  const split = el("input", { type: "range", class: "split", min: 0, max: 1, step: "0.005", value: "0.5",
    "aria-label": "Divider between noisy and denoised" });
  const zoomText = el("output", { class: "zoom" }, "100 %");
  const point = el("p", { class: "readout" }, "\u00a0");
  const busy = el("p", { class: "stage-busy", role: "status", hidden: true });
  const tags = [el("span", { class: "tag left" }, "noisy"), el("span", { class: "tag right" }, "denoised")];
  const residual = el("div", {}, el("p", { class: "hint" }, "\u00a0"));

  const stage = new Stage(canvas, {
    onView: (zoom) => {
      zoomText.textContent = percent(zoom);
    },
    onPoint: (at) => {
      point.textContent = at && data ? describe(at) : "\u00a0";
    },
  });
  signal.addEventListener("abort", () => {
    stage.close();
    load?.abort();
  });

  function describe({ x, y }) {
    const { before, after } = data;
    const i = y * before.width + x;
    const where = `x ${count(x * before.step)}  y ${count(y * before.step)}`;
    if (!after) return `${where}  value ${value(before.values[i])}`;
    return `${where}  noisy ${value(before.values[i])}  denoised ${value(after.values[i])}`;
  }

  const contrast = contrastPanel(subject.image.pages > 1, () => drawGrey());
  const pages = pageChoice(subject.image, () => loadPage());
  const canvases = { before: null, after: null, single: null };

  function drawGrey() {
    if (!data) return;
    const { black, white } = contrast.range();
    const scale = greyScale(black, white);
    canvases.before = paint(data.before, scale, canvases.before ?? undefined);
    if (data.after) canvases.after = paint(data.after, scale, canvases.after ?? undefined);
    drawMode();
  }

  /* Signed: grey is no change, the ends are three standard deviations. Unsigned: heat. */
  function drawDerived() {
    const { black, white } = contrast.range();
    const { sd, mean } = data.facts;
    const scale = mode === "residual" ? greyScale(mean - 3 * sd, mean + 3 * sd) : heatScale((white - black) / 2);
    const colour = mode === "residual" ? scale : (v) => scale(Math.abs(v));
    canvases.single = paint(data.residual, colour, canvases.single ?? undefined);
  }

  function drawMode() {
    const derived = mode === "difference" || mode === "residual";
    if (derived && data?.after) drawDerived();
    stage.show({ before: canvases.before, after: derived ? null : canvases.after, single: derived ? canvases.single : null });
    const pair = both && !derived;
    split.hidden = line.hidden = mode !== "slider";
    tags.forEach((t) => {
      t.hidden = !pair;
    });
    stageBox.dataset.mode = mode;
    note.textContent = {
      difference: "How much each pixel was changed: black not at all, pale yellow by half of the shown range.",
      residual: "Noisy minus denoised: grey is no change, black and white are three standard deviations. Good denoising leaves noise here and no shapes.",
    }[mode] ?? "";
    note.hidden = !derived;
  }

  function setMode(next) {
    mode = next;
    stage.set(next === "slider" || next === "side" ? next : "single");
    drawMode();
  }

  async function loadPage() {
    load?.abort();
    load = new AbortController();
    const mine = load;
    const size = matchMedia("(max-width: 600px)").matches ? 2048 : 4096;
    const slow = setTimeout(() => {
      busy.textContent = "Loading the pixels\u2026";
      busy.hidden = false;
    }, 200);
    try {
      const at = { ...pages.get(), size, signal: mine.signal };
      const [before, after] = await Promise.all([loadRaster(subject.before, at),
        both ? loadRaster(subject.after, at) : null]);
      if (mine.signal.aborted) return;
      data = { before, after };
      if (after) {
        data.residual = residualOf(before, after);
        data.facts = whiteness(data.residual);
        clear(residual, residualText(data.facts));
      }
      busy.hidden = true;
      scaled.textContent = before.step > 1 ? `So large an image is shown at 1/${before.step} of its size; the download is whole.` : "";
      contrast.show(sorted(before.values), after ? sorted(after.values) : null);
      canvas.dataset.ready = "yes";
    } catch (error) {
      if (isAbort(error) || mine.signal.aborted) return;
      busy.hidden = false;
      clear(busy, errorBox(error, loadPage));
    } finally {
      clearTimeout(slow);
    }
  }

  const moveSplit = () => {
    const part = Number(split.value);
    stage.setSplit(part);
    line.style.left = `${100 * part}%`;
    split.setAttribute("aria-valuetext", `${percent(part)} noisy`);
  };
  split.addEventListener("input", moveSplit);

  const stageBox = el("div", { class: "stage", data: { mode } }, canvas, both ? [line, split, tags] : null, busy);
  const note = el("p", { class: "hint", hidden: true });
  const scaled = el("p", { class: "hint" });
  const tools = el("div", { class: "row tools", role: "toolbar", "aria-label": "Zoom" },
    button("\u2212", () => stage.zoomTo(stage.zoom / 1.5), { "aria-label": "Zoom out" }), zoomText,
    button("+", () => stage.zoomTo(stage.zoom * 1.5), { "aria-label": "Zoom in" }),
    button("Fit", () => stage.fit()), button("1:1", () => stage.zoomTo(1), { "aria-label": "1:1, an image pixel is a screen pixel" }));
  const keys = el("p", { class: "hint keys", id: hintId },
    "Drag or arrow keys move, wheel or + and \u2212 zoom, 0 fits, 1 is one to one.");
  const downloads = el("div", { class: "row" },
    both ? button("Download result", () => download(subject.job.result.href, subject.job.result.name), { class: "primary" }) : null,
    button(both ? "Download noisy file" : "Download", () => download(`/v1/images/${subject.image.id}/content`, subject.image.name)),
    both ? null : el("a", { class: "button primary", href: `#/denoise?images=${subject.image.id}` }, "Denoise\u2026"));

  clear(root,
    el("div", { class: "row between" }, el("h2", { class: "file" }, subject.title),
      el("a", { class: "button quiet", href: both ? "#/denoise" : "#/images" }, both ? "Back to the queue" : "Back to the images")),
    el("div", { class: "viewer" },
      el("div", { class: "viewer-main" },
        el("div", { class: "row between wrap" }, both ? modeChoice(setMode) : null, tools), stageBox, point, note, scaled, pages.node, keys),
      el("aside", { class: "panel viewer-side", "aria-label": "Contrast and facts" }, downloads, contrast.node,
        both ? el("section", {}, el("h3", {}, "What was removed"), residual) : null,
        el("section", {}, el("h3", {}, "Facts"), factList(subject)))));
  stage.set(both ? "slider" : "single");
  if (both) moveSplit();
  await loadPage();
}
