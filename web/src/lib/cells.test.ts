import { expect, test } from "vitest";
import { type Cell, differenceInUnit, differences, heatMap, inUnit, measuresOf, type Score, scaleOf, sentence, sorted, strength, told, usualPair } from "./cells";

const score = (mean: number | null, low?: number, high?: number): Score => ({ mean, low, high, items: 10, missing: 0, unit: "share", better: "higher" });

function cell(id: string, more: Partial<Omit<Cell, "parameters">> & { parameters?: unknown } = {}): Cell {
  const usual = { label: id, prompt: "plain", prompt_version: 1, model: "m", parameters: {}, answers: 10, failed: 0, cached: 0, scores: {}, spent_picodollars: 0, on_front: false };
  return { id, ...usual, ...more } as Cell;
}

/** Two prompts, two numbers of examples, two temperatures; one combination was not drawn. */
const SWEEP = [
  cell("c1", { shots: 0, parameters: { temperature: 0 } }), cell("c2", { shots: 1, parameters: { temperature: 0 } }),
  cell("c3", { shots: 0, parameters: { temperature: 0.7 } }), cell("c4", { shots: 1, parameters: { temperature: 0.7 } }),
  cell("c5", { prompt: "steps", prompt_version: 3, shots: 0, parameters: { temperature: 0 } }),
  cell("c6", { prompt: "steps", prompt_version: 3, shots: 1, parameters: { temperature: 0.7 }, model: "n" }),
];

test("prompts and examples go down, models and parameters across", () => {
  const map = heatMap(SWEEP);
  expect(map.rows).toEqual([
    { group: "plain@1", within: "0 shots", span: 2 }, { group: "plain@1", within: "1 shot", span: 0 },
    { group: "steps@3", within: "0 shots", span: 2 }, { group: "steps@3", within: "1 shot", span: 0 },
  ]);
  expect(map.columns.map((side) => [side.group, side.within, side.span])).toEqual([["m", "temperature 0", 2], ["m", "temperature 0.7", 0], ["n", "temperature 0.7", 1]]);
  expect(map.cells.map((row) => row.map((one) => one?.id ?? "-").join(" "))).toEqual(["c1 c3 -", "c2 c4 -", "c5 - -", "- - c6"]);
});

test("what the experiment leaves to the prompt is said", () => {
  const map = heatMap([cell("c1")]);
  expect([map.rows[0]!.within, map.columns[0]!.within]).toEqual(["its own examples", "its own parameters"]);
});

test("scores are said in their unit with their interval", () => {
  expect([inUnit("share", 0.8125), inUnit("milliseconds", 1200), inUnit("dollars", 0.002), inUnit("count", 3)]).toEqual(["81.3 %", "1.20 s", "$0.002", "3.0"]);
  expect([differenceInUnit("share", -0.031), differenceInUnit("share", 0), differenceInUnit("milliseconds", 20)]).toEqual(["−3.1 points", "0.0 points", "+20.0 ms"]);
  expect([differences("share", -0.039, 0.004), differences("count", -2, -1)]).toEqual(["−3.9 to +0.4 points", "−2.0 to −1.0"]);
  const [exact] = measuresOf([cell("c1", { scores: { exact_match: score(0.5, 0.4, 0.6) } })], "exact_match");
  expect(told(exact, cell("c1", { scores: { exact_match: score(0.5, 0.4, 0.6) } }))).toBe("50.0 % [40.0 %, 60.0 %]");
  expect(told(exact, cell("c2", { scores: { exact_match: score(null) } }))).toBe("–");
});

test("the scorer that cells are ranked by stands first", () => {
  const cells = [cell("c1", { scores: { a: score(1), b: score(0) } })];
  expect(measuresOf(cells, "b").map((measure) => measure.key).slice(0, 3)).toEqual(["b", "a", "call.cost"]);
});

test("sentences begin and end as sentences do", () => {
  expect([sentence("there is none"), sentence("c1 beats c2."), sentence("c1, c2, …")]).toEqual(["There is none.", "c1 beats c2.", "c1, c2, …"]);
});

test("cells without a number stay last", () => {
  const cells = [cell("c1", { scores: { s: score(null) } }), cell("c2", { scores: { s: score(0.2) } }), cell("c3", { scores: { s: score(0.9) } })];
  const [measure] = measuresOf(cells, "s");
  expect(sorted(cells, measure, true).map((one) => one.id)).toEqual(["c3", "c2", "c1"]);
  expect(sorted(cells, measure, false).map((one) => one.id)).toEqual(["c2", "c3", "c1"]);
});

test("colours reach over all intervals, and what is better is stronger", () => {
  const cells = [cell("c1", { scores: { s: score(0.5, 0.4, 0.6) } }), cell("c2", { scores: { s: score(0.7, 0.55, 0.8) } })];
  const [measure] = measuresOf(cells, "s");
  const scale = scaleOf(cells, measure)!;
  expect(scale).toEqual([0.4, 0.8]);
  expect(strength(0.5, scale, "higher")).toBeCloseTo(0.25);
  expect(strength(0.5, scale, "lower")).toBeCloseTo(0.75);
  expect(strength(3, [3, 3], "higher")).toBe(0.5);
  expect(scaleOf([cell("c1")], measure)).toBeNull();
});

test("the best cell and the next are looked at first", () => {
  const cells = [cell("c1", { scores: { s: score(0.1) } }), cell("c2", { scores: { s: score(0.9) } }), cell("c3", { scores: { s: score(0.8) } }), cell("c4", { left_after: 1, scores: { s: score(1) } })];
  expect(usualPair({ best: "c2", metric: "s", cells })).toEqual(["c2", "c3"]);
  expect(usualPair({ best: null, metric: "s", cells: [cell("c1"), cell("c2")] })).toEqual(["c1", "c2"]);
  expect(usualPair({ best: "c1", metric: "s", cells: [cell("c1")] })).toEqual(["c1"]);
});
