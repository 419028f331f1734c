// Which clean image belongs to which noisy one, by their names; and whether two can be a pair.

import { plural } from "./format.js";

const CLEAN = new Set(["clean", "gt", "truth", "groundtruth", "reference", "ref", "target", "high",
  "hq", "hr", "highsnr", "mean", "avg", "average"]);
const NOISY = new Set(["noisy", "noise", "raw", "low", "lq", "lowsnr", "input"]);

/** "Fov02_noisy-03.ome.tif" -> ["fov", "2", "noisy", "3"] */
export function wordsOf(name) {
  const stem = name.toLowerCase().replace(/(\.ome)?\.[a-z0-9]+$/, "");
  return (stem.match(/\p{L}+|\d+/gu) ?? []).map((w) => (/^\d+$/.test(w) ? String(BigInt(w)) : w));
}

/** What a name says that the file is: "noisy", "clean", or null. */
export function roleOf(name) {
  const words = wordsOf(name);
  const clean = words.some((w) => CLEAN.has(w));
  const noisy = words.some((w) => NOISY.has(w));
  if (clean === noisy) return null;
  return clean ? "clean" : "noisy";
}

function keyOf(name) {
  return wordsOf(name).filter((w) => !CLEAN.has(w) && !NOISY.has(w));
}

function startsWith(words, start) {
  return start.length <= words.length && start.every((w, i) => words[i] === w);
}

/** The clean image of the same name, or of the longest beginning of it: {clean, problem}. */
export function partnerOf(noisy, cleans) {
  const words = keyOf(noisy.name);
  const fitting = cleans.map((clean) => ({ clean, key: keyOf(clean.name) }))
    .filter(({ key }) => startsWith(words, key));
  const longest = Math.max(-1, ...fitting.map(({ key }) => key.length));
  const best = fitting.filter(({ key }) => key.length === longest);
  if (best.length === 1) return { clean: best[0].clean, problem: "" };
  if (best.length > 1) return { clean: null, problem: `${best.length} clean images have this name: choose one` };
  if (cleans.length === 1) return { clean: cleans[0], problem: "" };
  return { clean: null, problem: cleans.length ? "no clean image has this name: choose one" : "there is no clean image yet" };
}

/** What speaks against the two as a pair, in words; "" when nothing does. */
export function pairProblem(noisy, clean) {
  if (noisy.id === clean.id) return "this is the same file on both sides";
  if (noisy.width !== clean.width || noisy.height !== clean.height)
    return `sizes differ: noisy ${noisy.width} \u00d7 ${noisy.height}, clean ${clean.width} \u00d7 ${clean.height}`;
  if (noisy.channels !== clean.channels)
    return `noisy has ${plural(noisy.channels, "channel")}, clean ${plural(clean.channels, "channel")}`;
  if (clean.pages !== 1 && clean.pages !== noisy.pages)
    return `noisy has ${plural(noisy.pages, "page")}, clean ${plural(clean.pages, "page")}; clean needs 1 or as many`;
  return "";
}

/** What speaks against frames as repeats of one scene. */
export function repeatsProblem(images) {
  const frames = images.reduce((n, i) => n + i.pages, 0);
  if (frames < 2) return "At least two frames of the same scene are needed.";
  const [first] = images;
  const other = images.find((i) => i.width !== first.width || i.height !== first.height || i.channels !== first.channels);
  return other ? `All frames must have one size: ${first.name} is ${first.width} \u00d7 ${first.height}, ${other.name} is ${other.width} \u00d7 ${other.height}.` : "";
}
