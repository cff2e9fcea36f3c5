import { expect, test } from "vitest";
import { rangeBackTo, rangeOf } from "./timeRange";

const NOW = Date.UTC(2026, 0, 31, 12);

test("a range reaches back to what it is to show, a day at least", () => {
  const hours = (ago: number) => rangeBackTo(NOW - ago * 3_600_000, NOW);
  expect([hours(1), hours(24), hours(25), hours(24 * 29), hours(24 * 90), hours(24 * 5000)]).toEqual(["24h", "24h", "7d", "30d", "90d", "365d"]);
});

test("a wrong range counts as the last day, and times that are in order as themselves", () => {
  expect(rangeOf(new URLSearchParams("range=soon"), NOW)).toEqual({ key: "24h", from: new Date(NOW - 86_400_000), to: new Date(NOW) });
  expect(rangeOf(new URLSearchParams("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z"), NOW).key).toBe("24h");
  const told = rangeOf(new URLSearchParams("from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z"), NOW);
  expect([told.key, told.from.getTime(), told.to.getTime()]).toEqual([null, Date.UTC(2026, 0, 1), Date.UTC(2026, 0, 2)]);
});
