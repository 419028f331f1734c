// What is known about models: what they learned from, and how good they are.

import { get, has, list } from "./api.js";
import { fixed, plural, value } from "./format.js";
import { mine } from "./session.js";

let datasets = null;
let evaluations = null;

/** Data sets by id; asked once a minute at most. */
export function dataSets(signal) {
  if (!datasets || Date.now() - datasets.at > 60000) {
    datasets = { at: Date.now(), all: list("/v1/datasets", "datasets").then((sets) => new Map(sets.map((s) => [s.id, s]))) };
    datasets.all.catch(() => {
      datasets = null;
    });
  }
  signal?.throwIfAborted();
  return datasets.all;
}

export function forgetFacts() {
  datasets = null;
  evaluations = null;
}

/** Ended evaluate jobs, newest first. */
export function evaluateJobs() {
  if (!evaluations || Date.now() - evaluations.at > 15000) {
    evaluations = { at: Date.now(), all: list("/v1/jobs?kind=evaluate&state=succeeded", "jobs") };
    evaluations.all.catch(() => {
      evaluations = null;
    });
  }
  return evaluations.all;
}

const reports = new Map();
export function reportOf(job) {
  if (!reports.has(job)) {
    const report = get(`/v1/jobs/${job}/report`);
    reports.set(job, report);
    report.catch(() => reports.delete(job));
  }
  return reports.get(job);
}

/** Reports of the evaluations of one version, newest first. */
export async function evaluationsOf(name, version) {
  const jobs = (await evaluateJobs()).filter((j) => j.model === name && j.version === version);
  return Promise.all(jobs.slice(0, 5).map(async (job) => ({ job, report: await reportOf(job.id) })));
}

/** "12 pairs of 3 fields in nuclei" */
export function learnedFrom(model, sets) {
  const set = sets.get(model.dataset);
  if (!set) return mine(model) ? "a data set that was deleted" : `images of ${model.owner}`;
  const what = set.kind === "repeats" ? plural(set.samples, "repeated frame") : plural(set.samples, "noisy image");
  const scenes = set.kind === "repeats" ? "of one scene" : `of ${plural(set.scenes, "field")}`;
  return `${what} ${scenes}, data set \u201c${set.name}\u201d`;
}

export function validationText(model) {
  return Number.isFinite(model.validation_psnr)
    ? `${fixed(model.validation_psnr, 2)} dB on its own validation images` : "never validated";
}

/** A sentence from an evaluation: its PSNR and what it gained over the noisy images. */
export function evaluationText({ job, report }, sets) {
  const method = report.model;
  const metric = report.mean[method]?.psnr_matched ? "psnr_matched" : "psnr";
  const own = report.mean[method]?.[metric]?.mean;
  const noisy = report.mean.noisy?.[metric]?.mean;
  const set = sets.get(job.dataset)?.name ?? "a deleted data set";
  if (!Number.isFinite(own)) return `evaluated on \u201c${set}\u201d`;
  const gain = Number.isFinite(noisy) ? `, ${value(own - noisy)} dB above the noisy images` : "";
  return `${fixed(own, 2)} dB on \u201c${set}\u201d${gain}`;
}

/** Aliases of a model, [] where the server has none. */
export async function aliasesOf(name, signal) {
  if (!(await has("/v1/models/{name}/aliases"))) return [];
  return (await get(`/v1/models/${name}/aliases`, { signal })).aliases;
}
