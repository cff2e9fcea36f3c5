/** The global time range, kept in the address bar: `?range=24h`, or `?from=…&to=…` after a zoom. */

export const RANGES: readonly { key: string; label: string; seconds: number }[] = [
  { key: "15m", label: "15 minutes", seconds: 900 },
  { key: "1h", label: "1 hour", seconds: 3_600 },
  { key: "6h", label: "6 hours", seconds: 21_600 },
  { key: "24h", label: "24 hours", seconds: 86_400 },
  { key: "7d", label: "7 days", seconds: 604_800 },
  { key: "30d", label: "30 days", seconds: 2_592_000 },
  { key: "90d", label: "90 days", seconds: 7_776_000 },
  { key: "365d", label: "1 year", seconds: 31_536_000 },
];

export const DEFAULT_RANGE = "24h";

/** The parameters that belong to the time range and go along from page to page. */
export const RANGE_PARAMS = ["range", "from", "to"] as const;

export interface TimeRange {
  /** The key of a relative range, or null for an absolute one. */
  key: string | null;
  from: Date;
  to: Date;
}

/** The shortest relative range, of a day at least, that reaches back to a time. */
export function rangeBackTo(time: string | number | Date, now = Date.now()): string {
  const seconds = (now - new Date(time).getTime()) / 1000;
  const day = RANGES.find((range) => range.key === DEFAULT_RANGE)!.seconds;
  return (RANGES.find((range) => range.seconds >= Math.max(seconds, day)) ?? RANGES.at(-1)!).key;
}

/** The range that search parameters tell; a wrong one counts as the default. Relative ranges end now, to the full ten seconds. */
export function rangeOf(params: URLSearchParams, now = Date.now()): TimeRange {
  const from = new Date(params.get("from") ?? "");
  const to = new Date(params.get("to") ?? "");
  if (!Number.isNaN(from.getTime()) && !Number.isNaN(to.getTime()) && from < to) return { key: null, from, to };
  const key = params.get("range") ?? DEFAULT_RANGE;
  const known = RANGES.find((range) => range.key === key) ?? RANGES.find((range) => range.key === DEFAULT_RANGE)!;
  const end = Math.ceil(now / 10_000) * 10_000;
  return { key: known.key, from: new Date(end - known.seconds * 1000), to: new Date(end) };
}
