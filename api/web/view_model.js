// One model: its versions, which is in use, its metrics, sharing, weights.

import { button, clear, el, field, newId, select } from "./dom.js";
import { bytes, count, fixed, since, time } from "./format.js";
import { busyBox, confirmed, during, errorBox, notice } from "./notices.js";
import { download, has, list, onceKey, post, remove, send } from "./api.js";
import { aliasesOf, dataSets, evaluationsOf, forgetFacts, learnedFrom } from "./facts.js";
import { ended, stateText, watchJob } from "./jobs.js";
import { metricsTables } from "./metrics_table.js";
import { may, mine } from "./session.js";

const IN_USE = "champion";

/* The alias that denoise jobs are pointed to, with its change and its way back. */
function aliasPanel(model, aliases, own, again) {
  const path = `/v1/models/${model}/aliases`;
  const line = (alias) => el("li", { class: "row between" },
    el("span", {}, el("strong", {}, alias.name), ` is version ${alias.version}`,
      alias.previous ? el("span", { class: "facts" }, `, before it version ${alias.previous}`) : null,
      el("span", { class: "facts" }, `, since ${time(alias.updated_at)}`)),
    own && alias.previous ? button(`Roll back to ${alias.previous}`, (e) => during(e.target, async () => {
      await post(`${path}/${alias.name}/rollback`);
      notice(`${alias.name} is version ${alias.previous} again`);
      await again();
    })) : null);
  return el("section", { class: "panel" }, el("h3", {}, "In use"),
    aliases.length ? el("ul", { class: "plain" }, aliases.map(line))
      : el("p", { class: "facts" }, `No version is promoted. \u201c${model}\u201d alone means the newest; \u201c${model}@${IN_USE}\u201d would mean the promoted one.`));
}

async function promote(node, model, version, aliases, again) {
  const now = aliases.find((a) => a.name === IN_USE);
  await during(node, async () => {
    await send("PUT", `/v1/models/${model}/aliases/${IN_USE}`,
      { json: now ? { version, if_version: now.version } : { version } });
    notice(`Version ${version} is the ${IN_USE} now`);
    await again();
  });
}

function versionRow(v, sets, aliases, withAliases, again) {
  const own = aliases.filter((a) => a.version === v.version);
  const label = (what) => ({ "aria-label": `${what} version ${v.version}` });
  return el("tr", {},
    el("th", { scope: "row" }, count(v.version), own.map((a) => el("span", { class: "chip" }, a.name))),
    el("td", {}, mine(v) ? el("a", { href: `#/training/${v.job}`, title: time(v.created_at) }, since(v.created_at))
      : since(v.created_at)),
    el("td", { class: "wide" }, learnedFrom(v, sets)), el("td", { data: { label: "Preset" } }, v.preset),
    el("td", { class: "num", data: { label: "Steps" } }, count(v.steps)),
    el("td", { class: "num", data: { label: "Validation, dB" } }, fixed(v.validation_psnr, 2)),
    el("td", { class: "num", data: { label: "Size" } }, bytes(v.bytes)),
    el("td", {}, el("div", { class: "row tight nowrap" },
      withAliases && may("train") && mine(v) && !own.some((a) => a.name === IN_USE)
        ? button("Promote", (e) => promote(e.target, v.name, v.version, aliases, again), label("Promote")) : null,
      button("Weights", () => download(v.weights, `${v.name}-${v.version}.safetensors`), label("Download the weights of")),
      may("train") && mine(v) ? button("Delete", async (e) => {
        if (!(await confirmed(`Delete version ${v.version} of ${v.name}?`, "Its weights are gone for good. Results that it made stay.", "Delete"))) return;
        await during(e.target, async () => {
          await remove(`/v1/models/${v.name}/versions/${v.version}`);
          await again();
        });
      }, { class: "quiet", ...label("Delete") }) : null)));
}

function versionTable(versions, sets, aliases, withAliases, again) {
  const heads = [["Version"], ["Made"], ["Learned from"], ["Preset"], ["Steps", "num"], ["Validation, dB", "num"], ["Size", "num"]];
  return el("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": "Versions" }, el("table", { class: "versions" },
    el("thead", {}, el("tr", {}, heads.map(([h, c]) => el("th", { scope: "col", class: c }, h)),
      el("th", { scope: "col" }, el("span", { class: "visually-hidden" }, "What to do")))),
    el("tbody", {}, versions.map((v) => versionRow(v, sets, aliases, withAliases, again)))));
}

/* Metrics tables of a version, and a new evaluation. */
function evaluationPanel(name, versions, sets, signal) {
  const place = el("div", {});
  const progress = el("p", { class: "facts", role: "status" });
  const version = select(versions.map((v) => [v.version, `version ${v.version}`]), versions[0].version);
  const unseen = [...sets.keys()].find((id) => versions.every((v) => v.dataset !== id));
  const set = select([...sets.values()].map((s) => [s.id, s.name]), unseen);
  const run = el("button", { type: "button" }, "Evaluate");

  async function draw() {
    clear(place, busyBox("Loading evaluations"));
    try {
      const found = await evaluationsOf(name, Number(version.value));
      if (signal.aborted) return;
      clear(place, found.length === 0
        ? el("p", { class: "hint" }, "This version was not evaluated yet. Choose a data set that it was not trained on.")
        : found.map(({ job, report }) => el("section", {},
          el("h4", {}, `On \u201c${sets.get(job.dataset)?.name ?? "a deleted data set"}\u201d, ${since(job.finished_at)}`), metricsTables(report))));
    } catch (error) {
      if (!signal.aborted) clear(place, errorBox(error, draw));
    }
  }

  run.addEventListener("click", () => during(run, async () => {
    const job = await post("/v1/jobs", { kind: "evaluate", dataset: set.value, model: `${name}@${version.value}` }, { idempotent: onceKey() });
    const done = await watchJob(job.id, { signal, onEvent: () => {}, onJob: (j) => {
      progress.textContent = ended(j) ? "" : `Evaluation: ${stateText(j)}`;
    } });
    if (done.error) notice(done.error.detail, "error");
    forgetFacts();
    await draw();
  }));
  version.addEventListener("change", draw);
  draw();
  return el("section", { class: "panel" }, el("h3", {}, "How good it is"),
    el("div", { class: "row fields" }, field("Version", version), sets.size && may("submit") ? [field("Data set", set), run] : null, progress), place);
}

async function sharing(model, again) {
  if (model.shared === undefined || !may("train") || !mine(model) || !(await has("/v1/models/{name}/shared"))) return null;
  const id = newId("shared");
  const box = el("input", { type: "checkbox", id, checked: model.shared });
  box.addEventListener("change", () => during(box, async () => {
    await send("PUT", `/v1/models/${model.name}/shared`, { json: { shared: box.checked } });
    notice(box.checked ? "Everybody may use this model now" : "Only you may use this model now");
    await again();
  }));
  return el("div", { class: "check" }, box, el("label", { for: id }, "Shared with everybody on this server"));
}

export async function show(root, { params, signal, titled }) {
  const [name] = params;
  titled(name);
  clear(root, el("h2", { class: "file" }, name), busyBox("Loading the model"));

  async function draw() {
    const [versions, sets, aliases, withAliases] = await Promise.all([
      list(`/v1/models/${name}`, "models", { signal }), dataSets(signal), aliasesOf(name, signal),
      has("/v1/models/{name}/aliases/{alias}")]);
    const [newest] = versions;
    const share = await sharing(newest, draw);
    if (signal.aborted) return;
    clear(root, el("div", { class: "row between head" }, el("h2", { class: "file" }, name),
      el("div", { class: "row" }, el("a", { class: "button quiet", href: "#/models" }, "All models"),
        may("train") ? el("a", { class: "button", href: `#/training/new?base=${name}` }, "Train on\u2026") : null,
        el("a", { class: "button primary", href: `#/denoise?model=${name}` }, "Denoise\u2026"))),
    newest.owner ? el("p", { class: "facts" }, `Belongs to ${newest.owner}.`) : null, share,
    el("div", { class: "form" }, withAliases ? aliasPanel(name, aliases, may("train") && mine(newest), draw) : null,
      el("section", { class: "panel" }, el("h3", {}, "Versions"), versionTable(versions, sets, aliases, withAliases, draw)),
      evaluationPanel(name, versions, sets, signal)));
  }
  await draw().catch((error) => {
    if (!signal.aborted) throw error;
  });
}
