// All models: what they learned from, how good they are, which version is in use.

import { clear, el } from "./dom.js";
import { bytes, since } from "./format.js";
import { busyBox, emptyBox } from "./notices.js";
import { list } from "./api.js";
import { aliasesOf, dataSets, evaluationText, evaluationsOf, learnedFrom, validationText } from "./facts.js";
import { may } from "./session.js";

function card(model, sets, signal) {
  const quality = el("p", { class: "facts" }, `Quality: ${validationText(model)}.`);
  const use = el("span", { class: "chips-row" });
  const node = el("li", { class: "panel model" },
    el("div", { class: "row between" }, el("h3", {}, el("a", { href: `#/models/${model.name}` }, model.name)), use),
    el("p", { class: "facts" }, `Learned from ${learnedFrom(model, sets)}, preset ${model.preset}.`), quality,
    el("p", { class: "facts" }, `Newest version ${model.version}, ${since(model.created_at)}, ${bytes(model.bytes)}`,
      model.owner ? `, of ${model.owner}` : "", model.shared ? ", shared with everybody" : "", "."));
  aliasesOf(model.name, signal).then((aliases) => clear(use,
    aliases.map((a) => el("span", { class: "chip" }, `${a.name}: version ${a.version}`)))).catch(() => {});
  evaluationsOf(model.name, model.version).then(([newest]) => {
    if (newest) quality.textContent = `Quality: ${evaluationText(newest, sets)}.`;
  }).catch(() => {});
  return node;
}

export async function show(root, { signal }) {
  const place = el("div", {}, busyBox("Loading the models"));
  clear(root, el("div", { class: "row between head" }, el("h2", {}, "Models"),
    may("train") ? el("a", { class: "button primary", href: "#/training/new" }, "Train a model\u2026") : null), place);
  const [models, sets] = await Promise.all([list("/v1/models", "models", { signal }), dataSets(signal)]);
  clear(place, models.length ? el("ul", { class: "models" }, models.map((m) => card(m, sets, signal)))
    : emptyBox("No model yet", "A model is what a training makes. It learns from a few pairs of noisy and clean images, or from repeated frames of one field.",
      may("train") ? el("a", { class: "button primary", href: "#/training/new" }, "Train a model\u2026") : null));
}
