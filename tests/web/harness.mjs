// A browser whose page must stay silent: steps are counted, pictures taken, findings gathered.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join } from "node:path";

export const SIZES = [[1440, 900], [390, 844]];

/** modules: folder with node_modules. */
export function packages(modules) {
  const require = createRequire(join(modules, "x.js"));
  return { chromium: require("playwright-core").chromium, axe: readFileSync(require.resolve("axe-core/axe.min.js"), "utf8") };
}

export class Harness {
  constructor({ page, axe, pictures, url }) {
    Object.assign(this, { page, axe, pictures, url });
    this.passed = 0;
    this.findings = [];
    this.allowed = []; // patterns of console messages that belong to the step
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning")
        this.said(`${message.text()} ${message.location().url ?? ""}`);
    });
    page.on("pageerror", (error) => this.said(`uncaught: ${error.stack ?? error.message}`));
    page.on("dialog", (dialog) => dialog.accept()); // a page that is left while uploads run asks
  }

  said(text) {
    if (/willReadFrequently/.test(text)) return; // these tests read the canvas, the page does not
    if (!this.allowed.some((pattern) => pattern.test(text))) this.findings.push(`console: ${text}`);
  }

  /** Messages of the browser itself that a step provokes, say when it ends the server. */
  allow(...patterns) {
    this.allowed = patterns;
  }

  async step(name, work) {
    const start = Date.now();
    this.allowed = [];
    try {
      await work();
    } catch (error) {
      await this.page.screenshot({ path: join(this.pictures, "failed.png") }).catch(() => {});
      throw new Error(`${name}: ${error.message}`, { cause: error });
    }
    if (this.findings.length) throw new Error(`${name}: ${this.findings.join("; ")}`);
    this.passed += 1;
    console.log(`ok ${this.passed} ${name} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
  }

  /** Opens a view anew, also the one that is shown. */
  async go(path) {
    if (this.page.url().startsWith(this.url)) await this.page.evaluate((hash) => {
      document.querySelector("main > .view")?.setAttribute("data-old", "");
      if (location.hash === hash) dispatchEvent(new HashChangeEvent("hashchange"));
      else location.hash = hash;
    }, `#${path}`);
    else await this.page.goto(`${this.url}/#${path}`);
    await this.page.locator("main > .view:not([data-old]) h2").first().waitFor();
  }

  /** Pictures at both widths, and what axe and the layout have to say there. */
  async look(name, { dark = false, whole = true } = {}) {
    const { page } = this;
    await page.emulateMedia({ colorScheme: dark ? "dark" : "light", reducedMotion: "reduce" });
    for (const [width, height] of SIZES) {
      await page.setViewportSize({ width, height });
      await page.waitForTimeout(250); // observers and lazy pictures
      await page.evaluate(() => Promise.all([...document.images].filter((i) => i.src && !i.complete)
        .map((i) => new Promise((done) => {
          i.onload = done;
          i.onerror = done;
          setTimeout(done, 2000);
        }))));
      if (whole) await page.evaluate(() => scrollTo(0, 0));
      const file = join(this.pictures, `${name}${dark ? "-dark" : ""}-${width}.png`);
      await page.screenshot({ path: file, fullPage: whole });
      const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (over > 0) this.findings.push(`${basename(file)}: wider than the window by ${over} pixels`);
      await this.audit(basename(file));
    }
    await page.setViewportSize({ width: SIZES[0][0], height: SIZES[0][1] });
    await page.emulateMedia({ colorScheme: "light", reducedMotion: "no-preference" });
    if (this.findings.length) throw new Error(this.findings.join("; "));
  }

  async audit(where) {
    await this.page.evaluate(this.axe);
    const { violations } = await this.page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    for (const v of violations) {
      if (!["serious", "critical"].includes(v.impact)) continue;
      this.findings.push(`${where}: axe ${v.id} (${v.impact}): ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.failureSummary?.split("\n")[1]?.trim() ?? ""}`).join(", ")}`);
    }
  }

  /** Drops files of this machine on the first element that matches. */
  async drop(selector, paths) {
    const files = paths.map((path) => ({ name: basename(path), data: readFileSync(path).toString("base64") }));
    const transfer = await this.page.evaluateHandle((list) => {
      const made = new DataTransfer();
      for (const { name, data } of list) {
        const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
        made.items.add(new File([bytes], name, { type: name.endsWith(".png") ? "image/png" : "image/tiff" }));
      }
      return made;
    }, files);
    for (const event of ["dragenter", "dragover", "drop"])
      await this.page.locator(selector).first().dispatchEvent(event, { dataTransfer: transfer });
  }

  async until(what, test, seconds = 30) {
    const end = Date.now() + seconds * 1000;
    for (;;) {
      const found = await test();
      if (found) return found;
      if (Date.now() > end) throw new Error(`waited ${seconds} s: ${what}`);
      await this.page.waitForTimeout(100);
    }
  }
}

export function must(condition, text) {
  if (!condition) throw new Error(text);
}

/** Grey levels of the stage, every 8th pixel of a row in its middle. */
export function stageRow(page) {
  return page.evaluate(async () => {
    await new Promise((done) => {
      requestAnimationFrame(() => requestAnimationFrame(done));
    });
    const canvas = document.querySelector(".stage-canvas");
    const { data } = canvas.getContext("2d").getImageData(0, canvas.height >> 1, canvas.width, 1);
    return Array.from({ length: canvas.width >> 3 }, (_, i) => data[32 * i]);
  });
}
