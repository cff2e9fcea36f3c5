import { describe, expect, test } from "vitest";
import { callsOf, definitionOf, type Draft, emptyDraft, newLook, newTarget, withoutColumns } from "./evaluationDraft";
import { newPrompt } from "./experimentDraft";

const column = { ...newTarget(), column: "answer" };
const asked = { ...newTarget("new"), from: "prompt" as const, prompt: { ...newPrompt(), name: "add", version: "production" }, model: "m", parameters: '{"temperature": 0}' };
const draft = (to: Partial<Draft>): Draft => ({ ...emptyDraft(), dataset: "sums", targets: [column], ...to });

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
    expect(made({})).toEqual({ dataset: "sums", items: { limit: 100, seed: 0 }, target: { column: "answer" }, scorers: [{ kind: "exact_match", ignore_case: true }], concurrency: 4 });
  });

  test("has targets side by side, of columns and of models", () => {
    expect(made({ targets: [column, asked] }).targets).toEqual({ target_1: { column: "answer" }, new: { prompt: "add@production", model: "m", parameters: { temperature: 0 } } });
    expect(made({ targets: [asked] }).targets).toHaveProperty("new");
  });

  test("has metrics with their options, judges, classes and embeddings", () => {
    const scorers = [
      { ...newLook("chrf"), name: "chrF++", options: '{"word_order": 2}' }, { ...newLook("judge"), judge: "polite", human: "people" },
      { ...newLook("classification"), label: "kind" }, { ...newLook("embedding_similarity"), model: " e " },
    ];
    expect(made({ scorers }).scorers).toEqual([
      { kind: "chrf", name: "chrF++", word_order: 2 }, { kind: "judge", judge: "polite", human: "people" }, { kind: "classification", label: "kind" }, { kind: "embedding_similarity", model: "e" },
    ]);
  });

  test("has gates by line, budgets and versions", () => {
    expect(made({ datasetVersion: "3", gates: " bleu >= 30\n\ncost_usd < 1 ", usd: 2, cache: false, limit: "" })).toMatchObject({
      dataset: "sums@3", gate: ["bleu >= 30", "cost_usd < 1"], budget: { usd: 2 }, cache: false, items: { seed: 0 },
    });
  });
});

test("what is missing is said", () => {
  expect(wrong({ dataset: "" })).toMatch(/dataset/);
  expect(wrong({ targets: [] })).toMatch(/target/);
  expect(wrong({ targets: [newTarget("a")] })).toMatch(/column that has the answers of a/);
  expect(wrong({ targets: [{ ...asked, prompt: newPrompt() }] })).toMatch(/prompt/);
  expect(wrong({ targets: [{ ...asked, parameters: "[1]" }] })).toMatch(/JSON/);
  expect(wrong({ targets: [{ ...column, name: "a" }, { ...column, name: " a" }] })).toMatch(/Two targets/);
  expect(wrong({ scorers: [] })).toMatch(/scorer/);
  expect(wrong({ scorers: [newLook("judge")] })).toMatch(/judge/);
  expect(wrong({ scorers: [{ ...newLook("bleu"), options: "{" }] })).toMatch(/bleu/);
});

test("columns of another dataset are forgotten", () => {
  const other = withoutColumns(draft({ scorers: [{ ...newLook("judge"), judge: "polite", human: "people" }] }));
  expect([other.targets[0]?.column, other.scorers[0]?.human, other.scorers[0]?.judge]).toEqual(["", "", "polite"]);
});

test("only answers of models are asked for", () => {
  expect(callsOf(draft({ targets: [column, asked], limit: 10 }), 40)).toEqual({ items: 10, calls: 10, judged: false });
  expect(callsOf(draft({ limit: "", scorers: [newLook("judge")] }), 40)).toEqual({ items: 40, calls: 0, judged: true });
  expect(callsOf(draft({}), undefined)).toEqual({ items: undefined, calls: undefined, judged: false });
});
