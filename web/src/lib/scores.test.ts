import { expect, test } from "vitest";
import { meansOf, type Scored, scoresOf, thumbOf, valueText } from "./scores";

const score = (part: Partial<Scored>): Scored => ({ id: "1", trace_id: "t", name: "helpful", value: 1, source: "human", ...part });

test("a span has the scores about it and those about its trace", () => {
  const scores = [score({ id: "a", span_id: "s" }), score({ id: "b" }), score({ id: "c", span_id: "other" }), score({ id: "d", trace_id: "u", span_id: "s" })];
  expect(scoresOf(scores, "t", "s").map(({ id }) => id)).toEqual(["a", "b"]);
});

test("the thumb is a person's score of just this span", () => {
  const scores = [score({ id: "a" }), score({ id: "b", span_id: "s", source: "model" }), score({ id: "c", span_id: "s", name: "tone" }), score({ id: "d", span_id: "s" })];
  expect(thumbOf(scores, "s")?.id).toBe("d");
  expect(thumbOf(scores, "x")).toBeUndefined();
});

test("numbers have a mean for each name and words have none", () => {
  const scores = [score({ value: 1 }), score({ value: 0 }), score({ name: "accuracy", value: 0.25 }), score({ name: "tone", value: "kind" })];
  expect(meansOf(scores)).toEqual([{ name: "accuracy", mean: 0.25, count: 1 }, { name: "helpful", mean: 0.5, count: 2 }]);
});

test("values are told in few characters", () => {
  expect([1, 0.123456, "kind"].map(valueText)).toEqual(["1", "0.123", "kind"]);
});
