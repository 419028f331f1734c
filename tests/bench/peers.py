"""The same work in denoised, PyTorch and ONNX Runtime, one repetition each in turn.

    peers.py --build DIR [--threads N] [--repetitions N] [--modules DIR]

Every engine is a process that loads the same weights and images, says "ready" and then does
one repetition per line that it is sent.  The engines take turns with a pause between them,
because idle threads of one keep spinning for some milliseconds and would take the cores of
the next.  Before times count, the engines must agree: outputs of the U-Net, and losses of
the first training steps.  Prints a table, writes DIR/bench-peers.json, and fails when they
do not agree.
"""

import argparse
import json
import os
import platform
import select
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
PAUSE_S = 0.1
PATIENCE_S = 300
OUTPUT_TOLERANCE = 1e-4  # largest difference of outputs, relative to the largest output
# Of losses, relative, in the first three steps.  Adam turns the rounding of tiny gradients
# into whole steps; the contrastive term takes one before all other losses of a step, and
# its loss is then above 200.
LOSS_TOLERANCES = {"none": (1e-4, 1e-2, 1e-2), "disc-infonce": (1e-3, 1e-2, 5e-2)}
MB = 1e6


def fail(text):
    sys.exit(f"bench-peers: {text}")


def said(command):
    """What a command writes."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        fail(f"{command[0]} failed")
    return done.stdout


class Engine:
    """A process that repeats one piece of work."""

    def __init__(self, name, command, output=None, environment=None):
        self.name, self.output, self.times = name, output, []
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, **(environment or {})})
        if self.answer() != "ready":
            fail(f"{name} is not ready")
        self.peak_start = self.peak()
        # 5 = forget the peak: from now on it is that of the work, without loading.
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def answer(self):
        if not select.select([self.process.stdout], [], [], PATIENCE_S)[0]:
            fail(f"{self.name} did not answer within {PATIENCE_S} s")
        line = self.process.stdout.readline()
        if line == "":
            fail(f"{self.name} ended early")
        return line.strip()

    def repeat(self, counts):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        took = float(self.answer())
        if counts:
            self.times.append(took)

    def peak(self):
        """Largest resident set in bytes."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
        fail("this kernel does not tell the peak of resident memory")

    def end(self):
        """Ends the process; returns its last output."""
        self.peak_work = self.peak()
        self.process.stdin.close()
        if self.process.wait() != 0:
            fail(f"{self.name} failed at its end")
        return None if self.output is None else np.fromfile(self.output, np.float32)


class Bench:
    def __init__(self, options):
        self.options = options
        self.folder = options.build / "bench-peers"
        self.net = str(options.build / "peer_net")
        self.torch = [sys.executable, str(HERE / "peers_torch.py")]
        self.rows, self.agreement = [], []

    def threads(self):
        return str(self.options.threads)

    def prepare(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        said([self.net, "make", str(self.folder)])
        if self.options.modules is not None:
            for batch in ("1", "4"):
                said([*self.torch, "export", str(self.folder), batch])

    def denoised(self, work, batch, isa=None):
        kind, _, contrastive = work.partition("-")
        return Engine(
            "denoised" if isa is None else f"denoised, {isa}",
            [self.net, kind, str(self.folder), self.threads(), str(batch),
             *([] if kind == "infer" else [contrastive or "none"])],
            self.folder / f"denoised-{batch}.bin" if work == "infer" else None,
            None if isa is None else {"DENOISED_ISA": isa})

    def pytorch(self, work, batch):
        place = [str(self.folder), self.threads(), str(batch)]
        layout = said([*self.torch, "choose", work, *place]).strip()
        return Engine(f"PyTorch, {layout}", [*self.torch, work, *place, layout],
                      self.folder / f"pytorch-{batch}.bin" if work == "infer" else None)

    def onnxruntime(self, batch):
        return Engine("ONNX Runtime",
                      ["node", str(HERE / "peers_onnx.js"), str(self.options.modules),
                       str(self.folder), self.threads(), str(batch)],
                      self.folder / f"onnxruntime-{batch}.bin")

    # ---- agreement ----

    def agree(self, what, error, tolerance):
        self.agreement.append({"what": what, "relative_error": float(error),
                               "tolerance": tolerance, "agrees": bool(error < tolerance)})

    def compare_losses(self, contrastive):
        place = [str(self.folder), self.threads(), contrastive]
        own, peer = (
            {tuple(line.split()[:2]): float(line.split()[2]) for line in text.splitlines()}
            for text in (said([self.net, "losses", *place]),
                         said([*self.torch, "losses", *place])))
        if own.keys() != peer.keys():
            fail("denoised and PyTorch tell different losses")
        for step in sorted({key[0] for key in own}):
            error = max(abs(own[key] - peer[key]) / abs(peer[key])
                        for key in own if key[0] == step)
            self.agree(f"losses of training step {step}, contrastive {contrastive}, "
                       "denoised and PyTorch", error,
                       LOSS_TOLERANCES[contrastive][int(step) - 1])

    def compare_outputs(self, outputs, batch):
        names = list(outputs)
        for name in names[1:]:
            a, b = outputs[names[0]], outputs[name]
            error = np.abs(a - b).max() / np.abs(b).max()
            self.agree(f"output, batch {batch}, {names[0]} and {name}", error,
                       OUTPUT_TOLERANCE)

    # ---- time ----

    def take_turns(self, engines, repetitions):
        """The one that begins changes, so that nobody always follows the same one."""
        for i in range(repetitions + 1):
            for k in range(len(engines)):
                time.sleep(PAUSE_S)
                engines[(i + k) % len(engines)].repeat(counts=i > 0)

    def measure(self, work, batch, engines):
        self.take_turns(engines, self.options.repetitions)
        outputs = {}
        for engine in engines:
            output = engine.end()
            if output is not None:
                outputs[engine.name] = output
        self.compare_outputs(outputs, batch)
        own = statistics.median(engines[0].times)
        for engine in engines:
            median = statistics.median(engine.times)
            self.rows.append({
                "work": work, "batch": batch, "engine": engine.name, "median_ms": median,
                "min_ms": min(engine.times), "ms_per_image": median / batch,
                "ratio": median / own, "peak_bytes": max(engine.peak_start, engine.peak_work),
                "peak_at_work_bytes": engine.peak_work, "times_ms": engine.times})
            print_row(self.rows[-1])

    def run(self):
        self.prepare()
        for contrastive in LOSS_TOLERANCES:
            self.compare_losses(contrastive)
        print_head()
        onnx = self.options.modules is not None
        engines = [self.denoised("infer", 1)]
        if "avx512f" in Path("/proc/cpuinfo").read_text():
            engines.append(self.denoised("infer", 1, "avx2"))
        engines.append(self.pytorch("infer", 1))
        self.measure("inference", 1, engines + ([self.onnxruntime(1)] if onnx else []))
        engines = [self.denoised("infer", 4), self.pytorch("infer", 4)]
        self.measure("inference", 4, engines + ([self.onnxruntime(4)] if onnx else []))
        for work, name in (("train", "training step"), ("train-disc-infonce", "with disc-infonce")):
            self.measure(name, 4, [self.denoised(work, 4), self.pytorch(work, 4)])


def print_head():
    print(f"{'work':<18}{'batch':>6}  {'engine':<24}{'median ms':>10}{'least ms':>10}"
          f"{'per image':>10}{'ratio':>7}{'peak MB':>9}{'at work':>9}")


def print_row(row):
    print(f"{row['work']:<18}{row['batch']:>6}  {row['engine']:<24}{row['median_ms']:>10.1f}"
          f"{row['min_ms']:>10.1f}{row['ms_per_image']:>10.1f}{row['ratio']:>7.2f}"
          f"{row['peak_bytes'] / MB:>9.0f}{row['peak_at_work_bytes'] / MB:>9.0f}", flush=True)


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def main():
    parser = argparse.ArgumentParser(description="denoised beside other engines")
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--modules", type=Path, help="folder that has onnxruntime-node")
    bench = Bench(parser.parse_args())
    options = bench.options
    load = os.getloadavg()[0]
    print(f"preset paper, images of 256 x 256, {options.threads} threads, medians of "
          f"{options.repetitions} interleaved repetitions; load before: {load:.2f}\n"
          "ratio: time of the engine / time of denoised", flush=True)
    bench.run()
    print()
    for entry in bench.agreement:
        verdict = "agrees" if entry["agrees"] else "DIFFERS"
        print(f"{verdict}: {entry['what']}: {entry['relative_error']:.1e} "
              f"(less than {entry['tolerance']:.0e})")
    agrees = all(entry["agrees"] for entry in bench.agreement)
    report = options.build / "bench-peers.json"
    report.write_text(json.dumps({
        "processor": processor(), "threads": options.threads, "load_before": load,
        "repetitions": options.repetitions, "pause_ms": 1e3 * PAUSE_S,
        "versions": {"denoised": (HERE.parents[1] / "VERSION").read_text().strip(),
                     "pytorch": said([sys.executable, "-c",
                                      "import torch; print(torch.__version__)"]).strip(),
                     "onnxruntime": onnx_version(options.modules)},
        "rows": bench.rows, "agreement": bench.agreement}, indent=1) + "\n")
    print(f"written: {report}")
    return 0 if agrees else 1


def onnx_version(modules):
    if modules is None:
        return None
    package = modules / "node_modules" / "onnxruntime-node" / "package.json"
    return json.loads(package.read_text())["version"]


if __name__ == "__main__":
    sys.exit(main())
