// What an evaluation measured: the model beside the noisy images and plain filters.

import { el } from "./dom.js";
import { fixed, plural, value } from "./format.js";

const FIRST = ["psnr_matched", "ssim_matched", "psnr", "ssim", "nrmse", "gradient_energy"];

function places(definition) {
  return definition.unit === "dB" ? 2 : 3;
}

/* The best mean of a column; null where no direction is better. */
function best(report, metric) {
  const up = report.definitions[metric].higher_is_better;
  if (up === null) return null;
  const means = Object.values(report.mean).map((m) => m[metric]?.mean).filter(Number.isFinite);
  return up ? Math.max(...means) : Math.min(...means);
}

function cell(report, method, metric, top) {
  const found = report.mean[method][metric];
  const mean = found?.mean;
  if (!Number.isFinite(mean)) return el("td", { class: "num" }, value(mean));
  const n = places(report.definitions[metric]);
  const spread = Number.isFinite(found.sd) ? el("span", { class: "facts" }, ` \u00b1 ${fixed(found.sd, n)}`) : null;
  return el("td", { class: mean === top ? "num best" : "num" }, fixed(mean, n), spread);
}

function table(report, metrics, caption) {
  const own = report.model ?? "";
  const methods = Object.keys(report.mean).sort((a, b) => (b === own) - (a === own));
  const tops = new Map(metrics.map((m) => [m, best(report, m)]));
  const head = (m) => {
    const { unit, definition } = report.definitions[m];
    return el("th", { scope: "col", class: "num", title: definition }, m.replace(/_/g, " "), unit ? el("span", { class: "facts" }, ` ${unit}`) : null);
  };
  return el("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": caption },
    el("table", {}, el("caption", { class: "visually-hidden" }, caption),
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, ""), metrics.map(head))),
      el("tbody", {}, methods.map((method) => el("tr", { class: method === own ? "own" : "" },
        el("th", { scope: "row" }, method), metrics.map((m) => cell(report, method, m, tops.get(m))))))));
}

function perImage(report, metric) {
  const own = report.model;
  return el("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": "Image by image" },
    el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Image"),
      ["noisy", own, "gain"].map((h) => el("th", { scope: "col", class: "num" }, h)))),
    el("tbody", {}, report.images.map((image) => {
      const noisy = image.scores.noisy?.[metric];
      const mine = image.scores[own]?.[metric];
      const n = places(report.definitions[metric]);
      return el("tr", {}, el("th", { scope: "row" }, image.name, image.page ? `, page ${image.page + 1}` : ""),
        [noisy, mine, mine - noisy].map((v) => el("td", { class: "num" }, fixed(v, n))));
    }))));
}

/** Tables of one evaluation report. */
export function metricsTables(report) {
  const all = Object.keys(Object.values(report.mean)[0] ?? {});
  const first = FIRST.filter((m) => all.includes(m));
  const rest = all.filter((m) => !first.includes(m));
  const definitions = el("dl", { class: "definitions" }, all.map((m) => [el("dt", {}, m.replace(/_/g, " ")),
    el("dd", {}, report.definitions[m].definition, report.definitions[m].paper ? " As the paper counts, to compare with its tables only." : "")]));
  return el("div", {}, table(report, first, "Metrics"),
    el("p", { class: "hint" }, `Mean and standard deviation over ${plural(report.images.length, "image")}; the best of each column is bold.`),
    el("details", {}, el("summary", {}, "Image by image"), perImage(report, first[0] ?? all[0])),
    rest.length ? el("details", {}, el("summary", {}, "More metrics"), table(report, rest, "More metrics")) : null,
    el("details", {}, el("summary", {}, "What the metrics mean"), definitions));
}
