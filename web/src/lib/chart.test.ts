import { expect, test } from "vitest";
import { axisWidthPx, chosenTime, isFlat, lonely, marksOf } from "./chart";

test("a value between gaps is drawn as a point", () => {
  expect(lonely([null, 3, null, 4, 5, null, 0])).toEqual([1, 6]);
  expect(lonely([7])).toEqual([0]);
  expect(lonely([])).toEqual([]);
});

test("an axis of nothing but zeros tells only zero", () => {
  expect(isFlat([[0, null], [undefined, 0]])).toBe(true);
  expect(isFlat([[0, 0], [0, 1]])).toBe(false);
  expect(marksOf([0, 0.5, 1], (value) => `$${value}`, true)).toEqual(["$0", "", ""]);
});

test("marks that read the same stand once", () => {
  expect(marksOf([1000, 1001, 1100], (value) => `${(value / 1000).toFixed(1)}k`, false)).toEqual(["1.0k", "", "1.1k"]);
});

test("an axis has room for its longest mark", () => {
  expect(axisWidthPx([])).toBe(axisWidthPx(["0"]));
  expect(axisWidthPx(["$0", "$0.000075"])).toBeGreaterThan(9 * 6.5);
});

test("a selection includes the whole of its last bucket", () => {
  expect(chosenTime([0, 60, 120], 60, 120)).toEqual([new Date(60_000), new Date(180_000)]);
  expect(chosenTime([60], 60, 90)).toEqual([new Date(60_000), new Date(90_000)]);
});
