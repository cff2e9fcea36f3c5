import { expect, test } from "vitest";
import { mean, ofScore, ofShare, ofUsd } from "./mean";

test("a mean says its interval when it has one", () => {
  expect(mean({ mean: 0.25, low: 0.0456, high: 0.6994, n: 4 }, ofShare)).toBe("25.0 % (4.56 % to 69.9 %)");
  expect(mean({ mean: 0.002, low: null, high: null, n: 1 }, ofUsd)).toBe("$0.002");
  expect(mean({ mean: 4.5, low: 4, high: 5, n: 9 }, ofScore)).toBe("4.50 (4.00 to 5.00)");
  expect(mean(null, ofShare)).toBe("–");
});
