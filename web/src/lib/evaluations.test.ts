import { expect, test } from "vitest";
import { areApart, axisOfScores, besideOf, type Comparison, comparisonsOf, filterOf, itemsIn, lineOf, missingTold, type Report, type Score, scoresOf, type Target } from "./evaluations";

const score = (name: string, value: number, low: number, high: number, more: Partial<Score> = {}): Score =>
  ({ name, value, low, high, items: 10, missing: 0, why: {}, failures_as_zero: 0, unit: "share", better: "higher", ...more });

const target = (name: string, scores: Score[]): Target => ({ name, label: name, answers: 10, failed: 0, empty: 0, cached: 0, spent_picodollars: 0, spent_on_scorers_picodollars: 0, scores });

const comparison = (a: string, b: string): Comparison =>
  ({ scorer: "f1", a, b, sentence: "a beats b", verdict: "a_better", items: 10, left_out: 0, value_a: 0.8, value_b: 0.5, difference: -0.3, low: -0.4, high: -0.1, test: "sign_flip", p: 0.01, adjusted_p: 0.01, family: 1, better_a: 7, better_b: 1, unit: "share", better: "higher" });

const REPORT: Report = {
  items: 10, spent_picodollars: 0, tokens: 0, unpriced: 0, comparisons: [comparison("old", "new")],
  targets: [target("new", [score("f1", 0.5, 0.4, 0.6)]), target("old", [score("f1", 0.8, 0.7, 0.9), score("length", 12, 10, 14, { unit: "count" })])],
};

test("scores stand in the order of the scorers, each once", () => {
  expect(scoresOf(REPORT)).toEqual(["f1", "length"]);
});

test("a pair is held against each other either way round", () => {
  const [turned] = comparisonsOf(REPORT, "new", "old");
  expect(turned).toMatchObject({ a: "new", b: "old", verdict: "b_better", value_a: 0.5, value_b: 0.8, difference: 0.3, low: 0.1, high: 0.4, better_a: 1, better_b: 7 });
  expect(comparisonsOf(REPORT, "old", "new")).toEqual(REPORT.comparisons);
  expect(comparisonsOf(REPORT, "old", "other")).toEqual([]);
});

test("the axis holds what was corrected, and what people alone say", () => {
  const corrected = { value: 12, low: 11, high: 13, people: 20, people_low: 15, people_high: 25, labels: 30, effective_labels: 60, lambda: 0.5, few_labels: false, same_answers: true };
  const judged = score("judge", 10, 9, 11, { unit: "points", judge: { judge: "j@1", calibrated: true, notes: [], corrected } });
  expect(axisOfScores([judged])).toEqual([9 - 16 * 0.06, 25 + 16 * 0.06]);
  expect(axisOfScores([score("f1", 0.5, 0.4, 0.6)])).toEqual([0, 1]);
});

test("why scores are missing is told, the most frequent first", () => {
  expect(missingTold({ why: { no_reference: 1, cannot_tell: 3, out_of_reach: 2 } })).toBe("3 the judge could not tell, 2 out of reach, 1 there is no reference");
});

test("a filter has what the report knows, and a range only with a score", () => {
  const of = (address: string) => filterOf(new URLSearchParams(address), REPORT);
  expect(of("scorer=f1&lowest=0.2&highest=x&target=old&disagree=length")).toEqual({ scorer: "f1", target: "old", lowest: 0.2, highest: undefined, disagree: "length" });
  expect(of("lowest=0.2")).toEqual({ target: undefined, disagree: undefined });
  expect(of("scorer=bleu&target=third")).toEqual({ target: undefined, disagree: undefined });
  expect(of("scorer=f1&missing=1&lowest=0.2")).toEqual({ target: undefined, scorer: "f1", missing: true, disagree: undefined });
});

test("a bar leads to the items of its range", () => {
  expect(filterOf(new URLSearchParams(itemsIn("old", "f1", 0.5, 0.6)), REPORT)).toMatchObject({ target: "old", scorer: "f1", lowest: 0.5, highest: 0.6 });
  expect(itemsIn(null, "f1", 0, 1)).not.toContain("target");
});

test("runs are beside each other by the names of scores, those of both first", () => {
  const all = besideOf(target("a", [score("bleu", 0.1, 0, 0.2), score("f1", 0.5, 0.4, 0.6)]), target("b", [score("f1", 0.8, 0.7, 0.9)]));
  expect(all.map(({ name, a, b }) => [name, a?.value, b?.value])).toEqual([["f1", 0.5, 0.8], ["bleu", 0.1, undefined]]);
});

test("only intervals that have nothing in common are apart", () => {
  expect(areApart({ low: 0.1, high: 0.2 }, { low: 0.3, high: 0.4 })).toBe(true);
  expect(areApart({ low: 0.1, high: 0.35 }, { low: 0.3, high: 0.4 })).toBe(false);
  expect(areApart({ low: 0.1, high: 0.2 }, { value: 0.5 })).toBe(false);
});

test("a row is told in one line without what stands elsewhere", () => {
  expect(lineOf({ id: "r1", question: "How\nmuch?", n: 3, answer: "two", human: null }, ["two", "r1"])).toBe("How much? · 3");
});
