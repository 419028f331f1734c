// The modules of the page that need no browser.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

const storage = () => {
  const kept = new Map();
  return { getItem: (k) => kept.get(k) ?? null, setItem: (k, v) => kept.set(k, String(v)), removeItem: (k) => kept.delete(k) };
};
globalThis.sessionStorage = storage();
globalThis.localStorage = storage();
const web = new URL("../../api/web/", import.meta.url);
const load = (name) => import(new URL(name, web));

test("names tell which clean image belongs to which noisy one", async () => {
  const { partnerOf, roleOf } = await load("pairs.js");
  const image = (name) => ({ id: name, name });
  const cases = [
    ["fov02_noisy_03.tif", ["fov2_gt.tif", "fov03_gt.tif"], "fov2_gt.tif"],
    ["Noisy-7.png", ["clean-7.png", "clean-17.png"], "clean-7.png"],
    ["a1_low.ome.tif", ["a1_high.ome.tif", "a11_high.ome.tif"], "a1_high.ome.tif"],
    ["cell_1_2.tif", ["cell_1.tif", "cell_1_2.tif"], "cell_1_2.tif"],
    ["x.tif", ["y.tif"], "y.tif"], // there is only one
    ["x.tif", ["y.tif", "z.tif"], null],
    ["n3.tif", ["n3_gt.tif", "n3_clean.tif"], null],
  ];
  for (const [noisy, cleans, want] of cases)
    assert.equal(partnerOf(image(noisy), cleans.map(image)).clean?.name ?? null, want, noisy);
  assert.deepEqual(["a_noisy.tif", "a_gt.tif", "a.tif", "avg50.png", "noisy_gt.tif"].map(roleOf),
    ["noisy", "clean", null, "clean", null]);
});

test("what does not fit as a pair is told in words", async () => {
  const { pairProblem, repeatsProblem } = await load("pairs.js");
  const image = { id: "a", width: 64, height: 32, channels: 1, pages: 4, name: "a" };
  assert.equal(pairProblem(image, { ...image, id: "b" }), "");
  assert.equal(pairProblem(image, { ...image, id: "b", pages: 1 }), "");
  assert.match(pairProblem(image, image), /same file/);
  assert.match(pairProblem(image, { ...image, id: "b", width: 65 }), /sizes differ/);
  assert.match(pairProblem(image, { ...image, id: "b", pages: 2 }), /1 or as many/);
  assert.match(pairProblem(image, { ...image, id: "b", channels: 3 }), /channel/);
  assert.equal(repeatsProblem([image]), "");
  assert.match(repeatsProblem([{ ...image, pages: 1 }]), /two frames/);
  assert.match(repeatsProblem([image, { ...image, height: 33 }]), /one size/);
});

test("SHA-256 is that of everybody", async () => {
  const { sha256Plain } = await load("sha256.js");
  for (const n of [0, 1, 55, 56, 63, 64, 65, 119, 120, 100001]) {
    const bytes = new Uint8Array(n).map((_, i) => i * 31 + n);
    assert.equal(Buffer.from(sha256Plain(bytes)).toString("hex"), createHash("sha256").update(bytes).digest("hex"), `${n} bytes`);
  }
});

test("percentiles are those of sorted values, and leave out what is not finite", async () => {
  const { percentile, sorted } = await load("raster.js");
  const list = sorted(Float32Array.from([4, NaN, 0, 2, Infinity, 1, 3]));
  assert.deepEqual([...list], [0, 1, 2, 3, 4]);
  assert.deepEqual([0, 25, 60, 100].map((p) => Math.round(1e5 * percentile(list, p)) / 1e5), [0, 1, 2.4, 4]);
  assert.equal(percentile(sorted(new Float32Array(0)), 50), 0);
});

test("white noise has unlike neighbours, stripes have not", async () => {
  const { residualOf, whiteness } = await load("raster.js");
  const [width, height] = [64, 64];
  let s = 1;
  const noise = Float32Array.from({ length: width * height }, () => {
    s = (s * 48271) % 2147483647;
    return s / 2147483647;
  });
  const white = whiteness({ width, height, values: noise });
  assert.ok(Math.abs(white.beside) < 0.06 && Math.abs(white.below) < 0.06, JSON.stringify(white));
  assert.ok(Math.abs(white.sd - Math.sqrt(1 / 12)) < 0.01);
  const stripes = { width, height, values: Float32Array.from(noise, (_, i) => (i >> 6) % 2) };
  const seen = whiteness(residualOf(stripes, { values: new Float32Array(width * height) }));
  assert.ok(seen.beside > 0.9 && seen.below < -0.9, JSON.stringify(seen));
});

test("ticks are round and cover the range", async () => {
  const { ticks } = await load("chart.js");
  assert.deepEqual(ticks(0, 600, 6), [0, 100, 200, 300, 400, 500, 600]);
  assert.deepEqual(ticks(25.2, 36.9, 5), [30, 35]);
  assert.deepEqual(ticks(-1, 1, 4), [-1, -0.5, 0, 0.5, 1]);
});

/* A stream as a server sends it, cut at the given places. */
function streamOf(text, cuts) {
  const bytes = new TextEncoder().encode(text);
  const ends = [...cuts, bytes.length];
  let from = 0;
  return new Response(new ReadableStream({ pull(control) {
    const to = ends.shift();
    if (to === undefined) control.close();
    else {
      control.enqueue(bytes.slice(from, to));
      from = to;
    }
  } }), { status: 200 });
}

test("a stream that breaks goes on behind its last event", async () => {
  const first = ": hello\n\nid: 1\nevent: state\ndata: {\"state\":\"running\"}\n\nid: 2\nevent: log\ndata: {\"text\":\"gr\u00fcn\"}\n\nid: 3\neve";
  const second = "id: 3\nevent: done\ndata: {\"state\":\"succeeded\"}\n\n";
  const asked = [];
  globalThis.fetch = async (path, options) => {
    asked.push(options.headers["Last-Event-ID"] ?? "");
    return asked.length === 1 ? streamOf(first, [3, 20, 47, 96, 97, 98]) : streamOf(second, []);
  };
  const { follow } = await load("stream.js");
  const events = [];
  await follow("job_1", (type, data) => events.push([type, data]), new AbortController().signal);
  assert.deepEqual(events, [["state", { state: "running" }], ["log", { text: "gr\u00fcn" }], ["done", { state: "succeeded" }]]);
  assert.deepEqual(asked, ["", "2"]);
});

test("where there are no streams left, the job is asked for instead", async () => {
  globalThis.fetch = async (path) => (path.endsWith("/events")
    ? new Response("{\"detail\":\"too many\"}", { status: 429 })
    : Response.json({ state: "succeeded", finished_at: "2026-01-01T00:00:00Z", progress: { fraction: 1 } }));
  const { follow } = await load("stream.js");
  const events = [];
  await follow("job_2", (type, data) => events.push([type, data.state ?? data.fraction]), new AbortController().signal);
  assert.deepEqual(events, [["state", "succeeded"], ["progress", 1], ["done", "succeeded"]]);
});

test("times and sizes read as people say them", async () => {
  const { bytes, seconds, value } = await load("format.js");
  assert.deepEqual([0.2, 59, 75, 3700, 200000].map(seconds), ["1 s", "59 s", "1 min 15 s", "1 h 1 min", "2 d 7 h"]);
  assert.deepEqual([12, 1500, 2.5e6].map((n) => bytes(n).replace(",", ".")), ["12 B", "1.5 kB", "2.5 MB"]);
  assert.equal(value(0.00001), "1e-5");
  assert.equal(value(NaN), "\u2013");
});
