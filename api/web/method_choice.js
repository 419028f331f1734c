// Choosing what denoises: a model, with what it learned from and how good it is, or a filter.

import { clear, el, field, newId, select } from "./dom.js";
import { since } from "./format.js";
import { emptyBox, isAbort } from "./notices.js";
import { get, list } from "./api.js";
import { aliasesOf, dataSets, evaluationText, evaluationsOf, learnedFrom, validationText } from "./facts.js";
import { settingInput } from "./settings.js";

async function modelFacts(model, place, signal) {
  const sets = await dataSets(signal);
  const lines = [`Learned from ${learnedFrom(model, sets)}, with preset ${model.preset}, ${since(model.created_at)}.`];
  const found = await evaluationsOf(model.name, model.version);
  lines.push(found.length ? `Evaluated: ${evaluationText(found[0], sets)}.` : `Quality: ${validationText(model)}.`);
  if (!signal.aborted)
    clear(place, lines.map((line) => el("p", { class: "facts" }, line)),
      el("p", { class: "facts" }, el("a", { href: `#/models/${model.name}` }, "All about this model")));
}

/** wanted: the name of the model to begin with, or null. {node, get() -> {model} | {method, config} | null}. */
export async function methodChoice(signal, wanted, onChange) {
  const [models, methods] = await Promise.all([
    list("/v1/models", "models", { signal }), get("/v1/methods", { signal })]);
  const group = newId("by");
  let chosen = null;

  const choose = (item, radio) => {
    chosen = item;
    radio.checked = true;
    for (const card of node.querySelectorAll(".choice")) {
      const on = card.contains(radio);
      card.classList.toggle("chosen", on);
      card.querySelector(".more").hidden = !on;
    }
    item.open?.();
    onChange();
  };

  const card = (item, title, text) => {
    const id = newId("m");
    const radio = el("input", { type: "radio", name: group, id });
    radio.addEventListener("change", () => choose(item, radio));
    item.radio = radio;
    item.more = el("div", { class: "more", hidden: true });
    return el("div", { class: "choice" }, el("label", { for: id }, radio,
      el("span", { class: "name" }, title), el("span", { class: "facts" }, text)), item.more);
  };

  const modelItem = (model) => {
    const item = { name: model.name };
    const version = select([["", `newest (${model.version})`]], "");
    version.addEventListener("change", onChange);
    item.value = () => ({ model: version.value ? `${model.name}@${version.value}` : model.name });
    item.open = async () => {
      item.open = null;
      const place = el("div", {});
      item.more.append(place);
      try {
        const [aliases, versions] = await Promise.all([aliasesOf(model.name, signal),
          list(`/v1/models/${model.name}`, "models", { signal })]);
        if (versions.length > 1 || aliases.length) {
          clear(version, el("option", { value: "" }, `newest (${model.version})`),
            aliases.map((a) => el("option", { value: a.name }, `${a.name} (${a.version})`)),
            versions.slice(1).map((v) => el("option", { value: v.version }, `version ${v.version}`)));
          if (aliases.some((a) => a.name === "champion")) version.value = "champion";
          item.more.prepend(field("Version", version));
          onChange();
        }
        const shown = versions.find((v) => String(v.version) === version.value) ?? model;
        await modelFacts(shown, place, signal);
      } catch (error) {
        if (!isAbort(error)) place.textContent = error.message;
      }
    };
    const node = card(item, model.name, model.shared ? "shared with everybody" : `version ${model.version}`);
    return { node, item };
  };

  const filterItem = (filter) => {
    const item = {};
    const inputs = filter.options.map((option) => settingInput(option, option.default, onChange));
    item.value = () => ({ method: filter.name,
      config: Object.fromEntries(inputs.filter((i) => i.changed()).map((i) => [i.name, i.value()])) });
    const node = card(item, filter.name, "filter, needs no training");
    item.more.append(el("p", { class: "facts" }, filter.doc), ...inputs.map((i) => i.node));
    return { node, item };
  };

  const modelCards = models.map(modelItem);
  const filterCards = methods.filters.map(filterItem);
  const node = el("div", { class: "choices", role: "radiogroup", "aria-label": "Model or filter" },
    el("h4", {}, "Models"),
    models.length ? modelCards.map((c) => c.node)
      : emptyBox("No model yet", "Train one on a few pairs of your own images, or begin with a filter.",
        el("a", { class: "button", href: "#/training/new" }, "Train a model\u2026")),
    el("h4", {}, "Filters"), filterCards.map((c) => c.node));
  const first = modelCards.find((c) => c.item.name === wanted) ?? modelCards[0] ?? filterCards.find((c) => c.item.value().method === "median") ?? filterCards[0];
  if (first) choose(first.item, first.item.radio);
  return { node, get: () => chosen?.value() ?? null };
}
