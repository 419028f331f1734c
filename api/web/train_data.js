// What a training learns from: noisy and clean images as pairs that can be checked by eye,
// repeated frames of one scene, or a data set that is there already.

import { button, clear, el, field, newId, select } from "./dom.js";
import { plural, shape } from "./format.js";
import { post } from "./api.js";
import { chooseImages } from "./choose.js";
import { dropZone } from "./drop.js";
import { imageThumb } from "./thumbs.js";
import { pairProblem, partnerOf, repeatsProblem, roleOf } from "./pairs.js";

function byName(a, b) {
  return a.name.localeCompare(b.name, undefined, { numeric: true });
}

/* A pile of images that files are dropped on or that are chosen from the server. */
function pile(title, hint, images, others, onChange) {
  const take = (more) => {
    for (const image of more) if (!images.some((i) => i.id === image.id)) images.push(image);
    images.sort(byName);
    onChange();
  };
  const summary = el("span", { class: "facts", role: "status" });
  const node = el("div", { class: "pile", role: "group", "aria-label": title },
    el("div", { class: "row between" }, el("h4", {}, title), summary), dropZone(hint, take),
    el("div", { class: "row" }, button("Choose from the server\u2026", async () => {
      const taken = new Set([...images, ...others()].map((i) => i.id));
      const more = await chooseImages(`Choose: ${title.toLowerCase()}`, taken);
      if (more) take(more);
    }), button("Remove all", () => {
      images.length = 0;
      onChange();
    }, { class: "quiet" })));
  return { node, draw: () => {
    summary.textContent = images.length ? plural(images.length, "file") : "none yet";
  } };
}

/* The table of pairs: what belongs together, and what is wrong with it. */
function pairTable(noisy, clean, choices, onChange) {
  const rows = noisy.map((image) => {
    const found = partnerOf(image, clean);
    const byHand = choices.has(image.id);
    const partner = byHand ? clean.find((c) => c.id === choices.get(image.id)) ?? null : found.clean;
    const problem = partner ? pairProblem(image, partner) : byHand ? "choose its clean image" : found.problem;
    return { image, partner, problem };
  });
  const line = ({ image, partner, problem }) => {
    const choice = select([["", "\u2013 none \u2013"], ...clean.map((c) => [c.id, c.name])], partner?.id ?? "",
      { "aria-label": `Clean image of ${image.name}`, data: { of: image.id } });
    choice.addEventListener("change", () => {
      choices.set(image.id, choice.value);
      onChange();
      document.querySelector(`select[data-of="${image.id}"]`)?.focus(); // the table was made anew
    });
    return el("tr", { class: problem ? "bad" : "" },
      el("td", {}, el("span", { class: "with-pic" }, imageThumb(image.id, 64),
        el("span", {}, el("span", { class: "name" }, image.name), el("span", { class: "facts" }, shape(image))))),
      el("td", {}, el("span", { class: "with-pic" }, partner ? imageThumb(partner.id, 64) : el("span", { class: "thumb" }), choice)),
      el("td", { class: problem ? "wrong-cell" : "good" }, problem || "fits"),
      el("td", {}, button("\u00d7", () => {
        noisy.splice(noisy.indexOf(image), 1);
        onChange();
      }, { class: "quiet", "aria-label": `Leave out ${image.name}` })));
  };
  const unused = clean.filter((c) => !rows.some((r) => r.partner?.id === c.id));
  const bad = rows.filter((r) => r.problem).length;
  const node = rows.length === 0 ? el("p", { class: "hint" }, "The pairs will stand here, each with its check.")
    : el("div", {}, el("p", { role: "status", class: bad ? "wrong" : "good" },
      `${plural(rows.length - bad, "pair")} fit${rows.length - bad === 1 ? "s" : ""}${bad ? `, ${bad} ${bad === 1 ? "does" : "do"} not: mend or leave out what is marked` : ""}.`),
    unused.length ? el("p", { class: "hint" }, `Without a noisy image: ${unused.map((c) => c.name).join(", ")}`) : null,
    el("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": "Pairs" }, el("table", { class: "pair-table" },
      el("thead", {}, el("tr", {}, ["Noisy", "Clean", "Check", ""].map((h) => el("th", { scope: "col" }, h || el("span", { class: "visually-hidden" }, "Leave out"))))),
      el("tbody", {}, rows.map(line)))));
  return { rows, bad, node };
}

/** given: images to begin with; sets: data sets. {node, problem(), dataset(name) -> id, changed()} */
export function trainData(given, sets, onChange) {
  const noisy = [];
  const clean = [];
  const frames = [];
  const choices = new Map();
  const named = given.some((i) => roleOf(i.name) === "clean");
  for (const image of given) (named && roleOf(image.name) === "clean" ? clean : noisy).push(image);
  noisy.sort(byName);
  clean.sort(byName);
  let kind = "pairs";
  let made = null; // {key, id}: the data set of just these items
  let table = null;

  const draw = () => {
    table = pairTable(noisy, clean, choices, draw);
    clear(tablePlace, table.node);
    for (const p of [noisyPile, cleanPile, framePile]) p.draw();
    const wrong = frames.length ? repeatsProblem(frames) : "";
    clear(frameList, frames.length === 0 ? el("p", { class: "hint" }, "Files with several pages count page by page.")
      : [el("p", { class: wrong ? "wrong" : "good", role: "status" },
        wrong || `${plural(frames.reduce((n, i) => n + i.pages, 0), "frame")} of one size; each learns from the mean of the others.`),
      el("ul", { class: "chips" }, frames.map((i) => el("li", {}, i.name)))]);
    onChange();
  };
  /* Clean images dropped among the noisy ones say so by their names. */
  const sortOut = () => {
    const misplaced = noisy.filter((i) => roleOf(i.name) === "clean");
    for (const image of misplaced) {
      noisy.splice(noisy.indexOf(image), 1);
      if (!clean.some((c) => c.id === image.id)) clean.push(image);
    }
    clean.sort(byName);
    draw();
  };
  const noisyPile = pile("Noisy images", "Drop noisy images here. Clean ones among them are told by their names.", noisy, () => clean, sortOut);
  const cleanPile = pile("Clean images", "Drop the clean images of the same fields here.", clean, () => noisy, draw);
  const framePile = pile("Frames of one scene", "Drop repeated frames of one static scene here, as files or as pages.", frames, () => [], draw);
  const tablePlace = el("div", {});
  const frameList = el("div", {});
  const setChoice = select([["", "\u2013 choose \u2013"], ...sets.map((s) => [s.id, `${s.name} (${plural(s.samples, "noisy image")}, ${s.kind})`])], "");
  setChoice.addEventListener("change", onChange);

  const bodies = {
    pairs: el("div", {}, el("div", { class: "piles" }, noisyPile.node, cleanPile.node), tablePlace),
    repeats: el("div", {}, framePile.node, frameList),
    set: el("div", {}, sets.length ? field("Data set", setChoice)
      : el("p", { class: "hint" }, "There is no data set yet. Make one from pairs or repeats.")),
  };
  const group = newId("data");
  const tabs = el("fieldset", { class: "segments" }, el("legend", { class: "visually-hidden" }, "Learn from"),
    [["pairs", "Pairs noisy and clean"], ["repeats", "Repeats of one scene"], ["set", "A data set"]].map(([k, label]) => {
      const id = newId("data");
      const radio = el("input", { type: "radio", name: group, id, checked: k === kind });
      radio.addEventListener("change", () => {
        kind = k;
        for (const [name, body] of Object.entries(bodies)) body.hidden = name !== kind;
        onChange();
      });
      return [radio, el("label", { for: id }, label)];
    }));
  bodies.repeats.hidden = bodies.set.hidden = true;

  const items = () => (kind === "pairs"
    ? { kind, pairs: table.rows.filter((r) => !r.problem).map((r) => ({ noisy: r.image.id, clean: r.partner.id })) }
    : { kind: "repeats", images: frames.map((i) => i.id) });
  return {
    node: el("div", {}, tabs, bodies.pairs, bodies.repeats, bodies.set),
    start: draw,
    /** What is missing, in words; "" when a data set can be made. */
    problem() {
      if (kind === "set") return setChoice.value ? "" : "Choose a data set.";
      if (kind === "repeats") return frames.length ? repeatsProblem(frames) : "Add the frames first.";
      if (noisy.length === 0) return "Add noisy and clean images first.";
      return table.bad ? "Some pairs do not fit: mend them or leave them out." : "";
    },
    /** The id of the data set if it exists already, else null. */
    known() {
      if (kind === "set") return setChoice.value || null;
      return made?.key === JSON.stringify(items()) ? made.id : null;
    },
    async dataset(name) {
      if (this.known()) return this.known();
      const key = JSON.stringify(items());
      made = { key, id: (await post("/v1/datasets", { name, ...items() })).id };
      return made.id;
    },
  };
}
