// Experiments: how quality grows with images, or which setting helps. And a new learning curve.

import { clear, el, field, refresh, select } from "./dom.js";
import { count, plural, seconds, since } from "./format.js";
import { busyBox, during, emptyBox, errorBox } from "./notices.js";
import { get, onceKey, post } from "./api.js";
import { dataSets } from "./facts.js";
import { ended, jobFeed, stateText } from "./jobs.js";
import { may } from "./session.js";

function numbers(text) {
  return text.split(/[,;\s]+/).filter(Boolean).map((t) => (/^all$/i.test(t) ? 0 : Number(t)));
}

/* A grid of one row: the same training on more and more images. */
function curveForm(sets, { presets, default_preset: standard }, sent) {
  const choices = [...sets.values()].map((s) => [s.id, `${s.name} (${plural(s.samples, "noisy image")})`]);
  const [most, next] = [...sets.values()].sort((a, b) => b.samples - a.samples);
  const set = select(choices, most.id);
  const test = select(choices, next.id);
  const preset = select(presets.map((p) => [p.name, p.name]), standard);
  const samples = el("input", { type: "text", value: "8, 16, 32, all", spellcheck: "false" });
  const seeds = el("input", { type: "text", value: "1, 2, 3", spellcheck: "false" });
  const steps = el("input", { type: "number", value: "2000", min: 1, max: 10000000, inputmode: "numeric" });
  const cost = el("p", { class: "facts", role: "status" });
  const wrong = el("div", {});
  const go = el("button", { type: "button", class: "primary" }, "Start");
  const check = el("button", { type: "button" }, "Check and estimate");
  const request = () => ({ kind: "experiment", dataset: set.value, grid: {
    preset: preset.value, common: { iterations: Number(steps.value) }, rows: [{ name: preset.value }],
    samples: numbers(samples.value), fit_samples: true, seeds: numbers(seeds.value), test_dataset: test.value } });
  check.addEventListener("click", () => during(check, async () => {
    const estimate = await post("/v1/jobs?dry_run=true", request());
    const time = Number.isFinite(estimate.seconds) ? `, about ${seconds(estimate.seconds)}` : "";
    cost.textContent = `${count(estimate.steps)} steps and test images in all${time}.`;
  }, wrong));
  go.addEventListener("click", () => during(go, async () => {
    const job = await post("/v1/jobs", request(), { idempotent: onceKey() });
    sent(job);
  }, wrong));
  return el("details", { class: "panel" }, el("summary", {}, "New learning curve: how many images do I need?"),
    el("p", { class: "facts" }, "The same training runs on more and more of your images, with several seeds each, and is judged on images that no run has seen."),
    el("div", { class: "settings" }, field("Train on", set), field("Judge on", test, "Another data set, which shares no image with the first."),
      field("Preset", preset), field("Steps of each run", steps), field("Numbers of images", samples, "Those that the data set does not have are left out."),
      field("Seeds", seeds, "More than one shows how much chance there is.")),
    wrong, el("div", { class: "row end" }, cost, check, go));
}

function row(first, sets) {
  const state = el("span", { class: "state" });
  const bar = el("progress", { max: 1, "aria-label": "Progress of the experiment" });
  const wrong = el("p", { class: "wrong" });
  const node = el("li", {}, el("div", { class: "what" },
    el("a", { class: "name", href: `#/experiments/${first.id}` }, `On \u201c${sets.get(first.dataset)?.name ?? "a deleted data set"}\u201d`),
    el("span", { class: "facts" }, `begun ${since(first.created_at)}`), state, bar, wrong));
  return { node, draw: (job) => {
    node.className = `job plain ${job.state}`;
    state.textContent = stateText(job);
    bar.hidden = ended(job);
    bar.value = job.progress.fraction;
    wrong.textContent = job.error?.detail ?? "";
  } };
}

export async function show(root, { signal }) {
  const place = el("div", {}, busyBox("Loading the experiments"));
  const listNode = el("ul", { class: "jobs panel" });
  const rows = new Map();
  const form = el("div", {});
  clear(root, el("h2", {}, "Experiments"), form, place);
  const [sets, methods] = await Promise.all([dataSets(signal), get("/v1/methods", { signal })]);
  if (may("train") && sets.size > 1)
    clear(form, curveForm(sets, methods, (job) => {
      location.hash = `#/experiments/${job.id}`;
    }));
  jobFeed("experiment", { signal,
    onChange: (jobs) => {
      for (const job of jobs) {
        if (!rows.has(job.id)) {
          rows.set(job.id, row(job, sets));
          listNode.append(rows.get(job.id).node);
        }
        rows.get(job.id).draw(job);
      }
      refresh(place, jobs.length ? "some" : "none", () => (jobs.length ? listNode : emptyBox("No experiment yet",
        sets.size > 1 ? "Open the form above, or use denoise experiment on the command line."
          : "An experiment needs two data sets: one to learn from and one to be judged on. A training makes the first; make a second from images that it has not seen.",
        sets.size > 1 ? null : el("a", { class: "button", href: "#/training/new" }, "Make a data set\u2026"))));
    },
    onError: (error) => {
      if (rows.size === 0) {
        clear(place, errorBox(error));
        delete place.dataset.key;
      }
    } });
}
