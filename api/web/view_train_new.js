// A new training: what it learns from, how, what it will cost, and the start.

import { clear, el, field, select } from "./dom.js";
import { bytes, count, plural, seconds } from "./format.js";
import { busyBox, during, notice } from "./notices.js";
import { get, list, onceKey, post } from "./api.js";
import { uploadList } from "./drop.js";
import { settingInput } from "./settings.js";
import { trainData } from "./train_data.js";
import { forgetFacts } from "./facts.js";
import { may } from "./session.js";

const SHOWN = ["iterations"]; // settings that everybody sees

/* Seconds for a step in earlier runs of the same size, the newest first; NaN when there are none. */
function secondsPerStep(jobs, config) {
  const same = (job) => ["net", "crop", "batch", "ngf", "downs", "contrastive", "lambda_gan"].every((k) => job.config[k] === config[k]);
  const job = jobs.find((j) => j.state === "succeeded" && j.attempts === 1 && same(j));
  if (!job) return NaN;
  return (new Date(job.finished_at) - new Date(job.started_at)) / 1000 / job.progress.steps;
}

function settingsOf(methods, preset, onChange) {
  const inputs = methods.settings.filter((s) => s.name !== "epochs")
    .map((s) => settingInput(s, s.defaults[preset], onChange));
  const by = new Map(methods.settings.map((s) => [s.name, s]));
  return {
    inputs,
    shown: inputs.filter((i) => SHOWN.includes(i.name)).map((i) => i.node),
    more: inputs.filter((i) => !SHOWN.includes(i.name)).map((i) => i.node),
    config: () => Object.fromEntries(inputs.filter((i) => i.changed()).map((i) => [i.name, i.value()])),
    reset: (next) => inputs.forEach((i) => i.reset(by.get(i.name).defaults[next])),
  };
}

export async function show(root, { query, signal }) {
  clear(root, el("h2", {}, "New training"), busyBox("Loading"));
  if (!may("train")) {
    clear(root, el("h2", {}, "New training"), el("p", { class: "note" }, "Your token may not train models."));
    return;
  }
  const wanted = new Set((query.get("images") ?? "").split(",").filter(Boolean));
  const [methods, models, sets, jobs, images] = await Promise.all([
    get("/v1/methods", { signal }), list("/v1/models", "models", { signal }),
    list("/v1/datasets", "datasets", { signal }), list("/v1/jobs?kind=train", "jobs", { signal, most: 200 }),
    wanted.size ? list("/v1/images", "images", { signal }) : []]);

  const standard = methods.default_preset;
  const wrong = el("div", {});
  const cost = el("div", { class: "cost", role: "status" });
  const name = el("input", { type: "text", required: true, maxlength: 64, pattern: "[A-Za-z0-9._\\-]{1,64}", spellcheck: "false", placeholder: "nuclei" });
  const preset = select(methods.presets.map((p) => [p.name, p.name]), standard);
  const presetDoc = el("p", { class: "hint" });
  const base = select([["", "nothing: begin anew"], ...models.map((m) => [m.name, `${m.name} (version ${m.version})`])], query.get("base") ?? "");
  const settings = settingsOf(methods, standard, () => changed());
  const start = el("button", { type: "button", class: "primary" }, "Start training");
  const check = el("button", { type: "button" }, "Check and estimate");
  const data = trainData(images.filter((i) => wanted.has(i.id)), sets, () => changed());

  const drawPreset = () => {
    presetDoc.textContent = methods.presets.find((p) => p.name === preset.value)?.doc ?? "";
  };

  function request(dataset) {
    const body = { kind: "train", dataset, model: name.value.trim(), preset: preset.value, config: settings.config() };
    return base.value ? { ...body, base_model: base.value } : body;
  }

  /* A data set that was made for an estimate is used by the run that follows. */
  async function ready() {
    const missing = data.problem() || (name.value.trim() ? "" : "Give the model a name.") ||
      (name.validity.valid ? "" : "The name of a model has 1 to 64 letters, digits, dots, dashes and underlines.");
    if (missing) throw new Error(missing);
    const id = await data.dataset(name.value.trim());
    forgetFacts();
    return id;
  }

  function drawCost(estimate) {
    const each = secondsPerStep(jobs, estimate.config);
    const time = Number.isFinite(estimate.seconds) ? `about ${seconds(estimate.seconds)}`
      : Number.isFinite(each) ? `about ${seconds(each * estimate.steps)}, as an earlier run of this size took`
        : "not known before a first run of this size";
    clear(cost, el("dl", { class: "pairs" },
      el("dt", {}, "Steps"), el("dd", {}, count(estimate.steps)),
      el("dt", {}, "Time"), el("dd", {}, time),
      el("dt", {}, "Memory"), el("dd", {}, bytes(estimate.peak_bytes)),
      el("dt", {}, "Queue"), el("dd", {}, estimate.queue_position > 1 ? `place ${estimate.queue_position}` : "begins at once")));
  }

  async function estimate() {
    const dataset = await ready();
    drawCost(await post("/v1/jobs?dry_run=true", request(dataset), { signal }));
  }

  let wait = 0;
  function changed() {
    clearTimeout(wait);
    clear(wrong);
    if (!data.known()) {
      clear(cost);
      return;
    }
    wait = setTimeout(() => during(check, estimate, wrong), 300);
  }

  preset.addEventListener("change", () => {
    settings.reset(preset.value);
    drawPreset();
    changed();
  });
  base.addEventListener("change", changed);
  name.addEventListener("change", changed);
  check.addEventListener("click", () => during(check, estimate, wrong));
  start.addEventListener("click", () => during(start, async () => {
    const job = await post("/v1/jobs", request(await ready()), { idempotent: onceKey() });
    notice("The training is in the queue");
    location.hash = `#/training/${job.id}`;
  }, wrong));

  clear(root, el("h2", {}, "New training"), el("div", { class: "split-view" },
    el("section", { class: "panel" }, el("h3", {}, el("span", { class: "step" }, "1"), "What it learns from"),
      data.node, uploadList(signal)),
    el("div", { class: "form" },
      el("section", { class: "panel" }, el("h3", {}, el("span", { class: "step" }, "2"), "How"),
        field("Name of the model", name, "A name that exists gets one version more."),
        field("Preset", preset), presetDoc, settings.shown,
        models.length ? field("Go on from", base, "With few images it helps to start from a model of similar images.") : null,
        el("details", {}, el("summary", {}, `${plural(settings.more.length, "more setting")}`), el("div", { class: "settings" }, settings.more))),
      el("section", { class: "panel" }, el("h3", {}, el("span", { class: "step" }, "3"), "Cost and start"),
        cost, wrong, el("div", { class: "row end" }, check, start)))));
  drawPreset();
  data.start();
}
