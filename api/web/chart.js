// Curves over the steps of a run, as a small SVG that grows with its data.

import { clear, el, svg } from "./dom.js";
import { count, value } from "./format.js";

const MARGIN = { left: 56, right: 26, top: 10, bottom: 38 };
const HEIGHT = 240;

/** Round numbers between low and high, about n of them. */
export function ticks(low, high, n) {
  const raw = (high - low) / n || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw) ?? raw;
  const list = [];
  for (let t = Math.ceil(low / step) * step; t <= high + step * 1e-6; t += step) list.push(Math.abs(t) < step * 1e-6 ? 0 : t);
  return list;
}

function powers(low, high) {
  const list = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e += 1)
    for (const m of [1, 2, 5]) {
      const t = m * 10 ** e;
      if (t >= low && t <= high) list.push(t);
    }
  return list.length > 7 ? list.filter((t) => Math.log10(t) % 1 === 0) : list;
}

function extent(values, log) {
  let low = Math.min(...values);
  let high = Math.max(...values);
  if (low === high) {
    low -= Math.abs(low) * 0.05 || 1;
    high += Math.abs(high) * 0.05 || 1;
  }
  if (log) return [Math.max(low, high * 1e-6), high * 1.1];
  const room = (high - low) * 0.06;
  return [low - room, high + room];
}

/** {title, unit, log, labels: {series name: words}, xLabel}. {node, add(name, x, y), draw()} */
export function lineChart({ title, unit = "", log = false, labels = {}, xLabel = "step" }) {
  const series = new Map();
  const picture = svg("svg", { role: "img", class: "chart", height: HEIGHT });
  const legend = el("p", { class: "legend" });
  const node = el("figure", { class: "chart-box" }, el("figcaption", {}, unit ? `${title}, ${unit}` : title), picture, legend);
  let frame = 0;
  let end = 0; // of the x axis, when it is known before the data

  function scales(width) {
    const all = [...series.values()].flat();
    const ys = all.map(([, y]) => y).filter((y) => Number.isFinite(y) && (!log || y > 0));
    if (ys.length === 0) return null;
    const [low, high] = extent(ys, log);
    const last = Math.max(...all.map(([x]) => x), 1);
    const right = last > end / 4 ? Math.max(end, last) : last * 2; // the beginning of a long run fills the picture, too
    const f = log ? Math.log10 : (v) => v;
    const w = width - MARGIN.left - MARGIN.right;
    const h = HEIGHT - MARGIN.top - MARGIN.bottom;
    return { low, high, right,
      x: (v) => MARGIN.left + (v / right) * w,
      y: (v) => MARGIN.top + h * (1 - (f(v) - f(low)) / (f(high) - f(low))) };
  }

  function axes(s, width) {
    const bottom = HEIGHT - MARGIN.bottom;
    const parts = (log ? powers(s.low, s.high) : ticks(s.low, s.high, 5)).map((t) => [
      svg("line", { class: "grid-line", x1: MARGIN.left, x2: width - MARGIN.right, y1: s.y(t), y2: s.y(t) }),
      svg("text", { x: MARGIN.left - 8, y: s.y(t) + 4, "text-anchor": "end" }, value(t))]);
    const across = ticks(0, s.right, width < 420 ? 3 : 6).map((t) => [
      svg("line", { class: "tick", x1: s.x(t), x2: s.x(t), y1: bottom, y2: bottom + 4 }),
      svg("text", { x: s.x(t), y: bottom + 17, "text-anchor": "middle" }, count(t))]);
    return [parts, svg("line", { class: "axis", x1: MARGIN.left, x2: width - MARGIN.right, y1: bottom, y2: bottom }), across];
  }

  function line(points, s, k) {
    let path = "";
    let pen = "M";
    for (const [x, y] of points) {
      if (!Number.isFinite(y) || (log && y <= 0)) {
        pen = "M";
        continue;
      }
      path += `${pen}${s.x(x).toFixed(1)} ${s.y(y).toFixed(1)}`;
      pen = "L";
    }
    const last = points.at(-1);
    const shown = Number.isFinite(last?.[1]) && (!log || last[1] > 0);
    return [svg("path", { class: `curve curve-${k}`, d: path }),
      shown ? svg("circle", { class: `dot curve-${k}`, cx: s.x(last[0]), cy: s.y(last[1]), r: 3 }) : null];
  }

  function drawNow() {
    const width = Math.max(240, picture.clientWidth || 480);
    picture.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const s = scales(width);
    if (!s) {
      clear(picture, svg("text", { x: width / 2, y: HEIGHT / 2, "text-anchor": "middle" }, "no values yet"));
      picture.setAttribute("aria-label", `${title}: no values yet`);
      return;
    }
    const names = [...series.keys()];
    clear(picture, axes(s, width).flat(3),
      names.map((name, k) => line(series.get(name), s, (k % 5) + 1)).flat(),
      svg("text", { x: width - MARGIN.right, y: HEIGHT - 2, "text-anchor": "end" }, xLabel));
    const last = names.map((name) => `${labels[name] ?? name} ${value(series.get(name).at(-1)[1])}`);
    picture.setAttribute("aria-label", `${title} up to ${xLabel} ${count(Math.max(...names.map((n) => series.get(n).at(-1)[0])))}: ${last.join(", ")}`);
    clear(legend, names.map((name, k) => el("span", { class: `key line curve-${(k % 5) + 1}` },
      `${labels[name] ?? name} ${value(series.get(name).at(-1)[1])}`)));
  }

  function draw() {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(drawNow);
  }
  new ResizeObserver(draw).observe(node);
  return {
    node,
    add(name, x, y) {
      if (!series.has(name)) series.set(name, []);
      const points = series.get(name);
      while (points.length && points.at(-1)[0] >= x) points.pop(); // a run that went on from before
      points.push([x, y ?? NaN]);
      draw();
    },
    setEnd(x) {
      end = x;
      draw();
    },
    size: () => series.size,
    clear() {
      series.clear();
      draw();
    },
  };
}
