// A look at real cells, if they are there, denoised by a model that learned from their like:
// also the picture of the README.

import { copyFileSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import * as images from "./story_images.mjs";

async function ask(daemon, token, method, path, body, type = "application/json") {
  const response = await fetch(`${daemon.url}${path}`, { method, body,
    headers: { Authorization: `Bearer ${token}`, ...(body ? { "Content-Type": type } : {}) } });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${text}`);
  return JSON.parse(text);
}

/* Trains `nuclei` on two frames of each of six fields. */
async function teach(daemon, token, folder) {
  const add = (file, name) => ask(daemon, token, "POST", `/v1/images?name=${name}`, readFileSync(join(folder, file)), "image/png");
  const pairs = [];
  for (const fov of ["fov02", "fov03", "fov04", "fov05", "fov06", "fov07"]) {
    const clean = (await add(`gt/${fov}.png`, `${fov}_clean.png`)).id;
    for (const frame of readdirSync(join(folder, "raw", fov)).slice(0, 2))
      pairs.push({ noisy: (await add(`raw/${fov}/${frame}`, `${fov}_noisy_${frame}`)).id, clean });
  }
  const set = await ask(daemon, token, "POST", "/v1/datasets", JSON.stringify({ name: "confocal nuclei", kind: "pairs", pairs }));
  let job = await ask(daemon, token, "POST", "/v1/jobs", JSON.stringify({ kind: "train", dataset: set.id, model: "nuclei",
    preset: "cpu", config: { iterations: 500, batch: 4 } }));
  while (!job.finished_at) {
    await new Promise((done) => {
      setTimeout(done, 500);
    });
    job = await ask(daemon, token, "GET", `/v1/jobs/${job.id}`);
  }
  if (job.state !== "succeeded") throw new Error(`the training is ${job.state}`);
}

/** data: folder of the test images; pictures: where page.png goes to. */
export async function portrait(h, daemon, token, { data, folder, pictures }) {
  const cells = join(data, "fmd_confocal_bpae_b");
  const file = join(folder, "confocal_nuclei.png");
  copyFileSync(join(cells, "raw/fov09", readdirSync(join(cells, "raw/fov09"))[0]), file);
  await teach(daemon, token, cells);
  await images.uploadByDrop(h, [file]);
  await images.denoise(h, "confocal_nuclei.png", "nuclei");
  await images.compare(h);
  await h.page.setViewportSize({ width: 1280, height: 860 });
  await h.page.locator(".stage-canvas").focus();
  for (let i = 0; i < 3; i += 1) await h.page.keyboard.press("+");
  for (let i = 0; i < 4; i += 1) await h.page.keyboard.press("ArrowLeft"); // a nucleus under the divider
  await h.page.getByRole("heading", { name: "Facts" }).click(); // away from the stage: no frame about it
  await h.until("notices are gone", async () => (await h.page.locator(".notice").count()) === 0);
  await h.page.screenshot({ path: join(pictures, "page.png") });
  await h.look("viewer-cells", { whole: false });
  await h.look("viewer-cells", { whole: false, dark: true });
}
