/** Numbers, money, times: one way to show each, everywhere. */

const PICODOLLARS = 1e12;

/** `1,234`, `12.3k`, `4.56M`: short, with three digits that count. */
export function count(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (Math.abs(value) < 10_000) return Math.round(value).toLocaleString("en-US");
  const [divisor, unit] = Math.abs(value) < 1e6 ? [1e3, "k"] : Math.abs(value) < 1e9 ? [1e6, "M"] : [1e9, "G"];
  const short = value / divisor;
  return short.toFixed(Math.abs(short) < 10 ? 2 : Math.abs(short) < 100 ? 1 : 0) + unit;
}

/** Dollars from picodollars: `$12.34`, and small sums with the digits that count. */
export function money(picodollars: number | null | undefined): string {
  if (picodollars === null || picodollars === undefined) return "–";
  const dollars = picodollars / PICODOLLARS;
  if (dollars === 0) return "$0";
  const size = Math.abs(dollars);
  if (size >= 1) return "$" + dollars.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  return "$" + (size < 1e-6 ? dollars.toExponential(1) : dollars.toPrecision(2).replace(/0+$/, ""));
}

/** `850 µs`, `12.3 ms`, `1.20 s`, `3 min 20 s`. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 1000) return `${ms < 100 ? ms.toFixed(1) : Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(2)} s`;
  const seconds = Math.round(ms / 1000);
  return seconds < 3600 ? `${Math.floor(seconds / 60)} min ${seconds % 60} s` : `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** Bytes in binary units. */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = value;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`;
}

/** A share as a percentage. */
export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined || Number.isNaN(share)) return "–";
  return `${(share * 100).toFixed(share !== 0 && share < 0.1 ? 2 : 1)} %`;
}

/** Date and time of day in the reader's zone, to the millisecond when `exact`. */
export function time(value: string | number | Date | null | undefined, exact = false): string {
  if (value === null || value === undefined) return "–";
  const date = new Date(value);
  const pad = (n: number, width = 2) => String(n).padStart(width, "0");
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  const clock = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return `${day} ${clock}${exact ? "." + pad(date.getMilliseconds(), 3) : ""}`;
}

/** How long ago, in words that fit a table. */
export function ago(value: string | number | Date | null | undefined, now = Date.now()): string {
  if (value === null || value === undefined) return "–";
  const seconds = Math.round((now - new Date(value).getTime()) / 1000);
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

/** `0.031`, `< 0.001`. */
export function pValue(p: number | null | undefined): string {
  if (p === null || p === undefined) return "–";
  return p < 0.001 ? "< 0.001" : p.toFixed(3);
}
