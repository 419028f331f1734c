// Grey values of a page: fetching them, their distribution, and how they become pixels.

import { send } from "./api.js";

/** path: a preview. {width, height, step, values: Float32Array} */
export async function loadRaster(path, { page, channel, size, signal }) {
  const query = new URLSearchParams({ as: "float32", page, size });
  if (channel !== null) query.set("channel", channel);
  const response = await send("GET", `${path}?${query}`, { signal });
  const header = (name) => Number(response.headers.get(name));
  return {
    width: header("X-Preview-Width"),
    height: header("X-Preview-Height"),
    step: header("X-Preview-Step"),
    values: new Float32Array(await response.arrayBuffer()),
  };
}

const SAMPLE = 1 << 18;

/** Sorted finite values, of all pixels or of evenly spread ones. */
export function sorted(values) {
  const every = Math.max(1, Math.floor(values.length / SAMPLE));
  const some = new Float32Array(Math.ceil(values.length / every));
  let n = 0;
  for (let i = 0; i < values.length; i += every) if (Number.isFinite(values[i])) some[n++] = values[i];
  return some.subarray(0, n).sort();
}

/** The percentile p (0..100) of sorted values, linear between neighbours. */
export function percentile(list, p) {
  if (list.length === 0) return 0;
  const at = (p / 100) * (list.length - 1);
  const low = Math.floor(at);
  const high = Math.min(list.length - 1, low + 1);
  return list[low] + (at - low) * (list[high] - list[low]);
}

/** A canvas of the raster's size with a colour for each value; colour: value -> 0xAABBGGRR. */
export function paint(raster, colour, canvas = document.createElement("canvas")) {
  const { width, height, values } = raster;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i += 1) pixels[i] = colour(values[i], i);
  context.putImageData(image, 0, 0);
  return canvas;
}

export function grey(level) {
  return 0xff000000 | (level << 16) | (level << 8) | level;
}

/** Black and white in grey values. */
export function greyScale(black, white) {
  const scale = 255 / (white - black || 1);
  return (v) => {
    const level = (v - black) * scale;
    return grey(level >= 255 ? 255 : level > 0 ? level | 0 : 0);
  };
}

/** From black over violet and orange to pale yellow, as light rises evenly; t: 0..1. */
const HEAT = [[0, 0, 4], [60, 15, 110], [150, 40, 100], [220, 80, 50], [250, 160, 30], [252, 250, 170]];
const heatTable = new Uint32Array(256).map((_, i) => {
  const at = (i / 255) * (HEAT.length - 1);
  const k = Math.min(HEAT.length - 2, Math.floor(at));
  const [r, g, b] = [0, 1, 2].map((c) => Math.round(HEAT[k][c] + (at - k) * (HEAT[k + 1][c] - HEAT[k][c])));
  return 0xff000000 | (b << 16) | (g << 8) | r;
});

export function heatScale(top) {
  const scale = 255 / (top || 1);
  return (v) => heatTable[Math.max(0, Math.min(255, (v * scale) | 0))];
}

/** before - after, pixel by pixel. */
export function residualOf(before, after) {
  const values = new Float32Array(before.values.length);
  for (let i = 0; i < values.length; i += 1) values[i] = before.values[i] - after.values[i];
  return { ...before, values };
}

/** Mean and standard deviation of the residual, and how alike its neighbours are: correlation
 * of pixels with those beside and below. White noise has about 0. */
export function whiteness({ width, height, values }) {
  let sum = 0;
  let n = 0;
  for (const v of values) if (Number.isFinite(v)) {
    sum += v;
    n += 1;
  }
  const mean = n ? sum / n : 0;
  let square = 0;
  let beside = 0;
  let below = 0;
  for (let y = 0, i = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1, i += 1) {
      const d = values[i] - mean;
      if (!Number.isFinite(d)) continue;
      square += d * d;
      if (x + 1 < width && Number.isFinite(values[i + 1])) beside += d * (values[i + 1] - mean);
      if (y + 1 < height && Number.isFinite(values[i + width])) below += d * (values[i + width] - mean);
    }
  return { mean, sd: Math.sqrt(square / Math.max(1, n)),
    beside: square ? beside / square : 0, below: square ? below / square : 0 };
}
