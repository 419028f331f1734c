// Resumable uploads: tus 1.0 core, creation and checksum [tus.io/protocols/resumable-upload].
// What was begun is kept in localStorage, so that a cut line or a reloaded page goes on.

import { Problem, authorization, problemOf, send } from "./api.js";
import { sha256 } from "./sha256.js";
import { lost, pause, reached, serverBack } from "./online.js";

const CHUNK = 8 << 20;
const VERSION = { "Tus-Resumable": "1.0.0" };

function fingerprint(file) {
  return `denoised.tus:${file.name}:${file.size}:${file.lastModified}`;
}

function base64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}

async function create(file, signal) {
  const name = base64(new TextEncoder().encode(file.name));
  const response = await send("POST", "/v1/uploads", {
    signal,
    headers: { ...VERSION, "Upload-Length": String(file.size), "Upload-Metadata": `name ${name}` },
  });
  const url = new URL(response.headers.get("Location"), location.href).pathname;
  localStorage.setItem(fingerprint(file), url);
  return url;
}

/** How far the server has got with an upload begun before; -1: it knows none. */
async function offsetOf(url, signal) {
  try {
    const response = await send("HEAD", url, { headers: VERSION, signal });
    return Number(response.headers.get("Upload-Offset"));
  } catch (error) {
    if (error instanceof Problem && [404, 410, 403].includes(error.status)) return -1;
    throw error;
  }
}

/** One PATCH, with its progress; resolves to the request. */
function patch(url, blob, offset, sum, onBytes, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    request.open("PATCH", url);
    const headers = { ...authorization(), ...VERSION, "Upload-Offset": String(offset),
      "Content-Type": "application/offset+octet-stream", "Upload-Checksum": `sha256 ${base64(sum)}` };
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => onBytes(offset + event.loaded));
    request.addEventListener("load", () => {
      reached();
      resolve(request);
    });
    request.addEventListener("error", () => {
      lost();
      reject(new TypeError("cut"));
    });
    request.addEventListener("abort", () => reject(new DOMException("stopped", "AbortError")));
    request.addEventListener("loadend", () => signal.removeEventListener("abort", stop));
    signal.addEventListener("abort", stop);
    request.send(blob);
  });
}

async function sendChunks(file, url, from, onBytes, signal) {
  let offset = from;
  for (;;) {
    const blob = file.slice(offset, offset + CHUNK);
    const sum = await sha256(new Uint8Array(await blob.arrayBuffer()));
    const request = await patch(url, blob, offset, sum, onBytes, signal);
    if (request.status >= 300)
      throw await problemOf(request.status, request.responseText,
        Number(request.getResponseHeader("Retry-After")) || 0);
    offset = Number(request.getResponseHeader("Upload-Offset") ?? offset + blob.size);
    onBytes(offset);
    if (offset >= file.size) return request.getResponseHeader("Location");
  }
}

/* What a later try may mend: a chunk that was damaged or out of step, a server that is busy. */
function worthAgain(error) {
  return !(error instanceof Problem) || [409, 423, 429, 460, 502, 503, 504].includes(error.status);
}

/** Uploads the file; gives the path of the image. onBytes(sent), onState(text). */
export async function upload(file, { onBytes, onState, signal }) {
  const known = fingerprint(file);
  for (let wait = 500; ; wait = Math.min(wait * 2, 15000)) {
    try {
      let url = localStorage.getItem(known);
      let from = url ? await offsetOf(url, signal) : -1;
      if (from < 0) {
        url = await create(file, signal);
        from = 0;
      } else if (from > 0) {
        onState(`going on after ${Math.floor((100 * from) / file.size)} %`);
      }
      onBytes(from);
      const image = await sendChunks(file, url, from, (n) => {
        wait = 500;
        onBytes(n);
      }, signal);
      localStorage.removeItem(known);
      return image;
    } catch (error) {
      if (error.name === "AbortError") throw error;
      if (!worthAgain(error)) {
        localStorage.removeItem(known);
        throw error;
      }
      onState("interrupted, goes on by itself");
      await pause((error.retryAfter || 0) * 1000 || wait, signal);
      await serverBack(signal);
    }
  }
}

/** Gives up an upload for good. */
export async function abandon(file) {
  const url = localStorage.getItem(fingerprint(file));
  localStorage.removeItem(fingerprint(file));
  if (url) await send("DELETE", url, { headers: VERSION }).catch(() => {});
}
