// A live list of denoise jobs with pictures, places in the queue and what one can do.

import { button, clear, el, refresh } from "./dom.js";
import { plural, since } from "./format.js";
import { busyBox, emptyBox, errorBox } from "./notices.js";
import { download, list } from "./api.js";
import { cancelJob, deleteJob, ended, jobFeed, retryJob, stateText } from "./jobs.js";
import { imageThumb, thumb } from "./thumbs.js";
import { may } from "./session.js";

export function workedBy(job) {
  if (job.model) return `${job.model}${job.version ? `@${job.version}` : ""}`;
  return job.method ?? "";
}

function actionsOf(job, name, again) {
  const label = (what) => ({ "aria-label": `${what} ${name}` });
  if (job.state === "succeeded")
    return [
      el("a", { class: "button", href: `#/view/${job.id}`, ...label("Compare") }, "Compare"),
      button("Download", () => download(job.result.href, job.result.name), label("Download the result of")),
      may("submit") ? button("Delete", (e) => deleteJob(job.id, e.target, again), { class: "quiet", ...label("Delete the job of") }) : null,
    ];
  if (!may("submit")) return [];
  if (ended(job))
    return [
      button("Try again", (e) => retryJob(job.id, e.target, again), label("Try again")),
      button("Delete", (e) => deleteJob(job.id, e.target, again), { class: "quiet", ...label("Delete the job of") }),
    ];
  return [button("Cancel", (e) => cancelJob(job.id, e.target, again), label("Cancel"))];
}

function jobRow(first, nameOf, again) {
  const picture = el("div", { class: "pic" });
  const state = el("span", { class: "state" });
  const bar = el("progress", { max: 1, "aria-label": `Progress of ${nameOf(first)}` });
  const wrong = el("p", { class: "wrong" });
  const actions = el("div", { class: "row tight" });
  const when = el("span", { class: "facts" });
  const node = el("li", { class: "job", data: { id: first.id } }, picture,
    el("div", { class: "what" },
      el("span", { class: "name", title: nameOf(first) }, nameOf(first)),
      el("span", { class: "facts" }, `by ${workedBy(first)}${first.priority === "batch" ? ", batch" : ""}`),
      el("span", { class: "row tight" }, state, when), bar, wrong),
    actions);
  const draw = (job) => {
    node.className = `job ${job.state}`;
    refresh(picture, job.state === "succeeded" ? "after" : "before", () =>
      (job.state === "succeeded" ? thumb(`/v1/jobs/${job.id}/preview?size=160`) : imageThumb(job.image)));
    state.textContent = stateText(job);
    when.textContent = ended(job) ? since(job.finished_at) : "";
    bar.hidden = ended(job);
    if (job.state === "running") bar.value = job.progress.fraction;
    else bar.removeAttribute("value");
    wrong.textContent = job.error?.detail ?? "";
    refresh(actions, job.state, () => actionsOf(job, nameOf(job), again));
  };
  return { node, draw };
}

/** Gives {node, refresh}. onJobs(jobs) at each change. */
export function denoiseQueue(signal, onJobs) {
  const place = el("div", {}, busyBox("Loading the queue"));
  const summary = el("p", { class: "hint", role: "status" });
  const listNode = el("ul", { class: "jobs" });
  const rows = new Map();
  let names = new Map();
  let unknown = true;
  let feed = null;
  const nameOf = (job) => job.result?.name ?? names.get(job.image) ?? "an image that was deleted";

  async function learnNames(jobs) {
    if (!unknown && jobs.every((j) => j.result || names.has(j.image))) return;
    unknown = false;
    names = new Map((await list("/v1/images", "images", { signal })).map((i) => [i.id, i.name]));
  }

  async function draw(jobs) {
    await learnNames(jobs).catch(() => {});
    if (signal.aborted) return;
    const waiting = jobs.filter((j) => j.state === "queued").length;
    const running = jobs.filter((j) => j.state === "running").length;
    const text = waiting + running === 0 ? "Nothing is waiting."
      : `${plural(running, "image")} being denoised, ${waiting} waiting.`;
    if (summary.textContent !== text) summary.textContent = text;
    for (const [id, row] of rows) {
      if (jobs.some((j) => j.id === id)) continue;
      row.node.remove();
      rows.delete(id);
    }
    jobs.forEach((job, i) => {
      if (!rows.has(job.id)) rows.set(job.id, jobRow(job, nameOf, () => feed.refresh()));
      const row = rows.get(job.id);
      row.draw(job);
      if (listNode.children[i] !== row.node) listNode.insertBefore(row.node, listNode.children[i] ?? null);
    });
    refresh(place, jobs.length === 0 ? "none" : "some", () => (jobs.length === 0
      ? emptyBox("Nothing denoised yet", "Choose images and a model or a filter, and press Denoise. Results appear here.")
      : listNode));
    onJobs?.(jobs);
  }

  feed = jobFeed("denoise", { signal, onChange: draw, onError: (error) => {
    if (rows.size === 0) {
      clear(place, errorBox(error));
      delete place.dataset.key;
    }
  } });
  return { node: el("div", {}, summary, place), refresh: () => feed.refresh() };
}
