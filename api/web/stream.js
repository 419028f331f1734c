// The events of a job. EventSource cannot send a token, so the stream is read by fetch; when
// it breaks it goes on behind the last event, and when there are too many streams it polls.

import { Problem, get, send } from "./api.js";
import { pause, serverBack } from "./online.js";

const SILENCE = 45000; // the server sends a comment at least every 15 s

function parse(block) {
  const event = { id: "", type: "message", data: "" };
  for (const line of block.split("\n")) {
    const at = line.indexOf(":");
    const name = at < 0 ? line : line.slice(0, at);
    const text = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
    if (name === "id") event.id = text;
    else if (name === "event") event.type = text;
    else if (name === "data") event.data += text;
  }
  return event;
}

/** Calls onEvent for each event of an open stream; true when the job has ended. */
async function read(response, onEvent, alive) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return false;
    alive();
    text += value;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const event = parse(text.slice(0, end));
      text = text.slice(end + 2);
      if (event.data) onEvent(event.type, JSON.parse(event.data), event.id);
      if (event.type === "done") return true;
    }
  }
}

async function streamOnce(id, last, onEvent, signal) {
  const stop = new AbortController();
  const outer = () => stop.abort();
  signal.addEventListener("abort", outer);
  let timer = 0;
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => stop.abort(), SILENCE);
  };
  try {
    alive();
    const response = await send("GET", `/v1/jobs/${id}/events`,
      { signal: stop.signal, headers: last ? { "Last-Event-ID": last } : {} });
    return await read(response, onEvent, alive);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", outer);
    stop.abort();
  }
}

async function pollOnce(id, onEvent, signal) {
  const job = await get(`/v1/jobs/${id}`, { signal });
  onEvent("state", { state: job.state });
  onEvent("progress", job.progress);
  const ended = Boolean(job.finished_at);
  if (ended) onEvent("done", { state: job.state });
  return ended;
}

/** onEvent(type, data): state, progress, metric, log, done. Resolves when the job has ended. */
export async function follow(id, onEvent, signal) {
  let last = "";
  let failures = 0;
  for (;;) {
    try {
      const note = (type, data, eventId) => {
        if (eventId) last = eventId;
        failures = 0;
        onEvent(type, data);
      };
      if (await streamOnce(id, last, note, signal)) return;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (error instanceof Problem && [401, 403, 404].includes(error.status)) throw error;
      if (error instanceof Problem) {
        for (let i = 0; i < 10; i += 1) { // no stream to be had: ask instead, for a while
          if (await pollOnce(id, onEvent, signal).catch(() => false)) return;
          await pause(2000, signal);
        }
      }
    }
    failures += 1;
    await pause(Math.min(500 * 2 ** failures, 10000), signal);
    await serverBack(signal);
  }
}
