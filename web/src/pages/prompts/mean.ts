/** A mean with its interval, as text. */

import type { Schemas } from "../../api/client";
import { money, percent } from "../../lib/format";

const PICODOLLARS = 1e12;

/** `12.0 % (10.1 % to 14.2 %)`; a single value has no interval. */
export function mean(value: Schemas["MetricMean"] | null | undefined, say: (value: number) => string): string {
  if (value == null) return "–";
  return value.low == null || value.high == null ? say(value.mean) : `${say(value.mean)} (${say(value.low)} to ${say(value.high)})`;
}

export const ofShare = (value: number) => percent(value);
export const ofUsd = (value: number) => money(value * PICODOLLARS);
export const ofScore = (value: number) => (Math.abs(value) < 100 ? value.toFixed(2) : value.toFixed(0));
