// How often each grey value occurs, of one or two images, on a logarithmic scale.

import { percentile } from "./raster.js";

const BINS = 128;

/* Bins of whole grey values where these are whole: else some would hold one more than others. */
function binsOf(lists, low, high) {
  const whole = lists.every(({ list }) => list.every((v, i) => i % 97 !== 0 || Number.isInteger(v)));
  const range = Math.max(1e-12, high - low);
  if (!whole) return { from: low, size: range / BINS, n: BINS };
  const size = Math.max(1, Math.ceil(range / BINS));
  return { from: Math.floor(low), size, n: Math.max(1, Math.ceil((high - Math.floor(low) + 1) / size)) };
}

function counts(list, { from, size, n }) {
  const bins = new Float64Array(n);
  for (const v of list) {
    const k = Math.floor((v - from) / size);
    if (k >= 0 && k < n) bins[k] += 1;
  }
  return bins.map((m) => Math.log1p(m));
}

/** lists: [{list: sorted values, style: "fill"|"line", colour}]; black, white: marks. */
export function drawHistogram(canvas, lists, { black, white }) {
  const scale = devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * scale);
  const height = Math.round(canvas.clientHeight * scale);
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const c = canvas.getContext("2d");
  c.clearRect(0, 0, width, height);
  const low = Math.min(...lists.map((l) => percentile(l.list, 0.01)), black);
  const high = Math.max(...lists.map((l) => percentile(l.list, 99.99)), white);
  const axis = binsOf(lists, low, high);
  const all = lists.map((l) => ({ ...l, bins: counts(l.list, axis) }));
  const most = Math.max(1, ...all.flatMap((l) => [...l.bins]));
  const x = (k) => (k / axis.n) * width;
  const y = (n) => height - 1 - (n / most) * (height - 4);
  for (const { bins, style, colour } of all) {
    c.beginPath();
    c.moveTo(0, height);
    bins.forEach((n, k) => {
      c.lineTo(x(k), y(n));
      c.lineTo(x(k + 1), y(n));
    });
    c.lineTo(width, height);
    if (style === "fill") {
      c.fillStyle = colour;
      c.fill();
    } else {
      c.strokeStyle = colour;
      c.lineWidth = 1.5 * scale;
      c.stroke();
    }
  }
  const mark = (v, colour) => {
    const at = ((v - axis.from) / (axis.size * axis.n)) * width;
    c.fillStyle = colour;
    c.fillRect(Math.round(Math.max(0, Math.min(width - 2 * scale, at))), 0, 2 * scale, height);
  };
  const ink = getComputedStyle(canvas).color;
  mark(black, ink);
  mark(white, ink);
}
