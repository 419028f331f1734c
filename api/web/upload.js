// The uploads of this page: several at a time, each with its progress. Files above 64 MB go
// in pieces that can be resumed, if the server takes them so.

import { authorization, get, has, problemOf } from "./api.js";
import { lost, pause, reached, serverBack } from "./online.js";
import * as tus from "./tus.js";

const AT_ONCE = 3;
export const IN_PIECES = 64e6;

const uploads = []; // {file, sent, state: waiting|sending|checking|done|failed, text, image}
const listeners = new Set();
let running = 0;

export function all() {
  return uploads;
}

/** callback(upload | null), after each change; until the signal aborts. */
export function watchUploads(callback, signal) {
  listeners.add(callback);
  signal.addEventListener("abort", () => listeners.delete(callback));
}

function tell(upload) {
  for (const callback of [...listeners]) callback(upload);
}

/** Uploads the files; resolves, when all have ended, to those that became images. */
export function add(files) {
  const mine = [...files].map((file) => {
    const upload = { file, sent: 0, state: "waiting", text: "", image: null,
      control: new AbortController() };
    upload.ended = new Promise((resolve) => {
      upload.end = resolve;
    });
    return upload;
  });
  uploads.push(...mine);
  tell(null);
  next();
  return Promise.all(mine.map((u) => u.ended)).then(() => mine.map((u) => u.image).filter(Boolean));
}

export function cancel(upload) {
  upload.control.abort();
  if (upload.file.size > IN_PIECES) tus.abandon(upload.file);
  if (upload.state === "waiting") finish(upload, "failed", "stopped");
}

/** Once more, after it has failed or was stopped. */
export function retry(upload) {
  uploads.splice(uploads.indexOf(upload), 1);
  add([upload.file]);
}

/** Forgets those that have ended. */
export function tidy() {
  for (let i = uploads.length - 1; i >= 0; i -= 1)
    if (["done", "failed"].includes(uploads[i].state)) uploads.splice(i, 1);
  tell(null);
}

function finish(upload, state, text) {
  upload.state = state;
  upload.text = text;
  tell(upload);
  upload.end();
}

function next() {
  while (running < AT_ONCE) {
    const upload = uploads.find((u) => u.state === "waiting");
    if (!upload) return;
    running += 1;
    run(upload).finally(() => {
      running -= 1;
      next();
    });
  }
}

async function run(upload) {
  upload.state = "sending";
  tell(upload);
  try {
    if (upload.file.size === 0) throw new Error("The file is empty.");
    const inPieces = upload.file.size > IN_PIECES && (await has("/v1/uploads"));
    upload.image = await (inPieces ? sendPieces(upload) : sendWhole(upload));
    finish(upload, "done", found(upload));
  } catch (error) {
    finish(upload, "failed", error.name === "AbortError" ? "stopped" : error.message);
  }
}

/* The server keeps alike bytes once, under the name that they had first. */
function found({ known, file, image }) {
  if (!known) return "";
  return image.name === file.name ? "was here already" : `was here already, as ${image.name}`;
}

function progress(upload, sent) {
  upload.sent = Math.min(sent, upload.file.size);
  if (upload.sent >= upload.file.size) upload.state = "checking";
  tell(upload);
}

async function sendPieces(upload) {
  const path = await tus.upload(upload.file, {
    signal: upload.control.signal,
    onBytes: (n) => {
      upload.text = "";
      progress(upload, n);
    },
    onState: (text) => {
      upload.text = text;
      upload.state = "sending";
      tell(upload);
    },
  });
  return get(new URL(path, location.href).pathname);
}

/* A cut line is tried again from the start: the same bytes are one image. */
async function sendWhole(upload) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await post(upload);
    } catch (error) {
      if (!(error instanceof TypeError) || tries === 4) throw error;
      upload.state = "sending";
      upload.text = "interrupted, tries again";
      tell(upload);
      await pause(1000, upload.control.signal);
      await serverBack(upload.control.signal);
    }
  }
}

function post(upload) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    request.open("POST", `/v1/images?name=${encodeURIComponent(upload.file.name)}`);
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.setRequestHeader("Content-Type", upload.file.type || "application/octet-stream");
    request.upload.addEventListener("progress", (event) => progress(upload, event.loaded));
    request.addEventListener("load", async () => {
      reached();
      if (request.status < 300) {
        upload.known = request.status === 200;
        resolve(JSON.parse(request.responseText));
      } else reject(await problemOf(request.status, request.responseText, 0));
    });
    request.addEventListener("error", () => {
      lost();
      reject(new TypeError("The line was cut."));
    });
    request.addEventListener("abort", () => reject(new DOMException("stopped", "AbortError")));
    request.addEventListener("loadend", () => upload.control.signal.removeEventListener("abort", stop));
    upload.control.signal.addEventListener("abort", stop);
    request.send(upload.file);
  });
}

addEventListener("beforeunload", (event) => {
  if (uploads.some((u) => ["waiting", "sending", "checking"].includes(u.state))) event.preventDefault();
});
