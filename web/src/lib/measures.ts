/** What the overview shows of its measures, and to which traces each number leads. */

import type { Schemas } from "../api/client";
import { count, duration, money, percent } from "./format";
import type { Filters, GroupName } from "./traceFilter";

export type Measures = Schemas["Measures"];
export type Series = Schemas["OverviewSeries"];
export type Measured = Exclude<keyof Series, "group" | "total">;

export interface Tile {
  title: string;
  value: string;
  note?: string;
  failed?: boolean;
  /** What narrows the traces to those behind the number. */
  narrowed: Filters;
}

const counted = (value: number | null | undefined) => (value != null && value < 10 && !Number.isInteger(value) ? value.toFixed(1) : count(value));
const perSecond = (value: number | null | undefined) => (value == null ? "–" : `${counted(value)}/s`);
/** Traces at least as slow as a percentile; a little below it, since percentiles are told within one percent. */
export const slower = (ms: number | null | undefined, what: "min_latency_ms" | "min_ttft_ms" = "min_latency_ms"): Filters => (ms == null ? {} : { [what]: String(Math.floor(ms * 0.99)) });

export function tilesOf(total: Measures): Tile[] {
  return [
    { title: "Requests", value: count(total.requests), narrowed: {} },
    { title: "Errors", value: count(total.errors), note: total.requests > 0 ? percent(total.errors / total.requests) : undefined, failed: total.errors > 0, narrowed: { status: "error" } },
    { title: "Cost", value: money(total.cost_picodollars), narrowed: {} },
    { title: "Tokens", value: count(total.input_tokens + total.output_tokens), note: `${count(total.input_tokens)} → ${count(total.output_tokens)}`, narrowed: {} },
    { title: "Latency p50", value: duration(total.latency_p50_ms), narrowed: slower(total.latency_p50_ms) },
    { title: "p95", value: duration(total.latency_p95_ms), narrowed: slower(total.latency_p95_ms) },
    { title: "p99", value: duration(total.latency_p99_ms), narrowed: slower(total.latency_p99_ms) },
    { title: "First token p50", value: duration(total.ttft_p50_ms), note: total.ttft_p95_ms == null ? undefined : `p95 ${duration(total.ttft_p95_ms)}`, narrowed: slower(total.ttft_p50_ms, "min_ttft_ms") },
    { title: "Output tokens", value: perSecond(total.output_tokens_per_s), narrowed: {} },
  ];
}

export interface Plot {
  title: string;
  format: (value: number | null) => string;
  /** What is drawn when there are no groups. */
  lines: readonly { of: Measured; label: string; color: string; filled?: boolean }[];
  /** What is drawn of each group. */
  grouped: Measured;
  groupedTitle: string;
}

const took = (value: number | null) => (value === 0 ? "0" : duration(value));

export const PLOTS: readonly Plot[] = [
  { title: "Requests and errors", format: counted, lines: [{ of: "requests", label: "requests", color: "cyan", filled: true }, { of: "errors", label: "errors", color: "red", filled: true }], grouped: "requests", groupedTitle: "Requests" },
  { title: "Latency", format: took, lines: [{ of: "latency_p50_ms", label: "p50", color: "teal" }, { of: "latency_p95_ms", label: "p95", color: "orange" }, { of: "latency_p99_ms", label: "p99", color: "red" }], grouped: "latency_p95_ms", groupedTitle: "Latency p95" },
  { title: "Time to first token", format: took, lines: [{ of: "ttft_p50_ms", label: "p50", color: "teal" }, { of: "ttft_p95_ms", label: "p95", color: "orange" }], grouped: "ttft_p50_ms", groupedTitle: "Time to first token p50" },
  { title: "Cost", format: money, lines: [{ of: "cost_picodollars", label: "cost", color: "grape", filled: true }], grouped: "cost_picodollars", groupedTitle: "Cost" },
  { title: "Tokens", format: counted, lines: [{ of: "input_tokens", label: "input", color: "blue", filled: true }, { of: "output_tokens", label: "output", color: "teal", filled: true }], grouped: "output_tokens", groupedTitle: "Output tokens" },
  { title: "Output tokens per second", format: perSecond, lines: [{ of: "output_tokens_per_s", label: "tokens/s", color: "indigo" }], grouped: "output_tokens_per_s", groupedTitle: "Output tokens per second" },
];

/** Colours of groups, told apart also by those who see few of them: neighbours differ in lightness. */
export const GROUP_COLORS = ["blue", "orange", "teal", "grape", "red", "cyan", "lime", "indigo", "pink", "yellow", "gray"] as const;

/** What a series is called; the last one without a name is that of all groups left over. */
export function nameOf(series: Pick<Series, "group">, otherGroups: number): string {
  if (series.group == null) return otherGroups > 0 ? `${otherGroups} others` : "all";
  return series.group === "" ? "(not told)" : series.group;
}

/** The traces behind the numbers of a series among all `series`. The one without a name is that of all the others. */
export function filterOfSeries(by: GroupName, { group }: Pick<Series, "group">, series: readonly Pick<Series, "group">[]): Filters {
  if (group == null) {
    const except = series.flatMap((other) => (other.group == null ? [] : [other.group]));
    return except.length === 0 ? {} : { group: { by, except } };
  }
  // A filter by model also takes those who asked for it and got another, one by status is also that of the column of
  // errors, and a filter that is typed has no spaces around it.
  // And there is no filter by release.
  const exact = by === "model" || by === "status" || by === "release" || group === "" || group !== group.trim();
  return exact ? { group: { by, one: group } } : { [by]: group };
}
