// Trainings that run, wait or have ended.

import { button, clear, el, refresh } from "./dom.js";
import { since } from "./format.js";
import { busyBox, emptyBox, errorBox } from "./notices.js";
import { cancelJob, ended, jobFeed, stateText } from "./jobs.js";
import { dataSets } from "./facts.js";
import { may } from "./session.js";

function trainingRow(first, sets, again) {
  const state = el("span", { class: "state" });
  const bar = el("progress", { max: 1, "aria-label": `Progress of ${first.model}` });
  const when = el("span", { class: "facts" });
  const wrong = el("p", { class: "wrong" });
  const actions = el("div", { class: "row tight" });
  const set = sets.get(first.dataset)?.name ?? "a deleted data set";
  const node = el("li", { class: "job plain" }, el("div", { class: "what" },
    el("a", { class: "name", href: `#/training/${first.id}` }, first.model),
    el("span", { class: "facts" }, `preset ${first.preset}, on \u201c${set}\u201d${first.base_model ? `, from ${first.base_model}` : ""}`),
    el("span", { class: "row tight" }, state, when), bar, wrong), actions);
  const draw = (job) => {
    node.className = `job plain ${job.state}`;
    state.textContent = job.state === "succeeded" ? `made version ${job.version}` : stateText(job);
    when.textContent = ended(job) ? since(job.finished_at) : "";
    bar.hidden = ended(job);
    if (job.state === "running") bar.value = job.progress.fraction;
    else bar.removeAttribute("value");
    wrong.textContent = job.error?.detail ?? "";
    refresh(actions, job.state, () => [
      el("a", { class: "button", href: `#/training/${job.id}`, "aria-label": `Curves of ${job.model}` }, "Curves"),
      !ended(job) && may("submit") ? button("Cancel", (e) => cancelJob(job.id, e.target, again), { "aria-label": `Cancel ${job.model}` }) : null]
      .filter(Boolean));
  };
  return { node, draw };
}

export async function show(root, { signal }) {
  const place = el("div", {}, busyBox("Loading the trainings"));
  const rows = new Map();
  const listNode = el("ul", { class: "jobs panel" });
  clear(root, el("div", { class: "row between head" }, el("h2", {}, "Training"),
    may("train") ? el("a", { class: "button primary", href: "#/training/new" }, "New training\u2026") : null), place);
  const sets = await dataSets(signal).catch(() => new Map());
  const feed = jobFeed("train", { signal,
    onChange: (jobs) => {
      for (const [id, row] of rows)
        if (!jobs.some((j) => j.id === id)) {
          row.node.remove();
          rows.delete(id);
        }
      jobs.forEach((job, i) => {
        if (!rows.has(job.id)) rows.set(job.id, trainingRow(job, sets, () => feed.refresh()));
        const row = rows.get(job.id);
        row.draw(job);
        if (listNode.children[i] !== row.node) listNode.insertBefore(row.node, listNode.children[i] ?? null);
      });
      refresh(place, jobs.length ? "some" : "none", () => (jobs.length ? listNode
        : emptyBox("No training yet", "A model learns from a few pairs of noisy and clean images, or from repeated frames of one field. Eight pairs are a good beginning.",
          may("train") ? el("a", { class: "button primary", href: "#/training/new" }, "Train a model\u2026") : null)));
    },
    onError: (error) => {
      if (rows.size === 0) {
        clear(place, errorBox(error));
        delete place.dataset.key;
      }
    } });
}
