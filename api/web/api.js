// Requests to the server. A refusal comes as a Problem whose text is the server's own.

import { bearer } from "./session.js";
import { lost, reached } from "./online.js";

export class Problem extends Error {
  constructor(status, body, retryAfter) {
    super(body?.detail || body?.title || `The server answered with status ${status}.`);
    this.status = status;
    this.code = body?.code ?? "";
    this.errors = body?.errors ?? [];
    this.requestId = body?.request_id ?? "";
    this.retryAfter = retryAfter;
  }
}

/** The server could not be reached at all. */
export class Unreachable extends Error {
  constructor() {
    super("The server cannot be reached.");
  }
}

let onUnknown = () => {};
/** Called when the server does not know the token any more. */
export function whenUnknown(callback) {
  onUnknown = callback;
}

export function authorization() {
  return bearer() ? { Authorization: `Bearer ${bearer()}` } : {};
}

export async function problemOf(status, text, retryAfter) {
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    body = null; // not from denoised: a proxy, say
  }
  return new Problem(status, body, retryAfter);
}

/** The response; a Problem or Unreachable is thrown for anything but success and 304. */
export async function send(method, path, { json, body, headers, signal, idempotent } = {}) {
  const all = { ...authorization(), ...headers };
  if (json !== undefined) all["Content-Type"] = "application/json";
  if (idempotent) all["Idempotency-Key"] = idempotent;
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: all,
      body: json !== undefined ? JSON.stringify(json) : body,
      signal,
      credentials: "omit",
    });
  } catch (error) {
    if (signal?.aborted || error.name === "AbortError") throw error;
    lost();
    throw new Unreachable();
  }
  reached();
  if (response.status === 401 && !headers?.Authorization) onUnknown();
  if (!response.ok && response.status !== 304)
    throw await problemOf(response.status, await response.text(),
      Number(response.headers.get("Retry-After")) || 0);
  return response;
}

export async function get(path, options) {
  return (await send("GET", path, options)).json();
}

export async function post(path, json, options) {
  return (await send("POST", path, { ...options, json })).json();
}

export async function remove(path, options) {
  await send("DELETE", path, options);
}

/** A key for one press of a button: sent twice, it is done once. */
export function onceKey() {
  const raw = crypto.getRandomValues(new Uint8Array(16));
  return `web-${[...raw].map((b) => b.toString(16).padStart(2, "0")).join("")}`;
}

/** All items of a list, over its pages, at most `most`. */
export async function list(path, key, { signal, most = 2000 } = {}) {
  const items = [];
  let cursor = "";
  do {
    const mark = path.includes("?") ? "&" : "?";
    const next = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
    const answer = await get(`${path}${mark}limit=200${next}`, { signal });
    items.push(...answer[key]);
    cursor = answer.next_cursor;
  } while (cursor && items.length < most);
  return items;
}

let contract = null;
function contractText() {
  contract ??= send("GET", "/openapi.yaml").then((response) => response.text()).catch((error) => {
    contract = null;
    throw error;
  });
  return contract;
}

/** Does this server have the path, as openapi.yaml names it ("/v1/jobs/{id}/sample")? */
export async function has(path) {
  return (await contractText()).includes(`\n  ${path}:`);
}

/** Does its contract name a member of that name anywhere? */
export async function mentions(member) {
  return new RegExp(`\\b${member}:`).test(await contractText());
}

/** Saves an answer as a file of the reader. */
export async function download(path, name) {
  if (!bearer()) return save(path, name);
  const blob = await (await send("GET", path)).blob();
  const url = URL.createObjectURL(blob);
  save(url, name);
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

function save(url, name) {
  const link = document.createElement("a");
  link.href = url;
  link.download = name ?? "";
  document.body.append(link);
  link.click();
  link.remove();
}
