// Images for the stories: simulated fields of cells as 16-bit TIFF, noisy and clean, and stacks.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

/* A generator of numbers in 0..1 that starts the same each time [Marsaglia, Xorshift RNGs, 2003]. */
function random(seed) {
  let s = (seed * 2654435761 + 1) >>> 0;
  return () => {
    s ^= s << 13;
    s >>>= 0;
    s ^= s >>> 17;
    s ^= s << 5;
    s >>>= 0;
    return s / 4294967296;
  };
}

/* Soft discs on a dark ground, in photons. */
export function field(seed, width, height) {
  const next = random(seed);
  const cells = Array.from({ length: Math.ceil((width * height) / 2500) }, () => ({
    x: next() * width, y: next() * height, r: 6 + 10 * next(), light: 40 + 120 * next() }));
  const out = new Float64Array(width * height);
  for (let y = 0, i = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1, i += 1) {
      let light = 8;
      for (const c of cells) {
        const d = Math.hypot(x - c.x, y - c.y) / c.r;
        if (d < 1.3) light += c.light * Math.max(0, Math.min(1, (1.15 - d) * 6));
      }
      out[i] = light;
    }
  return out;
}

/* Shot noise, nearly (its variance is the mean), and grey values of a camera. */
function exposed(light, seed) {
  const next = random(seed);
  const out = new Uint16Array(light.length);
  for (let i = 0; i < out.length; i += 1) {
    const normal = Math.sqrt(-2 * Math.log(next() + 1e-12)) * Math.cos(2 * Math.PI * next());
    out[i] = Math.max(0, Math.round(100 + 20 * (light[i] + Math.sqrt(light[i]) * normal)));
  }
  return out;
}

/** pages: [Uint16Array]: an uncompressed little-endian TIFF. */
export function tiff(pages, width, height) {
  const bytes = width * height * 2;
  const entries = 10;
  const ifd = 2 + 12 * entries + 4;
  const out = Buffer.alloc(8 + pages.length * (bytes + ifd));
  out.write("II*\0", 0, "latin1");
  out.writeUInt32LE(8 + bytes, 4);
  pages.forEach((page, k) => {
    const data = 8 + k * (bytes + ifd);
    Buffer.from(page.buffer, page.byteOffset, bytes).copy(out, data);
    let at = data + bytes;
    out.writeUInt16LE(entries, at);
    at += 2;
    const tags = [[256, 4, width], [257, 4, height], [258, 3, 16], [259, 3, 1], [262, 3, 1], [273, 4, data],
      [277, 3, 1], [278, 4, height], [279, 4, bytes], [339, 3, 1]];
    for (const [tag, type, value] of tags) {
      out.writeUInt16LE(tag, at);
      out.writeUInt16LE(type, at + 2);
      out.writeUInt32LE(1, at + 4);
      if (type === 3) out.writeUInt16LE(value, at + 8);
      else out.writeUInt32LE(value, at + 8);
      at += 12;
    }
    out.writeUInt32LE(k + 1 < pages.length ? data + bytes + ifd + bytes : 0, at);
  });
  return out;
}

function save(folder, name, data) {
  const path = join(folder, name);
  writeFileSync(path, data);
  return path;
}

/** fov1_noisy.tif, fov1_clean.tif, ...: their paths. */
export function writePairs(folder, count, size) {
  const paths = [];
  for (let k = 1; k <= count; k += 1) {
    const light = field(k, size, size);
    paths.push(save(folder, `fov${k}_noisy.tif`, tiff([exposed(light, 100 + k)], size, size)),
      save(folder, `fov${k}_clean.tif`, tiff([Uint16Array.from(light, (l) => Math.round(100 + 20 * l))], size, size)));
  }
  return paths;
}

/** A noisy stack of `pages` pages, of about `pages` * size * size * 2 bytes. */
export function writeStack(folder, name, pages, size) {
  const light = field(77, size, size);
  const frames = Array.from({ length: Math.min(pages, 4) }, (_, k) => exposed(light, 500 + k));
  return save(folder, name, tiff(Array.from({ length: pages }, (_, k) => frames[k % frames.length]), size, size));
}
