// What goes wrong in a lab: a line that is cut, a page that is reloaded, a server that restarts.

import { statSync } from "node:fs";
import { basename } from "node:path";
import { must } from "./harness.mjs";
import { points } from "./story_training.mjs";

const GONE = [/ERR_CONNECTION/, /ERR_INCOMPLETE_CHUNKED/, /ERR_EMPTY_RESPONSE/, /ERR_NETWORK/, /ERR_INTERNET_DISCONNECTED/,
  /ERR_SOCKET/, /status of 503/];

/** The server ends and comes back while a training is watched: the page goes on by itself. */
export async function restartTheServer(h, daemon, signal) {
  h.allow(...GONE, /status of 404 .*\/sample$/);
  await h.page.evaluate(() => {
    globalThis.sameDocument = true;
  });
  const before = await points(h, 0);
  await daemon.stop(signal);
  await h.page.locator("#banner", { hasText: "not reachable" }).waitFor({ timeout: 20000 });
  const shown = await h.page.locator("#banner").textContent();
  await h.look(`server-away-${signal.toLowerCase()}`);
  await daemon.start();
  await h.until("the banner goes away", async () => h.page.locator("#banner").isHidden(), 20);
  await h.until("the curves go on", async () => (await points(h, 0)) > before, 60);
  must(await h.page.evaluate(() => globalThis.sameDocument === true), "the page was not loaded anew");
  return shown;
}

/* Slow enough that an upload can be cut in its middle. */
async function slowDown(h, bytesPerSecond) {
  const session = await h.page.context().newCDPSession(h.page);
  await session.send("Network.emulateNetworkConditions",
    { offline: false, latency: 5, downloadThroughput: -1, uploadThroughput: bytesPerSecond });
  return session;
}

async function sentOf(h) {
  return h.page.locator(".upload progress").last().evaluate((bar) => bar.value, undefined, { timeout: 200 }).catch(() => 0);
}

function countBytes(h) {
  const sent = { offsets: [] };
  h.page.on("request", (request) => {
    if (request.method() !== "PATCH") return;
    sent.offsets.push(Number(request.headers()["upload-offset"]));
  });
  return sent;
}

/** A large file: its line is cut by the server's end, then the page is reloaded; both go on. */
export async function resumeAnUpload(h, daemon, path) {
  h.allow(...GONE, /status of 4(04|09|60)/);
  const size = statSync(path).size;
  await h.go("/images");
  const session = await slowDown(h, 24e6);
  const sent = countBytes(h);
  await h.page.locator(".drop input[type=file]").setInputFiles(path);
  await h.until("a third is sent", async () => (await sentOf(h)) > 0.33, 60);
  await daemon.stop("SIGKILL");
  await h.page.locator(".upload .state", { hasText: "interrupted" }).waitFor({ timeout: 20000 });
  await h.look("upload-interrupted");
  const cutAt = sent.offsets.at(-1);
  await daemon.start();
  await h.until("it goes on behind what the server has", async () => sent.offsets.at(-1) > cutAt || (await sentOf(h)) > 0.55, 60);
  must(sent.offsets.filter((o) => o === 0).length === 1, `it did not begin again: ${sent.offsets}`);

  await h.until("more than half is sent", async () => (await sentOf(h)) > 0.6, 60);
  await h.page.reload();
  await h.page.locator(".drop").first().waitFor();
  await h.page.locator(".drop input[type=file]").setInputFiles(path);
  await h.until("the upload ends", async () => (await h.page.locator(".upload.done").count()) === 1, 120);
  must(sent.offsets.filter((o) => o === 0).length === 1, `after a reload it did not begin again: ${sent.offsets}`);
  const most = sent.offsets.length * (8 << 20);
  must(most < size + 4 * (8 << 20), `not much was sent twice: ${sent.offsets}`);
  await session.detach();
  await h.until("the image is there", async () => (await h.page.locator(".card .name", { hasText: basename(path) }).count()) === 1);
}
