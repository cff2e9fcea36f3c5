import { expect, test } from "vitest";
import { type Ask, askTold, filterOf, isFiltered, leadersOf, licencesOf, type Model, parametersTold, placesTold, promptTold, type Report, scoreTold, tasksOf, valueTold } from "./leaderboards";

const model = (name: string, more: Partial<Model> = {}): Model => ({
  model: name, on_front: false, entries: [], tasks: [], documents: 0, failed: 0, tokens: 0, cached_tokens: 0, seconds: 0, facts: { is_local: true, is_available: true }, ...more,
});
const report = (models: Model[]): Report => ({ style: "normalised", documents: 1, sentence: "", models });
const task = (entry: string, name: string) => ({ entry, task: name, metric: "acc", chance: 0.25, documents: 1, failed: 0, all: [], notes: [] });

test("places are ranges where more than one is possible", () => {
  expect([placesTold({ rank_best: 1, rank_worst: 3 }), placesTold({ rank_best: 2, rank_worst: 2 }), placesTold({})]).toEqual(["1–3", "2", null]);
});

test("all that may be the first are ahead", () => {
  expect(leadersOf(report([model("a", { rank_best: 1, rank_worst: 2 }), model("b", { rank_best: 1, rank_worst: 2 }), model("c", { rank_best: 3, rank_worst: 3 }), model("d")])).map((one) => one.model)).toEqual(["a", "b"]);
});

test("columns are the tasks that any model has, each once; one task in two entries has two", () => {
  const all = tasksOf(report([model("a", { tasks: [task("bbh", "bbh_navigate")] }), model("b", { tasks: [task("bbh", "bbh_navigate"), task("gsm8k", "gsm8k"), task("again", "gsm8k")] })]));
  expect(all.map(({ key }) => key)).toEqual(["bbh bbh_navigate", "gsm8k gsm8k", "again gsm8k"]);
});

test("values are told with their standard errors, shares in percent", () => {
  expect([valueTold({ value: 0.4123, stderr: 0.0137 }), valueTold({ value: 0.5 }), valueTold({ value: 12.3456, stderr: 1 }), valueTold({ value: null })]).toEqual(["41.2 ± 1.4", "50.0", "12.35 ± 1.00", "–"]);
  expect([scoreTold("normalised", 23.456), scoreTold("win_rate", 0.5)]).toEqual(["23.5", "50.0 %"]);
});

test("filters stand in the address; what is no number above zero is none", () => {
  const filter = filterOf(new URLSearchParams("size=1.5&speed=30&context=-3&usd=x&licence=MIT"));
  expect(filter).toEqual({ max_size_bytes: 1_500_000_000, min_tokens_per_second: 30, min_context: undefined, max_output_usd_per_million: undefined, licence: "MIT" });
  expect([isFiltered(filter), isFiltered(filterOf(new URLSearchParams()))]).toEqual([true, false]);
});

test("licences and sizes are told", () => {
  const facts = (licence: string) => ({ facts: { is_local: true, is_available: true, licence } });
  expect(licencesOf(report([model("a", facts("MIT")), model("b", facts("Apache-2.0")), model("c", facts("MIT")), model("d")]))).toEqual(["Apache-2.0", "MIT"]);
  expect([parametersTold(134_515_008), parametersTold(1_235_000_000), parametersTold(null)]).toEqual(["135M", "1.2B", "–"]);
});

test("prompts are read as texts or as messages", () => {
  expect(promptTold({ text: "Q: 1 + 1?" })).toBe("Q: 1 + 1?");
  expect(promptTold({ chat: { messages: [{ role: "system", content: "Add." }, { role: "user", content: "1 + 1?" }] } })).toBe("[system]\nAdd.\n\n[user]\n1 + 1?");
});

test("what is asked is told in a sentence", () => {
  const choices: Ask = { kind: "choices", context: { text: "Sky is" }, continuations: [" blue", " red"] };
  expect(askTold(choices)).toEqual({ prompt: "Sky is", asked: "How likely is it that it goes on with each of these 2?" });
  const text: Ask = { kind: "generate", prompt: { text: "Q" }, generation: { until: ["\n\n"], max_tokens: 32, temperature: 0 }, repeats: 1 };
  expect(askTold(text).asked).toBe('What comes next, until "\\n\\n", 32 tokens at most, at temperature 0?');
});
