import { expect, test } from "vitest";
import { binsOf } from "./histogram";

test("an edge belongs to the bin that begins there, but for the last one", () => {
  const bins = binsOf({ edges: [0, 0.5, 1], counts: [1, 3] });
  expect(bins.map(({ low, high, count }) => [low, high, count])).toEqual([[0, 0.5, 1], [0.5, 1, 3]]);
  expect(bins[0]!.most).toBeLessThan(0.5);
  expect(bins[0]!.most).toBeGreaterThan(0.499);
  expect(bins[1]!.most).toBe(1);
});

test("the highest bar is as high as there is room, an empty one is not seen, and a single item among thousands is", () => {
  expect(binsOf({ edges: [0, 1, 2, 3], counts: [0, 1, 5000] }).map(({ height }) => height)).toEqual([0, 0.04, 1]);
});

test("counts without edges are no bins", () => {
  expect(binsOf({ edges: [0, 1], counts: [2, 3] })).toHaveLength(1);
  expect(binsOf({ edges: [], counts: [] })).toEqual([]);
});
