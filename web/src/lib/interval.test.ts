import { expect, test } from "vitest";
import { axisOf, placeOn, toldEstimate } from "./interval";

test("shares stand on 0 to 1, what may be below zero on −1 to 1, others on as much as they take", () => {
  expect(axisOf([{ value: 0.4, low: 0.3, high: 0.5 }], "share")).toEqual([0, 1]);
  expect(axisOf([{ value: 0.4, low: -0.1, high: 0.5 }], "share")).toEqual([-1, 1]);
  expect(axisOf([{ value: 0.4 }], "signed")).toEqual([-1, 1]);
  // 10 to 20 with six hundredths of 10 at both ends.
  expect(axisOf([{ value: 12, low: 10, high: 14 }, { value: 18, low: 17, high: 20 }])).toEqual([9.4, 20.6]);
  expect(axisOf([{ value: null }, {}])).toEqual([0, 1]);
});

test("an axis of one number has room around it", () => {
  const [from, to] = axisOf([{ value: 5 }]);
  expect([from < 5, to > 5]).toEqual([true, true]);
});

test("what lies beyond an axis stands at its end", () => {
  expect([placeOn([0, 10], 5), placeOn([0, 10], -3), placeOn([0, 10], 11)]).toEqual([0.5, 0, 1]);
  expect(placeOn([2, 2], 2)).toBe(0.5);
});

test("an estimate is told with its interval where there is one, and as nothing where there is no number", () => {
  const say = (value: number) => value.toFixed(1);
  expect(toldEstimate({ value: 1, low: 0.5, high: 1.5 }, say)).toBe("1.0 [0.5, 1.5]");
  expect(toldEstimate({ value: 1, low: 0.5 }, say)).toBe("1.0");
  expect(toldEstimate({ value: null, low: 0, high: 1 }, say)).toBe("–");
});
