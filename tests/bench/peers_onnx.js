// The U-Net of preset paper in ONNX Runtime: an engine that peers.py compares.
//     node peers_onnx.js MODULES DIR THREADS N
// MODULES is the folder with node_modules; DIR holds noisy.bin and generator-N.onnx.
// Writes "ready", then for every line on stdin the milliseconds of one repetition, until
// stdin ends; then the output goes to DIR/onnxruntime-N.bin.
'use strict';

const fs = require('fs');
const path = require('path');
const readline = require('readline');
const { createRequire } = require('module');

const SIDE = 256;
const [modules, dir, threads, batch] = process.argv.slice(2);
const n = Number(batch);
const ort = createRequire(path.resolve(modules, 'package.json'))('onnxruntime-node');

function readImages() {
  const bytes = fs.readFileSync(path.join(dir, 'noisy.bin'));
  const floats = new Float32Array(bytes.buffer, bytes.byteOffset, n * SIDE * SIDE);
  return new ort.Tensor('float32', Float32Array.from(floats), [n, 1, SIDE, SIDE]);
}

async function main() {
  const session = await ort.InferenceSession.create(path.join(dir, `generator-${n}.onnx`), {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'all',
    intraOpNumThreads: Number(threads),
    interOpNumThreads: 1,
  });
  const feeds = { x: readImages() };
  let y = (await session.run(feeds)).y;
  console.log('ready');
  for await (const _ of readline.createInterface({ input: process.stdin })) {
    const begin = process.hrtime.bigint();
    y = (await session.run(feeds)).y;
    console.log((Number(process.hrtime.bigint() - begin) / 1e6).toFixed(4));
  }
  fs.writeFileSync(path.join(dir, `onnxruntime-${n}.bin`), Buffer.from(y.data.buffer));
}

main().catch((error) => {
  console.error(`peers_onnx: ${error.message}`);
  process.exitCode = 1;
});
