// Jobs as they go on: a list that is asked for now and then, and event streams of the few that
// matter most (a browser opens at most six connections to a server).

import { get, list, post, remove } from "./api.js";
import { confirmed, during, isAbort, notice } from "./notices.js";
import { pause, serverBack } from "./online.js";
import { follow } from "./stream.js";
import { seconds } from "./format.js";

const STREAMS = 2;

export function ended(job) {
  return ["succeeded", "failed", "cancelled"].includes(job.state);
}

/** What a person wants to know about where the job is. */
export function stateText(job) {
  const eta = job.eta_s ?? job.progress?.eta_s;
  const left = Number.isFinite(eta) ? `, ready in about ${seconds(eta)}` : "";
  switch (job.state) {
    case "queued":
      if (job.retry_at) return "waits before it is tried again";
      return job.queue_position === 1 ? `next in the queue${left}`
        : `place ${job.queue_position ?? "?"} in the queue${left}`;
    case "running":
      return `${Math.floor(100 * job.progress.fraction)} %${left}`;
    case "cancelling":
      return "is being cancelled";
    default:
      return job.state;
  }
}

/** The jobs of a kind, newest first. onChange(jobs) at each change, onError(error). */
export function jobFeed(kind, { onChange, onError, signal, most = 100 }) {
  let jobs = [];
  let poke = () => {};
  const streams = new Map(); // job id -> AbortController

  const update = (id, change) => {
    const job = jobs.find((j) => j.id === id);
    if (!job) return;
    change(job);
    onChange(jobs);
  };

  function listen(job) {
    const control = new AbortController();
    const stop = () => control.abort();
    signal.addEventListener("abort", stop);
    streams.set(job.id, control);
    follow(job.id, (type, data) => {
      if (type === "progress") update(job.id, (j) => Object.assign(j.progress, data));
      else if (type === "state" || type === "done") poke();
    }, control.signal).catch(() => {}).finally(() => {
      signal.removeEventListener("abort", stop);
      streams.delete(job.id);
    });
  }

  function balance() {
    const open = jobs.filter((j) => !ended(j));
    const wanted = [...open.filter((j) => j.state === "running"),
      ...open.filter((j) => j.state !== "running").reverse()].slice(0, STREAMS);
    for (const [id, control] of streams) if (!wanted.some((j) => j.id === id)) control.abort();
    if (!document.hidden) for (const job of wanted) if (!streams.has(job.id)) listen(job);
  }

  async function loop() {
    for (;;) {
      let failed = false;
      try {
        jobs = await list(`/v1/jobs?kind=${kind}`, "jobs", { signal, most });
        onChange(jobs);
        balance();
      } catch (error) {
        if (signal.aborted) return;
        failed = true;
        onError?.(error);
      }
      const wait = failed ? 3000 : jobs.some((j) => !ended(j)) ? 2500 : 20000;
      await Promise.race([pause(wait, signal), new Promise((resolve) => {
        poke = resolve;
      })]);
      await pause(100, signal); // events come in groups
      await serverBack(signal);
      while (document.hidden) await pause(1000, signal);
    }
  }
  loop().catch(() => {});
  return { refresh: () => poke() };
}

/** One job until it has ended. onJob(job) at each change, onEvent(type, data) for its events. */
export async function watchJob(id, { onJob, onEvent, signal }) {
  let job = await get(`/v1/jobs/${id}`, { signal });
  onJob(job);
  if (ended(job)) return job;
  const ask = async () => {
    job = await get(`/v1/jobs/${id}`, { signal });
    onJob(job);
  };
  const timer = setInterval(() => {
    if (!document.hidden) ask().catch(() => {});
  }, 5000);
  signal.addEventListener("abort", () => clearInterval(timer));
  try {
    await follow(id, (type, data) => {
      if (type === "progress") {
        Object.assign(job.progress, data);
        onJob(job);
      } else if (type === "state") ask().catch(() => {});
      onEvent(type, data);
    }, signal);
  } finally {
    clearInterval(timer);
  }
  await ask();
  return job;
}

/* ---- what a person may do with a job ---- */

export function cancelJob(id, node, then) {
  return during(node, async () => then?.(await post(`/v1/jobs/${id}/cancel`)));
}

export function retryJob(id, node, then) {
  return during(node, async () => then?.(await post(`/v1/jobs/${id}/retry`)));
}

export async function deleteJob(id, node, then) {
  if (!(await confirmed("Delete this job?", "Its result, report and events go with it. A model that it made stays.",
    "Delete"))) return;
  await during(node, async () => {
    await remove(`/v1/jobs/${id}`);
    notice("The job is deleted");
    then?.();
  });
}

export { isAbort };
