// The page, driven as people use it, against the real daemon.
//   node drive.mjs BUILD MODULES PICTURES smoke|full
// MODULES: folder with node_modules; PICTURES: folder for pictures of every screen.

import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Daemon } from "./daemon.mjs";
import { Harness, must, packages } from "./harness.mjs";
import { writePairs, writeStack } from "./images.mjs";
import { portrait } from "./portrait.mjs";
import * as images from "./story_images.mjs";
import * as training from "./story_training.mjs";
import * as trouble from "./story_trouble.mjs";

const [build, modules, pictures] = process.argv.slice(2, 5).map((path) => resolve(path));
const form = process.argv[5];
const browserPath = process.env.CHROMIUM ?? "/usr/bin/chromium";

/* A run may end between the question whether it runs and that for its sample crops. */
const ENDED = /status of 404 .*\/sample$/;

async function signIn(h, token) {
  const { page } = h;
  h.allow(/status of 401/); // the browser's own line for a question without a token
  await page.goto(h.url);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await h.look("sign-in");
  await page.getByLabel("Token").fill("den_wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator(".box.error").waitFor();
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Images", exact: true }).waitFor();
  must((await page.locator(".who").textContent()) === "ann", "the owner is told");
  await page.locator(".box.empty").waitFor();
}

async function signOut(h) {
  h.allow(/status of 401/);
  await h.page.getByRole("button", { name: "Sign out" }).click();
  await h.page.getByRole("heading", { name: "Sign in" }).waitFor();
  await h.page.reload();
  await h.page.getByRole("heading", { name: "Sign in" }).waitFor();
}

/* A learning curve from the form of the page. */
async function experiment(h) {
  await h.go("/experiments");
  await h.page.locator("summary", { hasText: "New learning curve" }).click();
  await h.page.getByLabel("Preset").selectOption("cpu");
  await h.page.getByLabel("Steps of each run").fill("12");
  await h.page.getByLabel("Numbers of images").fill("2, all");
  await h.page.getByLabel("Seeds").fill("1, 2");
  await h.page.getByRole("button", { name: "Check and estimate" }).click();
  await h.page.locator(".facts", { hasText: "steps and test images" }).waitFor();
  await h.look("experiment-new");
  await h.page.getByRole("button", { name: "Start", exact: true }).click();
  await h.page.locator(".big-state.succeeded").waitFor({ timeout: 120000 });
  await h.until("the picture is there", async () =>
    h.page.locator(".curve-picture").evaluate((i) => i.complete && i.naturalWidth > 0));
  await h.look("experiment");
}

/* A second data set, of one pair that no model has seen. */
async function holdOut(h, paths) {
  await training.pairByName(h, paths);
  await training.leaveOutWhatDoesNotFit(h);
  await training.estimateCost(h, "held-out", 20);
}

async function full(h, daemon, folder) {
  const pairs = writePairs(folder, 5, 128);
  const stack = writeStack(folder, "stack.tif", 6, 96);
  const large = writeStack(folder, "large.tif", 40, 1000); // 80 MB: goes in pieces
  const data = process.env.DENOISED_TEST_DATA ?? "../shared/data";

  const token = daemon.token("ann", "read,submit,train");

  await h.step("sign in with a token", () => signIn(h, token));
  await h.step("empty screens say what to do", async () => {
    for (const name of ["images", "denoise", "training", "models", "experiments"]) {
      await h.go(`/${name}`);
      await h.page.locator(".box.empty").first().waitFor();
      await h.look(`empty-${name}`);
    }
  });
  await h.step("upload by drop", () => images.uploadByDrop(h, [...pairs, stack]));
  await h.step("a file that is no image is refused in words", () => images.refuseWhatIsNoImage(h));
  await h.look("images");
  await h.look("images", { dark: true });

  await h.step("denoise by a filter", () => images.denoise(h, "fov1_noisy.tif", "median"));
  await h.look("denoise");
  await h.step("the result is compared", () => images.compare(h));
  await h.step("the slider is moved by keys and by mouse", () => images.moveTheSlider(h));
  await h.step("zoom and pan by keys, wheel and buttons", () => images.zoomAndPan(h));
  await h.look("viewer", { whole: false });
  await h.step("side by side, difference, residual, contrast", () => images.showEachMode(h));
  for (const mode of ["Side by side", "Difference", "Residual"]) {
    await h.page.locator(".segments label", { hasText: mode }).click();
    await h.look(`viewer-${mode.toLowerCase().replaceAll(" ", "-")}`, { whole: false });
  }
  await h.step("the result is downloaded", () => images.downloadResult(h));
  await h.step("pages of a stack are scrubbed", async () => {
    await images.denoise(h, "stack.tif", "gaussian");
    await images.compare(h);
    await images.scrubPages(h);
    await h.look("viewer-stack", { whole: false });
  });

  await h.step("several images at once", () =>
    images.denoiseSome(h, ["fov2_noisy.tif", "fov3_noisy.tif", "fov4_noisy.tif"], "gaussian"));
  await h.step("repeats are checked", async () => {
    await training.pickRepeats(h, ["fov1_noisy.tif", "fov2_noisy.tif"], "stack.tif");
    await h.look("training-repeats");
  });

  await h.step("noisy and clean are paired by name", () => training.pairByName(h, pairs.slice(0, 8)));
  await h.look("training-pairs");
  await h.step("what does not fit is told and mended", () => training.leaveOutWhatDoesNotFit(h));
  await h.step("the cost is seen before the start", () => training.estimateCost(h, "cells", 1500));
  await h.look("training-new");
  await h.step("a model is trained, curves and sample crops come live", async () => {
    h.allow(ENDED);
    await training.start(h);
    await training.watchCurvesGrow(h);
    await h.page.locator("img.sample").waitFor({ timeout: 10000 });
    await h.look("training-running");
    await training.waitForEnd(h);
  });
  await h.look("training-done");
  await h.look("training-done", { dark: true });
  await h.step("a long training is cancelled", async () => {
    h.allow(ENDED);
    await training.trainAgain(h, "long", 500000);
    await training.watchCurvesGrow(h);
    await training.cancel(h);
    await h.look("training-cancelled");
  });
  await h.step("the server restarts while a training is watched", async () => {
    await training.trainAgain(h, "cells", 6000);
    await training.watchCurvesGrow(h);
    await trouble.restartTheServer(h, daemon, "SIGTERM");
    await trouble.restartTheServer(h, daemon, "SIGKILL");
    await training.waitForEnd(h, 300);
  });
  await h.go("/training");
  await h.look("training");

  await h.step("the model denoises", () => images.denoise(h, "fov5_noisy.tif", "cells"));
  await h.look("denoise-model");
  await h.step("a second data set", () => holdOut(h, pairs.slice(8)));
  await h.step("the model is evaluated", () => training.evaluate(h, "cells"));
  await h.look("model");
  await h.look("model", { dark: true });
  await h.step("versions are promoted and taken back", () => training.promoteAndRollBack(h, "cells"));
  await h.step("weights are downloaded", () => training.downloadWeights(h));
  await h.step("the model is shared", () => training.share(h));
  await h.go("/models");
  await h.look("models");
  await h.step("a learning curve", () => experiment(h));
  await h.step("an upload is cut, and the page reloaded: it goes on", () => trouble.resumeAnUpload(h, daemon, large));
  if (existsSync(join(data, "fmd_confocal_bpae_b"))) await h.step("real cells in the viewer", () => portrait(h, daemon, token, { data, folder, pictures }));
  else console.log("skipped: page, real cells (no test images; set DENOISED_TEST_DATA)");
  await h.go("/account");
  await h.look("account");
  await h.step("sign out", () => signOut(h));
}

/* Every module is loaded, one image goes through. */
async function smoke(h, _daemon, folder) {
  const pairs = writePairs(folder, 1, 96);
  await h.step("the page loads", () => h.page.goto(h.url));
  await h.step("every section opens", async () => {
    for (const name of ["images", "denoise", "training", "training/new", "models", "experiments"]) await h.go(`/${name}`);
  });
  await h.step("upload by drop", () => images.uploadByDrop(h, pairs));
  await h.step("a copy is known", () => images.findACopy(h, pairs[0]));
  await h.step("pages that are not there are told", () => images.refusePagesThatAreNot(h, "fov1_noisy.tif"));
  await h.step("denoise by a filter", () => images.denoise(h, "fov1_noisy.tif", "median"));
  await h.step("compare, and move the slider", async () => {
    await images.compare(h);
    await images.moveTheSlider(h);
  });
  await h.step("axe has nothing serious to say", async () => {
    await h.audit("viewer");
    must(h.findings.length === 0, h.findings.join("; "));
  });
}

async function main() {
  const { chromium, axe } = packages(modules);
  const folder = mkdtempSync(join(tmpdir(), "denoised-page-"));
  const state = join(folder, "state");
  mkdirSync(state, { mode: 0o700 });
  mkdirSync(pictures, { recursive: true });
  const daemon = new Daemon(build, state, form === "full" ? ["--auth", "required", "--threads", "1", "--checkpoint_seconds", "1"] : []);
  let browser = null;
  let failure = null;
  try {
    await daemon.start();
    browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, locale: "en-GB" });
    const h = new Harness({ page, axe, pictures, url: daemon.url });
    await (form === "full" ? full : smoke)(h, daemon, folder);
    console.log(`page: ${h.passed} steps passed, ${readdirSync(pictures).length} pictures in ${pictures}`);
  } catch (error) {
    failure = error;
  } finally {
    await browser?.close();
    await daemon.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  if (failure) {
    console.error(`FAILED ${failure.message}`);
    process.exitCode = 1;
  }
}

await main();
