// Small pictures of images and results, loaded when they come into sight.

import { el } from "./dom.js";
import { send } from "./api.js";
import { bearer } from "./session.js";

const urls = new Map(); // path -> Promise of a blob: URL
const MOST = 400;

async function blobUrl(path) {
  const response = await send("GET", path);
  return URL.createObjectURL(await response.blob());
}

/* An <img> sends no token, so with one the picture is fetched and shown from memory. */
function urlOf(path) {
  if (!bearer()) return Promise.resolve(path);
  if (!urls.has(path)) {
    const url = blobUrl(path);
    urls.set(path, url);
    url.catch(() => urls.delete(path));
    if (urls.size > MOST) {
      const [oldest, gone] = urls.entries().next().value;
      urls.delete(oldest);
      gone.then(URL.revokeObjectURL, () => {});
    }
  }
  return urls.get(path);
}

const sight = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    sight.unobserve(entry.target);
    load(entry.target);
  }
}, { rootMargin: "200px" });

async function load(node) {
  try {
    node.src = await urlOf(node.dataset.path);
  } catch {
    node.alt = "no picture";
  }
}

/** path: of a preview, with size. alt "": the picture is beside its own name. */
export function thumb(path, alt = "") {
  const node = el("img", { class: "thumb", alt, decoding: "async", data: { path } });
  node.addEventListener("load", () => node.classList.add("there"));
  node.addEventListener("error", () => {
    node.alt = "no picture";
  });
  sight.observe(node);
  return node;
}

export function imageThumb(id, size = 160, alt = "") {
  return thumb(`/v1/images/${id}/preview?size=${size}`, alt);
}

/** A picture from any path, as a blob: URL with or without a token; the caller revokes it. */
export { blobUrl };
