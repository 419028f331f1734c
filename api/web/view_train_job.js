// One training: its curves as they grow, sample crops, what it costs, cancel, and its model.

import { button, clear, el, refresh } from "./dom.js";
import { bytes, count, fixed, seconds, since } from "./format.js";
import { busyBox, isAbort } from "./notices.js";
import { get, has } from "./api.js";
import { lineChart } from "./chart.js";
import { cancelJob, deleteJob, ended, retryJob, stateText, watchJob } from "./jobs.js";
import { blobUrl } from "./thumbs.js";
import { dataSets } from "./facts.js";
import { may } from "./session.js";

const words = { loss_g: "total", loss_gan: "adversarial", loss_d: "discriminator", loss_l1: "absolute error",
  loss_ssim: "structure", loss_tv: "variation", loss_contrastive: "contrastive", validation_psnr: "PSNR" };

/* Crops of the validation images as the net sees them at the moment. */
function samples(id, signal) {
  const picture = el("img", { class: "sample", alt: "Validation crops: noisy, denoised and clean side by side" });
  const box = el("section", { class: "panel", hidden: true }, el("h3", {}, "Samples"),
    el("p", { class: "facts" }, "Crops of validation images: noisy, denoised as of now, clean."), picture);
  let url = "";
  let asking = false;
  async function load() {
    if (asking || signal.aborted) return;
    asking = true;
    try {
      if ((await get(`/v1/jobs/${id}`, { signal })).state !== "running") return; // it goes with the run
      const next = await blobUrl(`/v1/jobs/${id}/sample`);
      if (url) URL.revokeObjectURL(url);
      url = next;
      picture.src = url;
      box.hidden = false;
    } catch {
      // not yet, or not any more
    } finally {
      asking = false;
    }
  }
  signal.addEventListener("abort", () => url && URL.revokeObjectURL(url));
  return { node: box, load };
}

function facts(job, sets) {
  const set = sets.get(job.dataset);
  const rows = [["Data set", set ? `${set.name}, ${count(set.samples)} noisy images` : "deleted"], ["Preset", job.preset],
    ["Method", job.method], ["Seed", count(job.seed)], ["Memory", bytes(job.peak_bytes)]];
  if (job.base_model) rows.push(["From", job.base_model]);
  if (job.started_at && job.finished_at)
    rows.push(["Took", seconds((new Date(job.finished_at) - new Date(job.started_at)) / 1000)]);
  if (job.attempts > 1) rows.push(["Begun", `${count(job.attempts)} times`]);
  return el("dl", { class: "pairs" }, rows.map(([k, v]) => [el("dt", {}, k), el("dd", {}, v)]));
}

function outcome(job) {
  if (job.state === "succeeded")
    return el("p", {}, "Made ", el("a", { href: `#/models/${job.model}` }, `${job.model}, version ${job.version}`), `, ${since(job.finished_at)}.`);
  if (job.error) return el("p", { class: "wrong" }, job.error.detail);
  if (job.state === "cancelled") return el("p", {}, "Cancelled. Try again begins it anew.");
  return el("p", { class: "hint" }, "You can leave this page: the training goes on, also over a restart of the server.");
}

export async function show(root, { params, signal, titled }) {
  const [id] = params;
  clear(root, busyBox("Loading the training"));
  const sets = await dataSets(signal).catch(() => new Map());
  const withSamples = await has("/v1/jobs/{id}/sample").catch(() => false);
  const title = el("h2", {}, "Training");
  const state = el("p", { class: "big-state" });
  const spoken = el("p", { class: "visually-hidden", role: "status" });
  const bar = el("progress", { max: 1, "aria-label": "Progress" });
  const step = el("p", { class: "facts" });
  const wrong = el("div", {});
  const actions = el("div", { class: "row" });
  const result = el("div", { class: "outcome" });
  const factBox = el("div", {});
  const losses = lineChart({ title: "Losses", log: true, labels: words });
  const validation = lineChart({ title: "Validation", unit: "dB", labels: words });
  const log = el("ol", { class: "log" });
  const logBox = el("details", { hidden: true }, el("summary", {}, "Log"), log);
  const crops = samples(id, signal);
  let best = -Infinity;
  const bestText = el("p", { class: "facts" });

  let shown = null;
  function drawJob(job) {
    // answers overtake each other: what has ended does not run again in the same attempt
    if (shown && ended(shown) && !ended(job) && job.attempts === shown.attempts) return;
    shown = job;
    title.textContent = job.model ?? "Training";
    titled(`${job.model} \u2013 training`);
    const text = job.state === "running" ? `running, ${stateText(job)}` : stateText(job);
    if (state.textContent !== text) state.textContent = text;
    state.className = `big-state ${job.state}`;
    if (spoken.textContent !== job.state) spoken.textContent = job.state; // not each percent
    bar.hidden = ended(job);
    if (job.state === "running") bar.value = job.progress.fraction;
    else bar.removeAttribute("value");
    step.textContent = `step ${count(job.progress.step)} of ${count(job.progress.steps)}`;
    losses.setEnd(job.progress.steps);
    validation.setEnd(job.progress.steps);
    refresh(result, job.state, () => outcome(job));
    refresh(factBox, `${job.state}${job.started_at}${job.attempts}`, () => facts(job, sets));
    const again = () => location.reload();
    refresh(actions, job.state, () => [
      !ended(job) && job.state !== "cancelling" && may("submit") ? button("Cancel training", (e) => cancelJob(id, e.target, drawJob), { class: "danger" }) : null,
      job.state === "succeeded" ? el("a", { class: "button primary", href: `#/denoise?model=${job.model}` }, "Denoise with it\u2026") : null,
      ["failed", "cancelled"].includes(job.state) && may("submit") ? button("Try again", (e) => retryJob(id, e.target, again)) : null,
      ended(job) && may("submit") ? button("Delete\u2026", (e) => deleteJob(id, e.target, () => {
        location.hash = "#/training";
      }), { class: "quiet" }) : null].filter(Boolean));
  }

  let soon = 0;
  function note(type, data) {
    if (type === "metric" && shown?.state === "running" && data.step > shown.progress.step) {
      Object.assign(shown.progress, { step: data.step, fraction: data.step / shown.progress.steps });
      drawJob(shown);
    }
    if (type === "metric" && data.name === "validation_psnr") {
      validation.add(data.name, data.step, data.value);
      best = Math.max(best, data.value ?? -Infinity);
      bestText.textContent = Number.isFinite(best) ? `Best so far: ${fixed(best, 2)} dB. The best weights become the model, unless the preset says otherwise.` : "";
      if (withSamples && !soon) {
        soon = setTimeout(() => {
          soon = 0;
          crops.load();
        }, 500); // a run that is replayed tells all its validations at once
      }
    } else if (type === "metric" && data.name.startsWith("loss_")) losses.add(data.name, data.step, data.value);
    else if (type === "log") {
      log.append(el("li", {}, data.text));
      logBox.hidden = false;
    }
  }

  clear(root, el("div", { class: "row between head" }, title, actions), state, spoken, bar, step, wrong, result,
    el("div", { class: "split-view" },
      el("div", { class: "form" }, el("section", { class: "panel" }, losses.node),
        el("section", { class: "panel" }, validation.node, bestText), logBox),
      el("div", { class: "form" }, crops.node, el("section", { class: "panel" }, el("h3", {}, "Facts"), factBox))));
  await watchJob(id, { onJob: drawJob, onEvent: note, signal });
  if (!signal.aborted && validation.size() === 0 && losses.size() === 0) {
    const { follow } = await import("./stream.js");
    await follow(id, note, signal).catch((error) => {
      if (!isAbort(error)) wrong.textContent = error.message;
    });
  }
}
