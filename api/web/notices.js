// What the page says besides its content: short notices, errors in place, questions.

import { button, clear, el } from "./dom.js";
import { Unreachable } from "./api.js";

/** A notice that goes away by itself; spoken by screen readers. */
export function notice(text, kind = "info") {
  const box = document.getElementById("notices");
  const item = el("div", { class: `notice ${kind}` }, el("span", {}, text));
  const close = () => item.remove();
  item.append(button("\u00d7", close, { class: "quiet", "aria-label": "Close this notice" }));
  box.append(item);
  while (box.children.length > 2) box.firstChild.remove();
  setTimeout(close, kind === "error" ? 15000 : 4000);
}

export function isAbort(error) {
  return error?.name === "AbortError";
}

/** The sentences of an error: the server's own, with its details. */
export function sentences(error) {
  const lines = [error.message];
  for (const e of error.errors ?? [])
    if (e.detail && e.detail !== error.message) lines.push(`${e.pointer}: ${e.detail}`);
  if (error.retryAfter) lines.push(`Try again in ${error.retryAfter} s.`);
  return lines;
}

/** An error where its cause is, with a way to try again. */
export function errorBox(error, retry) {
  return el("div", { class: "box error", role: "alert" },
    sentences(error).map((line) => el("p", {}, line)),
    error instanceof Unreachable
      ? el("p", {}, "The page goes on by itself as soon as the server answers.") : null,
    retry ? button("Try again", retry) : null);
}

export function emptyBox(title, text, ...actions) {
  return el("div", { class: "box empty" }, el("h3", {}, title), el("p", {}, text),
    actions.length ? el("div", { class: "row" }, actions) : null);
}

export function busyBox(text) {
  return el("p", { class: "busy", role: "status" }, el("span", { class: "spinner", "aria-hidden": "true" }), text);
}

/** Runs work for a button: busy meanwhile, an error shown in `place` or as a notice. */
export async function during(node, work, place) {
  if (node.getAttribute("aria-disabled") === "true") return undefined;
  node.setAttribute("aria-disabled", "true");
  node.classList.add("working");
  if (place) clear(place);
  try {
    return await work();
  } catch (error) {
    if (!isAbort(error)) {
      if (place) clear(place, errorBox(error));
      else notice(sentences(error).join(" "), "error");
    }
    return undefined;
  } finally {
    node.removeAttribute("aria-disabled");
    node.classList.remove("working");
  }
}

/** Asks before something is gone; resolves to true or false. */
export function confirmed(title, text, label) {
  return new Promise((resolve) => {
    const dialog = el("dialog", { "aria-labelledby": "question" },
      el("h3", { id: "question" }, title), el("p", {}, text));
    const end = (answer) => {
      dialog.close();
      dialog.remove();
      resolve(answer);
    };
    dialog.append(el("div", { class: "row end" },
      button("Keep", () => end(false), { autofocus: true }),
      button(label, () => end(true), { class: "danger" })));
    dialog.addEventListener("cancel", () => end(false));
    document.body.append(dialog);
    dialog.showModal();
  });
}
