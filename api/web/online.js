// Is the server there?  When it is not, the page says so and asks until it is.

const listeners = new Set();
let down = false;
let timer = 0;

/** callback(isDown), at each change; until the signal aborts. */
export function watchServer(callback, signal) {
  listeners.add(callback);
  signal?.addEventListener("abort", () => listeners.delete(callback));
}

function tell() {
  for (const callback of [...listeners]) callback(down);
}

export function isDown() {
  return down;
}

export function reached() {
  clearTimeout(timer);
  timer = 0;
  if (!down) return;
  down = false;
  tell();
}

export function lost() {
  if (!down) {
    down = true;
    tell();
  }
  if (!timer) ask(1000);
}

function ask(wait) {
  timer = setTimeout(async () => {
    try {
      await fetch("/healthz", { cache: "no-store", credentials: "omit" });
      reached();
    } catch {
      ask(Math.min(wait * 1.5, 10000));
    }
  }, wait);
}

/** Resolves when the server is there (again). */
export function serverBack(signal) {
  if (!down) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const check = (isGone) => {
      if (isGone) return;
      listeners.delete(check);
      resolve();
    };
    listeners.add(check);
    signal?.addEventListener("abort", () => {
      listeners.delete(check);
      reject(signal.reason);
    });
  });
}

/** Waits; ends early, by an error, when the signal aborts. */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const stop = () => {
      clearTimeout(id);
      reject(signal.reason);
    };
    const id = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
