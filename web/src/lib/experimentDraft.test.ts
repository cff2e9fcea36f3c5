import { describe, expect, test } from "vitest";
import { definitionOf, type Draft, emptyDraft, newParameter, newPrompt, newScorer, newShots, valuesOf } from "./experimentDraft";

const draft = (to: Partial<Draft>): Draft => ({ ...emptyDraft(), dataset: "sums", prompts: [{ ...newPrompt(), name: "add" }], parameters: [], ...to });

function made(to: Partial<Draft>) {
  const found = definitionOf(draft(to));
  if ("wrong" in found) throw new Error(found.wrong);
  return JSON.parse(JSON.stringify(found.definition)) as Record<string, unknown>;
}

function wrong(to: Partial<Draft>) {
  const found = definitionOf(draft(to));
  return "wrong" in found ? found.wrong : "";
}

describe("a definition", () => {
  test("says no more than was asked for", () => {
    expect(made({})).toEqual({
      dataset: "sums", items: { limit: 100, seed: 0 }, prompts: ["add"], repeats: 1, concurrency: 4, scorers: [{ kind: "exact_match", ignore_case: true }],
    });
  });

  test("names versions, models, parameters and budgets", () => {
    const found = made({
      datasetVersion: "3", limit: "", prompts: [{ ...newPrompt(), name: "add", version: "2" }, { ...newPrompt(), name: "guess", version: "production" }, newPrompt()],
      models: ["m"], parameters: [newParameter("temperature", "0, 0.7"), newParameter("stop", '["\\n"], ["."]'), newParameter()], usd: 1.5, cache: false,
    });
    expect(found).toMatchObject({ dataset: "sums@3", prompts: ["add@2", "guess@production"], models: ["m"], budget: { usd: 1.5 }, cache: false });
    expect(found.parameters).toMatchObject({ temperature: [0, 0.7] });
    expect(found.items).toEqual({ seed: 0 });
  });

  test("has ways to choose examples as values", () => {
    const shots = [newShots(0), newShots(3), { ...newShots(3), choose: "random", seed: 7 }, { ...newShots(3), choose: "similar", embeddingModel: " e " }, { ...newShots(0), choose: "similar" }];
    expect(made({ shots }).shots).toEqual([0, 3, { count: 3, choose: "random", seed: 7 }, { count: 3, choose: "similar", embedding_model: "e" }, 0]);
  });

  test("searches at random or by halving", () => {
    expect(made({ search: "random", first: 9, second: 1 }).search).toEqual({ kind: "random", cells: 9, seed: 1 });
    expect(made({ search: "halving", first: 20, second: 3 }).search).toEqual({ kind: "halving", first_items: 20, factor: 3 });
  });

  test("has scorers with the options of their kind", () => {
    const scorers = [
      { ...newScorer("contains"), ignoreCase: true, ignorePunctuation: true, extract: "x(.)" }, { ...newScorer("number_match"), tolerance: 0.5, pattern: "unused" },
      { ...newScorer("regex"), pattern: "^a" }, { ...newScorer("json_schema"), schema: '{"type": "object"}' }, { ...newScorer("length"), unit: "words", better: "higher" }, newScorer("cost"),
    ];
    expect(made({ scorers }).scorers).toEqual([
      { kind: "contains", ignore_case: true, ignore_punctuation: true, extract: "x(.)" }, { kind: "number_match", tolerance: 0.5 },
      { kind: "regex", pattern: "^a" }, { kind: "json_schema", schema: { type: "object" } }, { kind: "length", unit: "words", better: "higher" }, { kind: "cost" },
    ]);
  });
});

test("what is missing is told", () => {
  expect(wrong({ dataset: "" })).toMatch(/dataset/);
  expect(wrong({ prompts: [newPrompt()] })).toMatch(/prompt/);
  expect(wrong({ parameters: [newParameter("", "1")] })).toMatch(/no parameter/);
  expect(wrong({ parameters: [newParameter("top_p")] })).toMatch(/top_p/);
  expect(wrong({ scorers: [] })).toMatch(/scorer/);
  expect(wrong({ scorers: [newScorer("regex")] })).toMatch(/pattern/);
  expect(wrong({ scorers: [{ ...newScorer("json_schema"), schema: "{" }] })).toMatch(/JSON/);
});

test("values are JSON where they are some", () => {
  expect(valuesOf("0, 0.7,true , low")).toEqual([0, 0.7, true, "low"]);
  expect(valuesOf('["a,b", 1]')).toEqual(["a,b", 1]);
  expect(valuesOf(" , ")).toEqual([]);
  expect(valuesOf("null")).toEqual(["null"]);
});
