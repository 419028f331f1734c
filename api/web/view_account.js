// Who is signed in, what the token allows, and how much of the quotas is used.

import { clear, el } from "./dom.js";
import { bytes, count, seconds } from "./format.js";
import { get } from "./api.js";

const quotas = [
  ["queued_jobs", "Jobs that wait", count],
  ["running_jobs", "Jobs that run", count],
  ["stored_bytes", "Stored", bytes],
  ["compute_seconds_per_day", "Computing today", seconds],
];
const scopes = { read: "look and download", submit: "upload and denoise", train: "train, promote and share models", admin: "run the server" };

function usage(me) {
  if (!me.quotas || !me.usage) return null;
  const rows = quotas.filter(([key]) => Number.isFinite(me.usage[key])).map(([key, label, text]) => {
    const most = me.quotas[key];
    const used = me.usage[key];
    return el("div", { class: "meter" }, el("span", {}, label),
      el("span", { class: "facts" }, most > 0 ? `${text(used)} of ${text(most)}` : `${text(used)}, no limit`),
      most > 0 ? el("progress", { max: 1, value: Math.min(1, used / most), "aria-label": label }) : null);
  });
  return el("section", { class: "panel" }, el("h3", {}, "Used"), rows);
}

export async function show(root, { signal }) {
  const me = await get("/v1/me", { signal });
  clear(root, el("h2", {}, me.owner ?? "Account"), el("div", { class: "form narrow" },
    el("section", { class: "panel" }, el("h3", {}, "Your token"),
      el("dl", { class: "pairs" }, el("dt", {}, "Token"), el("dd", {}, me.token ?? "none needed"),
        (me.scopes ?? []).map((s) => [el("dt", {}, s), el("dd", {}, scopes[s] ?? "")]))),
    usage(me)));
}
