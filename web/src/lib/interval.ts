/** Estimates with their intervals, and where they stand on a common axis. */

/** A number with the ends of its interval, as the server gives them. */
export interface Estimate {
  value?: number | null;
  low?: number | null;
  high?: number | null;
}

export type Axis = readonly [from: number, to: number];

/** Values are shares, numbers around 0, or of any size. */
export type Kind = "share" | "signed" | "open";

/** Room at the ends of an open axis. */
const MARGIN = 0.06;

/** An axis that holds all of them: shares stand on 0 to 1, what may be below zero on −1 to 1, others on as much as they take. */
export function axisOf(estimates: readonly Estimate[], kind: Kind = "open"): Axis {
  const all = estimates.flatMap(({ value, low, high }) => [value, low, high].filter((one): one is number => one != null && Number.isFinite(one)));
  const [least, most] = [Math.min(...all), Math.max(...all)];
  if (kind === "share" && (all.length === 0 || (least >= 0 && most <= 1))) return [0, 1];
  if (kind !== "open" && (all.length === 0 || (least >= -1 && most <= 1))) return [-1, 1];
  if (all.length === 0) return [0, 1];
  const room = most === least ? Math.max(Math.abs(most), 1) * MARGIN : (most - least) * MARGIN;
  return [least - room, most + room];
}

/** Where a number stands on an axis, from 0 to 1. What lies beyond stands at the end. */
export function placeOn([from, to]: Axis, value: number): number {
  return to === from ? 0.5 : Math.max(0, Math.min(1, (value - from) / (to - from)));
}

/** `81.2 % [72.1 %, 88.0 %]`. */
export function toldEstimate({ value, low, high }: Estimate, say: (value: number) => string): string {
  if (value == null) return "–";
  return low == null || high == null ? say(value) : `${say(value)} [${say(low)}, ${say(high)}]`;
}
