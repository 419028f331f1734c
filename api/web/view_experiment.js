// One experiment: its learning curve, its table, and how far it is.

import { button, clear, el, refresh } from "./dom.js";
import { count, fixed, seconds } from "./format.js";
import { busyBox, isAbort } from "./notices.js";
import { get, send } from "./api.js";
import { cancelJob, ended, stateText, watchJob } from "./jobs.js";
import { may } from "./session.js";

const FEW = 6; // metrics that fit into a table

function spread(s, n) {
  if (!s || !Number.isFinite(s.mean)) return "\u2013";
  return Number.isFinite(s.sem) && s.n > 1 ? `${fixed(s.mean, n)} \u00b1 ${fixed(s.sem, n)}` : fixed(s.mean, n);
}

function table(report) {
  const metrics = (report.grid?.metrics ?? Object.keys(report.summary[0]?.metrics ?? {})).slice(0, FEW);
  const places = (m) => (report.definitions?.[m]?.unit === "dB" ? 2 : 3);
  const head = ["Row", "Images", "Runs", ...metrics.map((m) => m.replace(/_/g, " ")), "Seconds"];
  const lines = report.summary.map((s) => el("tr", {}, el("th", { scope: "row" }, s.row),
    el("td", { class: "num" }, count(Math.round(s.images))),
    el("td", { class: "num" }, count(s.metrics?.[metrics[0]]?.n ?? 0)),
    metrics.map((m) => el("td", { class: "num" }, spread(s.metrics?.[m], places(m)))),
    el("td", { class: "num" }, Number.isFinite(s.seconds?.mean) ? seconds(s.seconds.mean) : "\u2013")));
  const plain = Object.entries(report.baselines ?? {}).map(([name, values]) => el("tr", { class: "soft" }, el("th", { scope: "row" }, name),
    el("td"), el("td"), metrics.map((m) => el("td", { class: "num" }, fixed(values[m], places(m)))), el("td")));
  return el("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": "Results" }, el("table", {},
    el("thead", {}, el("tr", {}, head.map((h, i) => el("th", { scope: "col", class: i ? "num" : "" }, h)))), el("tbody", {}, lines, plain)));
}

export async function show(root, { params, signal, titled }) {
  const [id] = params;
  clear(root, el("h2", {}, "Experiment"), busyBox("Loading the experiment"));
  titled("Experiment");
  const state = el("p", { class: "big-state" });
  const spoken = el("p", { class: "visually-hidden", role: "status" });
  const bar = el("progress", { max: 1, "aria-label": "Progress" });
  const actions = el("div", { class: "row" });
  const picture = el("img", { class: "curve-picture", alt: "Learning curve: quality over the number of images; the table has its numbers", hidden: true });
  const tablePlace = el("div", {});
  const wrong = el("p", { class: "wrong" });
  let url = "";
  let cells = -1;
  signal.addEventListener("abort", () => url && URL.revokeObjectURL(url));

  async function drawReport() {
    const report = await get(`/v1/jobs/${id}/report`, { signal });
    if (report.cells_done === cells) return;
    cells = report.cells_done;
    clear(tablePlace, table(report), el("p", { class: "hint" }, `${count(report.cells_done)} of ${count(report.cells_total)} trainings are done.`,
      " Mean and standard error over seeds."));
    if (cells === 0) return;
    const svg = await (await send("GET", `/v1/jobs/${id}/report`, { signal, headers: { Accept: "image/svg+xml" } })).blob();
    if (url) URL.revokeObjectURL(url);
    url = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
    picture.src = url;
    picture.hidden = false;
  }

  function drawJob(job) {
    state.textContent = job.state === "running" ? `running, ${stateText(job)}` : stateText(job);
    state.className = `big-state ${job.state}`;
    if (spoken.textContent !== job.state) spoken.textContent = job.state; // not each percent
    bar.hidden = ended(job);
    bar.value = job.progress.fraction;
    wrong.textContent = job.error?.detail ?? "";
    refresh(actions, job.state, () => [button("Table as Markdown", () => saveAs("text/markdown", "experiment.md")),
      button("Picture as SVG", () => saveAs("image/svg+xml", "learning-curve.svg")),
      !ended(job) && may("submit") ? button("Cancel", (e) => cancelJob(id, e.target, drawJob), { class: "danger" }) : null].filter(Boolean));
    drawReport().catch((error) => {
      if (!isAbort(error)) wrong.textContent = error.message;
    });
  }

  async function saveAs(type, name) {
    const blob = await (await send("GET", `/v1/jobs/${id}/report`, { headers: { Accept: type } })).blob();
    const link = URL.createObjectURL(blob);
    const a = el("a", { href: link, download: name });
    a.click();
    setTimeout(() => URL.revokeObjectURL(link), 60000);
  }

  clear(root, el("div", { class: "row between head" }, el("h2", {}, "Experiment"), actions), state, spoken, bar, wrong,
    el("section", { class: "panel" }, el("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": "Picture" }, picture), tablePlace));
  await watchJob(id, { onJob: drawJob, onEvent: () => {}, signal });
}
