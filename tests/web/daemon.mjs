// The real daemon, on a free loopback port, in a state folder of its own.

import { spawn, spawnSync } from "node:child_process";
import { openSync } from "node:fs";
import { join } from "node:path";

export class Daemon {
  /** build: folder with the programs; state: an empty folder. */
  constructor(build, state, extra = []) {
    this.program = join(build, "denoised");
    this.state = state;
    this.extra = extra;
    this.port = 0;
    this.child = null;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Starts, or starts again on the same port. */
  start() {
    const log = openSync(join(this.state, "..", "daemon.log"), "a");
    this.child = spawn(this.program, ["--listen", `127.0.0.1:${this.port}`, "--state", this.state, ...this.extra],
      { stdio: ["ignore", "pipe", log] });
    return new Promise((resolve, reject) => {
      let said = "";
      this.child.stdout.on("data", (data) => {
        said += data;
        const found = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(said);
        if (!found) return;
        this.port = Number(found[1]);
        resolve();
      });
      this.child.on("exit", (code) => reject(new Error(`the daemon ended with ${code}`)));
    });
  }

  /** Ends it and waits. */
  stop(signal = "SIGTERM") {
    const { child } = this;
    this.child = null;
    if (!child || child.exitCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
      child.removeAllListeners("exit");
      child.on("exit", resolve);
      child.kill(signal);
    });
  }

  /** A token, as who runs the server makes one. */
  token(name, scopes) {
    const made = spawnSync(this.program, ["token", "create", name, "--owner", name, "--scope", scopes, "--state", this.state],
      { encoding: "utf8" });
    if (made.status !== 0) throw new Error(`denoised token create: ${made.stderr}`);
    return made.stdout.split("\n")[0].trim();
  }
}
