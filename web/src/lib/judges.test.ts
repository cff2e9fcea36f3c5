import { expect, test } from "vitest";
import { agreementOf, biasesOf, type Card, effortOf, headlineOf, inputsOf, type JudgeDefinition, meaningsOf, meansOf, outcomeTold, scaleOf, type Stat, unsaidOf, valuesOf } from "./judges";

const stat = (value: number | null, low: number | null = null, high: number | null = null): Stat => ({ value, low, high, items: 100, undefined: value === null ? "one class only" : null });

const CARD: Card = {
  dataset: "halu@1", labels: ["human"], state: "finished", job: "j", items: 100, undecided: 0, outcomes: { told: stat(1) },
  accuracy: { told: stat(0.82), all: stat(0.8, 0.71, 0.87), most_common: "yes", base_rate: stat(0.6), gain: stat(0.2, 0.1, 0.3) },
  kappa: stat(0.6, 0.45, 0.75), alpha: stat(0.59), alpha_scale: "nominal", worth: [], sentence: "it is right",
  effort: { unpriced: 0, latency_p50_ms: stat(120), latency_p95_ms: stat(300), calls: stat(1), input_tokens: stat(200), output_tokens: stat(20) },
};

const method = { kind: "direct" };

test("scales are told in words", () => {
  expect(scaleOf({ method, scale: { kind: "numeric", lowest: 1, highest: 5 } })).toBe("1 to 5");
  expect(scaleOf({ method, scale: { kind: "categorical", categories: [{ name: "A" }, { name: "B" }, { name: "C" }] } })).toBe("A, B or C");
  expect(scaleOf({ method: { kind: "pairwise" } })).toBe("first, second or tie");
  expect(scaleOf({ method: { kind: "jury", jurors: [{ method, scale: { kind: "boolean" } }] } })).toBe("yes or no");
});

test("places of a scale are told with what they mean or count as", () => {
  expect(meaningsOf({ method, scale: { kind: "categorical", categories: [{ name: "good", value: 1 }, { name: "other" }] } })).toEqual([{ place: "good (1)", means: "" }]);
  expect(meaningsOf({ method, scale: { kind: "numeric", lowest: 1, highest: 5, levels: [{ value: 5, means: "solves it" }] } })).toEqual([{ place: "5", means: "solves it" }]);
});

test("a jury needs what any of its jurors needs, each once", () => {
  const juror = (names: string[]): JudgeDefinition => ({ method, inputs: names.map((name) => ({ name })) });
  expect(inputsOf({ method: { kind: "jury", jurors: [juror(["question", "answer"]), juror(["answer", "context"])] } }).map(({ name }) => name)).toEqual(["question", "answer", "context"]);
});

test("settings that are null have to be said", () => {
  expect(unsaidOf({ method, settings: { application: null, style: "short" } })).toEqual(["application"]);
});

test("a list has one text a line, and what is left empty is not sent", () => {
  const inputs = [{ name: "question" }, { name: "passages", list: true }, { name: "context", required: false }];
  expect(valuesOf(inputs, { question: "How much?", passages: "one\n\ntwo\n", context: "  " })).toEqual({ question: "How much?", passages: ["one", "two"] });
});

test("lines say what words of people mean; a line that does not is wrong", () => {
  expect(meansOf("1 = A\n\n2=B\n")).toEqual({ 1: "A", 2: "B" });
  expect(meansOf("")).toEqual({});
  expect(meansOf("1 A")).toBeNull();
  expect(meansOf("1 =")).toBeNull();
});

test("a card's numbers stand in one table, those that there are", () => {
  expect(agreementOf(CARD).map(({ key }) => key)).toEqual(["all", "told", "base", "gain", "kappa", "alpha"]);
  expect(agreementOf({ ...CARD, spearman: stat(0.5), people: { alpha: stat(0.7), pairs: [], judge: [] } }).map(({ key }) => key)).toEqual(["all", "told", "base", "gain", "kappa", "alpha", "people", "spearman"]);
  expect(agreementOf(CARD).filter(({ weak }) => weak).map(({ title }) => title)).toEqual(["Base rate: who always says “yes”"]);
  expect(biasesOf(CARD)).toEqual([]);
  expect(effortOf(CARD).map(({ key }) => key)).toEqual(["p50", "p95", "calls", "input", "output"]);
});

test("the headline has both numbers with their intervals", () => {
  expect(headlineOf(CARD)).toBe("right 80.0 % [71.0 %, 87.0 %] · κ 0.60 [0.45, 0.75]");
});

test("what is no score is never a number", () => {
  expect(outcomeTold({ outcome: "score", value: 4, label: "4" })).toBe("4");
  expect(outcomeTold({ outcome: "score", value: 1, label: "yes" })).toBe("yes (1)");
  expect(outcomeTold({ outcome: "score", label: "other" })).toBe("other");
  expect(outcomeTold({ outcome: "score", value: 0.123456 })).toBe("0.1235");
  expect(outcomeTold({ outcome: "cannot_tell", reason: "there is no context" })).toBe("cannot tell: there is no context");
  expect(outcomeTold({ outcome: "invalid", why: "two verdicts" })).toBe("no verdict: two verdicts");
});
