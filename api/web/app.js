// The frame of the page: sections, who is signed in, and the banner.

import { button, clear, el } from "./dom.js";
import { errorBox, isAbort } from "./notices.js";
import { get, has, whenUnknown } from "./api.js";
import { bearer, forget, setMe, whoami } from "./session.js";
import { watchServer } from "./online.js";

// A view: module with show(root, {params, query, signal, title}).
const views = [
  [/^\/images$/, "Images", () => import("./view_images.js")],
  [/^\/denoise$/, "Denoise", () => import("./view_denoise.js")],
  [/^\/view\/((?:img|job)_[0-9A-Z]{26})$/, "Viewer", () => import("./view_viewer.js")],
  [/^\/training$/, "Training", () => import("./view_training.js")],
  [/^\/training\/new$/, "New training", () => import("./view_train_new.js")],
  [/^\/training\/(job_[0-9A-Z]{26})$/, "Training", () => import("./view_train_job.js")],
  [/^\/models$/, "Models", () => import("./view_models.js")],
  [/^\/models\/([A-Za-z0-9._-]{1,64})$/, "Model", () => import("./view_model.js")],
  [/^\/experiments$/, "Experiments", () => import("./view_experiments.js")],
  [/^\/account$/, "Account", () => import("./view_account.js")],
  [/^\/experiments\/(job_[0-9A-Z]{26})$/, "Experiment", () => import("./view_experiment.js")],
];
const sections = [["images", "Images"], ["denoise", "Denoise"], ["training", "Training"],
  ["models", "Models"], ["experiments", "Experiments"]];

const main = document.getElementById("main");
let current = null; // AbortController of the view that is shown

function place() {
  const text = location.hash.replace(/^#/, "");
  const [path, query] = text.split("?");
  return { path: path.startsWith("/") ? path : "", query: new URLSearchParams(query ?? "") };
}

function drawNav(path) {
  clear(document.getElementById("nav"), sections.map(([name, label]) => {
    const here = path === `/${name}` || path.startsWith(`/${name}/`) ||
      (name === "denoise" && path.startsWith("/view/"));
    return el("a", { href: `#/${name}`, "aria-current": here ? "page" : null }, label);
  }));
}

function drawAccount() {
  const me = whoami();
  const box = document.getElementById("account");
  if (!me || me.auth === "off") {
    clear(box);
    return;
  }
  clear(box, el("a", { class: "who", href: "#/account", title: "Your token and quotas" }, me.owner ?? ""), button("Sign out", () => {
    forget();
    start();
  }));
}

function titled(text) {
  document.title = text === "denoised" ? text : `${text} \u2013 denoised`;
}

/** Shows the view that the address names, and ends the one before. */
async function route(focus) {
  current?.abort();
  current = new AbortController();
  const { signal } = current;
  const { path, query } = place();
  const found = views.find(([pattern]) => pattern.test(path));
  if (!found) {
    location.replace("#/images");
    return;
  }
  drawNav(path);
  titled(found[1]);
  const root = el("div", { class: "view" });
  clear(main, root);
  try {
    const module = await found[2]();
    if (signal.aborted) return;
    await module.show(root, { params: found[0].exec(path).slice(1), query, signal, titled });
  } catch (error) {
    if (!isAbort(error) && !signal.aborted) clear(root, errorBox(error, () => route(false)));
  }
  if (focus && !signal.aborted) {
    const heading = root.querySelector("h2");
    heading?.setAttribute("tabindex", "-1");
    heading?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

async function showSignIn() {
  current?.abort();
  current = new AbortController();
  clear(document.getElementById("nav"));
  drawAccount();
  titled("Sign in");
  const { show } = await import("./view_signin.js");
  show(clear(main), { signal: current.signal, signedIn: start });
}

let starting = null;
/** Asks who we are, and shows the view or the form to sign in. */
async function start() {
  starting = null;
  try {
    setMe(await has("/v1/me") ? await get("/v1/me") : { auth: "off" });
  } catch (error) {
    if (error.status === 401) return;
    clear(main, errorBox(error, start));
    starting = watchStart();
    return;
  }
  if (whoami().auth === "required" && !bearer()) {
    await showSignIn();
    return;
  }
  drawAccount();
  await route(false);
}

/** A page that was opened while the server was away begins when it is back. */
function watchStart() {
  const wait = new AbortController();
  watchServer((isGone) => {
    if (isGone || !starting) return;
    wait.abort();
    start();
  }, wait.signal);
  return wait;
}

watchServer((isGone) => {
  const banner = document.getElementById("banner");
  banner.hidden = !isGone;
  banner.textContent = isGone
    ? "The server is not reachable, trying again. Nothing that was sent is lost." : "";
});
whenUnknown(() => {
  forget();
  showSignIn();
});
addEventListener("hashchange", () => {
  if (whoami()) route(true);
});
addEventListener("dragover", (event) => event.preventDefault()); // a missed drop opens no file
addEventListener("drop", (event) => event.preventDefault());
start();
