// A model is trained with curves that grow, cancelled, promoted, taken back, and evaluated.

import { basename } from "node:path";
import { must } from "./harness.mjs";

const TINY = { downs: "5", ngf: "4", ndf: "4", crop: "32", batch: "2", validate_every: "75" };

async function fillForm(h, model, iterations) {
  await h.page.getByLabel("Name of the model").fill(model);
  await h.page.getByLabel("Preset").selectOption("cpu");
  await h.page.getByLabel("iterations", { exact: true }).fill(String(iterations));
  const more = h.page.locator("details", { hasText: "more settings" });
  if (!(await more.evaluate((d) => d.open))) await more.locator("summary").click();
  for (const [name, value] of Object.entries(TINY)) await h.page.getByLabel(name, { exact: true }).fill(value);
}

/** Pairs from the images that are there, checked by eye, with one that does not fit at first. */
export async function pairByName(h, paths) {
  await h.go("/training/new");
  await h.page.getByRole("button", { name: /Choose from the server/ }).first().click();
  const dialog = h.page.locator("dialog");
  for (const path of paths) await dialog.locator(".card", { hasText: basename(path) }).locator("input").check();
  await dialog.getByRole("button", { name: /^Use/ }).click();
  const rows = h.page.locator(".pair-table tbody tr");
  must((await rows.count()) === paths.length / 2, `${await rows.count()} pairs`);
  for (const row of await rows.all()) {
    const noisy = await row.locator(".name").textContent();
    const clean = await row.locator("select option:checked").textContent();
    must(clean === noisy.replace("noisy", "clean"), `${noisy} is paired with ${clean}`);
  }
  must((await h.page.locator(".pair-table .wrong-cell").count()) === 0, "all pairs fit");
  await rows.first().locator("select").selectOption("");
  must((await h.page.locator(".pair-table tr.bad").count()) === 1, "a row without a clean image is marked");
}

export async function leaveOutWhatDoesNotFit(h) {
  await h.page.getByRole("button", { name: "Check and estimate" }).click();
  await h.page.locator(".box.error", { hasText: "pairs do not fit" }).waitFor();
  const first = h.page.locator(".pair-table tbody tr").first();
  const noisy = await first.locator(".name").textContent();
  const option = first.locator("option", { hasText: noisy.replace("noisy", "clean") });
  await first.locator("select").selectOption(await option.getAttribute("value"));
  must((await h.page.locator(".pair-table tr.bad").count()) === 0, "chosen by hand, it fits again");
}

export async function estimateCost(h, model, iterations) {
  await fillForm(h, model, iterations);
  await h.page.getByRole("button", { name: "Check and estimate" }).click();
  await h.page.locator(".cost dt", { hasText: "Steps" }).waitFor();
  const cost = await h.page.locator(".cost").textContent();
  must(cost.replace(/\D/g, "").includes(String(iterations)), `the steps are told: ${cost}`);
  must(/Memory.*MB/.test(cost), `the memory is told: ${cost}`);
}

export async function start(h) {
  await h.page.getByRole("button", { name: "Start training" }).click();
  await h.until("the page of the training", async () => /#\/training\/job_/.test(h.page.url()));
  return h.page.url().split("/").at(-1);
}

/** Frames of one scene need one size, and two of them. */
export async function pickRepeats(h, names, other) {
  await h.go("/training/new");
  await h.page.locator(".segments label", { hasText: "Repeats of one scene" }).click();
  const pile = h.page.getByRole("group", { name: "Frames of one scene" });
  const add = async (list) => {
    await pile.getByRole("button", { name: /Choose from the server/ }).click();
    for (const name of list) await h.page.locator("dialog .card", { hasText: name }).locator("input").check();
    await h.page.locator("dialog").getByRole("button", { name: /^Use/ }).click();
  };
  await add(names);
  await h.page.getByText(`${names.length} frames of one size`).waitFor();
  await add([other]);
  await h.page.getByText("All frames must have one size").waitFor();
}

/** A further training on the newest data set. */
export async function trainAgain(h, model, iterations) {
  await h.go("/training/new");
  await h.page.locator(".segments label", { hasText: "A data set" }).click();
  await h.page.getByLabel("Data set", { exact: true }).selectOption({ index: 1 });
  await fillForm(h, model, iterations);
  return start(h);
}

/** Points of a curve, counted in its path. */
export function points(h, figure) {
  return h.page.locator(".chart-box").nth(figure).locator("path.curve").first().getAttribute("d", { timeout: 200 })
    .then((d) => (d?.match(/[ML]/g) ?? []).length).catch(() => 0);
}

export async function watchCurvesGrow(h) {
  const seen = new Set();
  await h.until("the losses grow before the eyes", async () => {
    seen.add(await points(h, 0));
    return seen.size >= 4;
  }, 60);
  await h.until("validation has points", async () => (await points(h, 1)) >= 2, 60);
}

export async function waitForEnd(h, seconds = 120) {
  await h.page.locator(".big-state.succeeded").waitFor({ timeout: seconds * 1000 });
}

export async function cancel(h) {
  await h.until("it runs", async () => /running/.test(await h.page.locator(".big-state").textContent()), 30);
  await h.page.getByRole("button", { name: "Cancel training" }).click();
  await h.page.locator(".big-state.cancelled").waitFor({ timeout: 20000 });
  await h.page.getByRole("button", { name: "Try again" }).waitFor();
}

export async function promoteAndRollBack(h, model) {
  const promoted = () => h.page.locator("section", { hasText: "In use" }).locator("li").first().textContent({ timeout: 500 }).catch(() => "");
  await h.go(`/models/${model}`);
  await h.page.getByRole("button", { name: "Promote version 1" }).click();
  await h.until("version 1 is promoted", async () => /champion is version 1/.test(await promoted()));
  await h.page.getByRole("button", { name: "Promote version 2" }).click();
  await h.until("version 2 is promoted", async () => /champion is version 2/.test(await promoted()));
  await h.look("model-promoted");
  await h.page.getByRole("button", { name: "Roll back to 1" }).click();
  await h.until("version 1 is back", async () => /champion is version 1/.test(await promoted()));
}

export async function evaluate(h, model) {
  await h.go(`/models/${model}`);
  await h.page.getByRole("button", { name: "Evaluate", exact: true }).click();
  await h.page.locator("tr.own").first().waitFor({ timeout: 60000 });
  const heads = await h.page.locator("table").last().locator("tr.own td").count();
  must(heads >= 1, "the model's metrics stand in a table");
}

export async function downloadWeights(h) {
  const [file] = await Promise.all([h.page.waitForEvent("download"),
    h.page.getByRole("button", { name: /Download the weights of version 1/ }).click()]);
  must(/\.safetensors$/.test(file.suggestedFilename()), `the file is named ${file.suggestedFilename()}`);
}

export async function share(h) {
  const box = h.page.getByLabel("Shared with everybody on this server");
  await box.check();
  await h.until("it is shared", async () => (await h.page.locator(".notice", { hasText: "Everybody may use" }).count()) > 0);
}
