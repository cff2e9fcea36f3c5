/** What the page of statistics makes of the server's numbers, and to which calls each leads. */

import type { Schemas } from "../api/client";
import { count, duration, money, percent } from "./format";
import { filterOfSeries, slower } from "./measures";
import type { Filters, GroupName } from "./traceFilter";

export type GroupStats = Schemas["GroupStats"];
export type LengthFit = Schemas["LengthFit"];
export type Point = Schemas["LengthPoint"];
export type Budget = Schemas["Budget"];

export const SPEED_HEADS = ["Calls", "Errors", "p50", "p90", "p95", "p99", "First token p50", "p95", "Per token p50", "p95", "Tokens/s", "Cached", "Cost"] as const;

/** The cells of a group, each with what narrows the calls to those behind it. */
export function speedCells(group: GroupStats): [string, Filters][] {
  const { latency_ms: latency, ttft_ms: ttft, tpot_ms: tpot } = group;
  return [
    [count(group.requests), {}],
    [group.errors === 0 ? "0" : `${count(group.errors)} · ${percent(group.error_rate)}`, { status: "error" }],
    [duration(latency.p50), slower(latency.p50)], [duration(latency.p90), slower(latency.p90)], [duration(latency.p95), slower(latency.p95)], [duration(latency.p99), slower(latency.p99)],
    [duration(ttft.p50), slower(ttft.p50, "min_ttft_ms")], [duration(ttft.p95), slower(ttft.p95, "min_ttft_ms")],
    [duration(tpot.p50), {}], [duration(tpot.p95), {}],
    [group.output_tokens_per_s == null ? "–" : count(group.output_tokens_per_s), {}],
    [percent(group.cached_share), {}], [money(group.cost_picodollars), {}],
  ];
}

/** The calls of a group. */
export function filterOfGroup(by: GroupName, group: string): Filters {
  return filterOfSeries(by, { group }, []);
}

/** A line's own words: `latency = 312 ms + 14.1 ms × tokens`. */
export function lineText({ fit, no_fit }: Pick<LengthFit, "fit" | "no_fit">): string {
  if (fit != null) return `latency = ${plain(fit.intercept_ms)} + ${plain(fit.slope_ms_per_token)} × tokens`;
  return no_fit === "too_few" ? "fewer than three calls: no line" : "all answers are as long: no line";
}

/** As a duration, which may be below zero. */
export function plain(ms: number): string {
  return ms < 0 ? `−${duration(-ms)}` : duration(ms);
}

/** What a call took beyond the line. */
export function residual(fit: NonNullable<LengthFit["fit"]>, point: Pick<Point, "output_tokens" | "latency_ms">): number {
  return point.latency_ms - (fit.intercept_ms + fit.slope_ms_per_token * point.output_tokens);
}

export interface Drawn {
  points: Point[];
  tokens: number[];
  latency: number[];
  /** What the line says at each point; none without a line. */
  line: number[] | null;
  residuals: number[] | null;
}

/** The points in the order of their lengths, as charts want them. */
export function drawn({ fit, points }: Pick<LengthFit, "fit" | "points">): Drawn {
  const sorted = [...points].sort((a, b) => a.output_tokens - b.output_tokens || a.latency_ms - b.latency_ms);
  const tokens = sorted.map((point) => point.output_tokens);
  return {
    points: sorted, tokens, latency: sorted.map((point) => point.latency_ms),
    line: fit == null ? null : tokens.map((n) => fit.intercept_ms + fit.slope_ms_per_token * n),
    residuals: fit == null ? null : sorted.map((point) => residual(fit, point)),
  };
}

/** The calls that are furthest above the line. */
export function furthest({ fit, points }: Pick<LengthFit, "fit" | "points">, most: number): { point: Point; beyond: number }[] {
  if (fit == null) return [];
  const beyond = points.map((point) => ({ point, beyond: residual(fit, point) })).filter((one) => one.beyond > 0);
  return beyond.sort((a, b) => b.beyond - a.beyond).slice(0, most);
}

/** Which point is nearest to a place on the screen, within `reach`; null when none is. */
export function nearest(places: readonly (readonly [number, number])[], [x, y]: readonly [number, number], reach: number): number | null {
  let [best, least] = [null as number | null, reach * reach];
  places.forEach(([left, top], at) => {
    const distance = (left - x) ** 2 + (top - y) ** 2;
    if (distance <= least) [best, least] = [at, distance];
  });
  return best;
}

/** The kinds of failure as people call them. */
export const FAILURES: Record<string, string> = {
  timeout: "Timed out", rate_limited: "Rate limited (429)", busy: "Engine busy", upstream_5xx: "Upstream failed (5xx)", upstream_4xx: "Upstream refused (4xx)", credentials: "Credentials refused",
  unreachable: "Unreachable", protocol: "Answer not understood", invalid_request: "Wrong request", unknown_model: "Unknown model", internal: "This server failed", cancelled: "Caller left", other: "Other",
};

export const failureName = (kind: string): string => FAILURES[kind] ?? kind;

/** An amount in the unit of a budget. */
export function amount(budget: Pick<Budget, "limit_picodollars">, value: number | null | undefined): string {
  return budget.limit_picodollars != null ? money(value) : value == null ? "–" : `${count(value)} tokens`;
}

export function limitOf(budget: Budget): string {
  return amount(budget, budget.limit_picodollars ?? budget.limit_tokens);
}

/** What is typed into the form of a budget, as the server takes it; a sentence when it cannot be. */
export function budgetOf(typed: { period: string; unit: string; limit: string; by: string; value: string }): Schemas["BudgetSpec"] | string {
  const number = Number(typed.limit);
  if (typed.limit.trim() === "" || !Number.isFinite(number) || number <= 0) return "The limit must be a number above zero.";
  const scope = typed.by === "" ? {} : { by: typed.by, value: typed.value.trim() };
  if (typed.by !== "" && typed.value.trim() === "") return `Say which ${typed.by} counts.`;
  if (typed.unit === "money") return { period: typed.period, limit_picodollars: Math.round(number * 1e12), ...scope };
  return Number.isSafeInteger(number) ? { period: typed.period, limit_tokens: number, ...scope } : "Tokens are whole.";
}
