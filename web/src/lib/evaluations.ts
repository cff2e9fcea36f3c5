/** Reports of evaluations: which scores there are, how two targets compare, and which items are looked at. */

import type { Schemas } from "../api/client";
import { type Axis, axisOf, type Estimate } from "./interval";

export type Report = Schemas["EvaluationReport"];
export type Target = Schemas["EvaluationTargetReport"];
export type Score = Schemas["EvaluationScore"];
export type Comparison = Schemas["EvaluationComparison"];
export type Answer = Schemas["EvaluationAnswer"];

/** The names of scores, in the order of the scorers. */
export function scoresOf({ targets }: Report): string[] {
  return [...new Set(targets.flatMap((target) => target.scores.map((score) => score.name)))];
}

export const scoreOf = (target: Target | undefined, name: string): Score | undefined => target?.scores.find((score) => score.name === name);

/** The axis on which all estimates of a score are drawn: raw ones, corrected ones, and what people alone say. */
export function axisOfScores(scores: readonly Score[]): Axis {
  const all = scores.flatMap((score): Estimate[] => {
    const corrected = score.judge?.corrected;
    return corrected == null ? [score] : [score, corrected, peopleOf(corrected)];
  });
  return axisOf(all, scores.every((score) => score.unit === "share") ? "share" : "open");
}

/** What labels of people alone say. */
export function peopleOf({ people, people_low, people_high }: Schemas["EvaluationCorrected"]): Estimate {
  return { value: people, low: people_low, high: people_high };
}

/** Why a score is missing, in words; the server has one word each. */
const WHY: Record<string, string> = {
  no_answer: "there is no answer", no_reference: "there is no reference", cannot_tell: "the judge could not tell", invalid: "the judge gave no verdict", failed: "the judge failed", not_done: "not done",
};

export const whyTold = (why: string): string => WHY[why] ?? why.replaceAll("_", " ");

/** `3 there is no reference, 1 the judge could not tell`, the most frequent first. */
export function missingTold({ why }: Pick<Score, "why">): string {
  return Object.entries(why).sort(([, a], [, b]) => b - a).map(([reason, times]) => `${times} ${whyTold(reason)}`).join(", ");
}

/** Comparisons of `b` held against `a` by each score; the server has each pair once, in whichever order. */
export function comparisonsOf({ comparisons }: Report, a: string, b: string): Comparison[] {
  return comparisons.flatMap((one) => (one.a === a && one.b === b ? [one] : one.a === b && one.b === a ? [turned(one)] : []));
}

function turned(one: Comparison): Comparison {
  const verdict = one.verdict === "a_better" ? "b_better" : one.verdict === "b_better" ? "a_better" : one.verdict;
  const negated = (value: number | null | undefined) => (value == null ? value : -value);
  return {
    ...one, verdict, a: one.b, b: one.a, value_a: one.value_b, value_b: one.value_a, difference: -one.difference, low: negated(one.high), high: negated(one.low), better_a: one.better_b, better_b: one.better_a,
  };
}

/** Which items are looked at, as the address tells it. */
export interface Filter {
  target?: string;
  scorer?: string;
  lowest?: number;
  highest?: number;
  missing?: boolean;
  disagree?: string;
}

/** Only what the report knows; a range means nothing without a score. */
export function filterOf(params: URLSearchParams, report: Report): Filter {
  const scores = scoresOf(report);
  const known = (name: string, all: readonly string[]) => all.find((one) => one === params.get(name));
  const number = (name: string) => {
    const text = params.get(name);
    return text === null || text.trim() === "" || !Number.isFinite(Number(text)) ? undefined : Number(text);
  };
  const scorer = known("scorer", scores);
  const target = known("target", report.targets.map((one) => one.name));
  const disagree = report.targets.length > 1 ? known("disagree", scores) : undefined;
  if (scorer === undefined) return { target, disagree };
  if (params.get("missing") === "1") return { target, scorer, missing: true, disagree };
  return { target, scorer, lowest: number("lowest"), highest: number("highest"), disagree };
}

/** Parameters of the address for the items of a score within a range. */
export function itemsIn(target: string | null, scorer: string, low: number, high: number): string {
  const params = new URLSearchParams({ tab: "items", scorer, lowest: String(low), highest: String(high) });
  if (target !== null) params.set("target", target);
  return `?${params}`;
}

/** A score in two runs, beside each other. */
export interface Beside {
  name: string;
  a: Score | undefined;
  b: Score | undefined;
  axis: Axis;
}

/** Scores of two runs by their names; those that both have stand first. */
export function besideOf(a: Target | undefined, b: Target | undefined): Beside[] {
  const names = [...new Set([...(a?.scores ?? []), ...(b?.scores ?? [])].map((score) => score.name))];
  const all = names.map((name) => {
    const [one, other] = [scoreOf(a, name), scoreOf(b, name)];
    return { name, a: one, b: other, axis: axisOfScores([one, other].filter((score) => score !== undefined)) };
  });
  return all.sort((left, right) => Number(right.a !== undefined && right.b !== undefined) - Number(left.a !== undefined && left.b !== undefined));
}

/** Whether two intervals have nothing in common: then the two estimates differ, whichever items they are of. */
export function areApart(a: Estimate | undefined, b: Estimate | undefined): boolean {
  if (a?.low == null || a.high == null || b?.low == null || b.high == null) return false;
  return a.high < b.low || b.high < a.low;
}

/** A row's values in one line, without those that stand elsewhere already. */
export function lineOf(values: Readonly<Record<string, unknown>>, besides: readonly string[] = []): string {
  const texts = Object.values(values).filter((value) => value !== null).map((value) => (typeof value === "string" ? value : JSON.stringify(value)));
  return texts.filter((text) => !besides.includes(text)).join(" · ").replace(/\s+/g, " ");
}
