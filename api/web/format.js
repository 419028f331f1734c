// Numbers, sizes and times as the reader's own country writes them.

const plain = new Intl.NumberFormat();
const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const ago = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const kinds = new Map();

function digits(least, most) {
  const key = `${least},${most}`;
  if (!kinds.has(key))
    kinds.set(key, new Intl.NumberFormat(undefined,
      { minimumFractionDigits: least, maximumFractionDigits: most }));
  return kinds.get(key);
}

export const none = "\u2013";

export function count(n) {
  return Number.isFinite(n) ? plain.format(n) : none;
}

export function fixed(n, places) {
  return Number.isFinite(n) ? digits(places, places).format(n) : none;
}

/** To about three significant digits, of whatever size. */
export function value(n) {
  if (!Number.isFinite(n)) return none;
  const size = Math.abs(n);
  if (size !== 0 && (size < 0.001 || size >= 1e9)) return n.toExponential(2).replace(/\.?0+e/, "e");
  return digits(0, size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 4).format(n);
}

export function percent(fraction) {
  return Number.isFinite(fraction) ? `${plain.format(Math.floor(fraction * 100))} %` : none;
}

export function bytes(n) {
  if (!Number.isFinite(n)) return none;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  let size = n;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${digits(0, unit === 0 || size >= 100 ? 0 : 1).format(size)} ${units[unit]}`;
}

/** 75 -> "1 min 15 s" */
export function seconds(s) {
  if (!Number.isFinite(s)) return none;
  if (s < 1) return "1 s";
  const whole = Math.round(s);
  if (whole < 60) return `${plain.format(whole)} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const hours = Math.floor(whole / 3600);
  if (hours < 48) return `${plain.format(hours)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${plain.format(Math.floor(hours / 24))} d ${hours % 24} h`;
}

export function time(text) {
  return text ? clock.format(new Date(text)) : none;
}

/** "3 minutes ago" */
export function since(text) {
  if (!text) return none;
  const s = (new Date(text).getTime() - Date.now()) / 1000;
  const size = Math.abs(s);
  if (size < 45) return "just now";
  if (size < 2700) return ago.format(Math.round(s / 60), "minute");
  if (size < 79200) return ago.format(Math.round(s / 3600), "hour");
  return ago.format(Math.round(s / 86400), "day");
}

export function plural(n, one, many) {
  return `${count(n)} ${n === 1 ? one : many ?? `${one}s`}`;
}

/** "512 x 512, 3 pages, 16-bit" of an image */
export function shape(image) {
  const parts = [`${count(image.width)} \u00d7 ${count(image.height)}`];
  if (image.pages > 1) parts.push(plural(image.pages, "page"));
  if (image.channels > 1) parts.push(plural(image.channels, "channel"));
  parts.push(image.dtype);
  return parts.join(", ");
}
