// Images come by drop, are denoised, and are compared in the viewer.

import { copyFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { must, stageRow } from "./harness.mjs";

export async function uploadByDrop(h, paths) {
  await h.go("/images");
  await h.drop(".drop", paths);
  await h.until("all uploads are there", async () =>
    (await h.page.locator(".upload.done").count()) === paths.length, 60);
  for (const path of paths)
    await h.until(`${basename(path)} has a card`, async () =>
      (await h.page.locator(".card .name", { hasText: basename(path) }).count()) === 1, 20);
  await h.until("pictures of the images are shown", async () => (await h.page.locator(".thumb.there").count()) > 0);
}

export async function refuseWhatIsNoImage(h) {
  h.allow(/status of 4\d\d/);
  await h.page.evaluate(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(["no image at all"], "<b>notes</b>.tif"));
    document.querySelector(".drop").dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
  });
  const failed = h.page.locator(".upload.failed");
  await failed.waitFor();
  const text = await failed.textContent();
  must(text.includes("<b>notes</b>.tif"), `a name is text, not markup: ${text}`);
  must(text.length > 40, `the reason is told: ${text}`);
  await h.page.getByRole("button", { name: "Clear the list" }).click();
}

/** A copy under another name is the image that is there; it is told which one. */
export async function findACopy(h, path) {
  const copy = join(dirname(path), "a copy.tif");
  copyFileSync(path, copy);
  await h.drop(".drop", [copy]);
  const row = h.page.locator(".upload.done", { hasText: "a copy.tif" });
  await row.waitFor();
  must((await row.textContent()).includes(`was here already, as ${basename(path)}`), "the first name is told");
}

/** Pages that an image does not have are told before it is sent. */
export async function refusePagesThatAreNot(h, image) {
  await h.go("/denoise");
  h.allow(/status of 422/);
  await h.page.locator(".card", { hasText: image }).locator("input").check();
  await h.page.locator("summary", { hasText: "Only some pages" }).click();
  await h.page.getByLabel("Pages").fill("5-9");
  await h.page.locator(".box.error", { hasText: "page 9 does not exist" }).waitFor();
  await h.page.getByLabel("Pages").fill("");
  await h.page.locator(".box.error").waitFor({ state: "detached" });
}

/** Chooses the image and the model or filter, and waits for the result. */
export async function denoise(h, image, by) {
  await h.go("/denoise");
  await h.until("the queue is told", async () => (await h.page.locator(".queue > div > .hint").textContent()) !== "");
  const jobs = () => h.page.locator(".job.succeeded").evaluateAll((rows) => rows.map((row) => row.dataset.id));
  const before = await jobs();
  await h.page.locator(".card", { hasText: image }).locator("input").check();
  await h.page.locator(".choice", { hasText: by }).locator("input[type=radio]").check();
  await h.until("the cost is told", async () => / of memory/.test(await h.page.locator(".estimate").textContent()));
  await h.page.getByRole("button", { name: /^Denoise/ }).click();
  await h.until("the result is there", async () => (await jobs()).some((id) => !before.includes(id)), 60);
}

/** Several at a time, by a button that says how many. */
export async function denoiseSome(h, names, by) {
  await h.go("/images");
  for (const name of names) await h.page.locator(".card", { hasText: name }).locator("input").check();
  await h.page.getByRole("link", { name: /^Denoise/ }).last().click();
  await h.page.locator(".choice", { hasText: by }).locator("input[type=radio]").check();
  await h.page.getByRole("button", { name: `Denoise ${names.length} images` }).click();
  await h.until("all results are there", async () => {
    const there = await h.page.locator(".job.succeeded .name").allTextContents();
    return names.every((name) => there.includes(name.replace(".tif", "_denoised.tif")));
  }, 60);
}

export async function compare(h) {
  await h.page.locator(".job.succeeded").first().getByRole("link", { name: /Compare/ }).click();
  await h.page.locator(".stage-canvas[data-ready=yes]").waitFor();
  await h.page.waitForTimeout(200);
}

export async function moveTheSlider(h) {
  const split = h.page.getByRole("slider", { name: /Divider/ });
  const middle = await stageRow(h.page);
  await split.focus();
  for (let i = 0; i < 60; i += 1) await h.page.keyboard.press("ArrowLeft");
  must(Math.abs(Number(await split.inputValue()) - 0.2) < 0.01, `the divider is at ${await split.inputValue()}`);
  const left = await stageRow(h.page);
  const n = middle.length;
  const changed = (a, b, from, to) => a.slice(from, to).filter((v, i) => v !== b[from + i]).length;
  must(changed(middle, left, Math.ceil(n * 0.22), Math.floor(n * 0.48)) > 5, "denoised pixels appear where noisy ones were");
  must(changed(middle, left, Math.ceil(n * 0.52), n) === 0, "what was denoised before stays as it is");
  const box = await h.page.locator(".stage").boundingBox();
  await h.page.mouse.move(box.x + box.width * 0.2, box.y + box.height / 2);
  await h.page.mouse.down();
  await h.page.mouse.move(box.x + box.width * 0.7, box.y + box.height / 2, { steps: 5 });
  await h.page.mouse.up();
  must(Math.abs(Number(await split.inputValue()) - 0.7) < 0.02, `dragged to ${await split.inputValue()}`);
}

export async function zoomAndPan(h) {
  const zoom = async () => Number((await h.page.locator("output.zoom").textContent()).replace(/\D/g, ""));
  const canvas = h.page.locator(".stage-canvas");
  const fit = await zoom();
  await canvas.focus();
  await h.page.keyboard.press("+");
  must((await zoom()) > fit, "+ zooms in");
  await h.page.keyboard.press("1");
  must((await zoom()) === 100, `1 is one to one, not ${await zoom()} %`);
  const still = await stageRow(h.page);
  await h.page.keyboard.press("ArrowRight");
  must((await stageRow(h.page)).some((v, i) => v !== still[i]), "an arrow key moves the image");
  const box = await canvas.boundingBox();
  await h.page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await h.page.mouse.wheel(0, -400);
  await h.page.waitForTimeout(100);
  must((await zoom()) > 100, "the wheel zooms in");
  must(/noisy .* denoised /.test(await h.page.locator(".readout").textContent()), "values under the pointer are told");
  await h.page.keyboard.press("0");
  must((await zoom()) === fit, "0 fits");
}

export async function showEachMode(h) {
  const rows = [];
  for (const mode of ["Side by side", "Difference", "Residual", "Slider"]) {
    await h.page.locator(".segments label", { hasText: mode }).click();
    await h.page.waitForTimeout(150);
    rows.push((await stageRow(h.page)).join());
  }
  must(new Set(rows).size === rows.length, "each mode shows something else");
  const white = h.page.locator(".viewer-side .facts", { hasText: "white" });
  const before = await white.textContent();
  const row = (await stageRow(h.page)).join();
  await h.page.getByRole("slider", { name: "High" }).fill("80");
  must((await white.textContent()) !== before, "the percentile changes what is white");
  must((await stageRow(h.page)).join() !== row, "the contrast changes the picture");
  await h.page.getByRole("button", { name: "Reset" }).click();
  must((await stageRow(h.page)).join() === row, "Reset brings it back");
}

export async function scrubPages(h) {
  const row = (await stageRow(h.page)).join();
  await h.page.getByRole("button", { name: "Next page" }).click();
  await h.until("the next page is shown", async () => (await stageRow(h.page)).join() !== row);
  must((await h.page.locator(".pages output").textContent()).startsWith("2 /"), "the page is told");
}

export async function downloadResult(h) {
  const [file] = await Promise.all([h.page.waitForEvent("download"),
    h.page.getByRole("button", { name: "Download result" }).click()]);
  must(/_denoised\.tif$/.test(file.suggestedFilename()), `the file is named ${file.suggestedFilename()}`);
}
