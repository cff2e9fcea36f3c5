import { expect, test } from "vitest";
import { amount, budgetOf, drawn, filterOfGroup, furthest, type GroupStats, lineText, nearest, type Point, residual, speedCells } from "./statistics";

const percentiles = (p50: number | null) => ({ calls: 1, p50, p90: p50, p95: p50, p99: p50 });
const group: GroupStats = {
  group: "m", requests: 200, errors: 5, error_rate: 0.025, input_tokens: 1000, output_tokens: 500, cached_tokens: 250, cached_share: 0.25, cost_picodollars: 2_500_000_000_000,
  latency_ms: percentiles(1000), ttft_ms: percentiles(100), tpot_ms: percentiles(null), output_tokens_per_s: 42,
};

const fit = { intercept_ms: 100, slope_ms_per_token: 2, intercept_se: 1, slope_se: 0.1, r2: 0.9, residual_sd_ms: 5 };
const point = (output_tokens: number, latency_ms: number): Point => ({ trace_id: `t${output_tokens}`, span_id: "s", start_time: "2026-01-05T12:00:00Z", output_tokens, latency_ms });

test("each number leads to the calls behind it", () => {
  const cells = speedCells(group);
  expect(cells.slice(0, 3)).toEqual([["200", {}], ["5 · 2.50 %", { status: "error" }], ["1.00 s", { min_latency_ms: "990" }]]);
  expect(cells[6]).toEqual(["100 ms", { min_ttft_ms: "99" }]);
  expect(cells[8]).toEqual(["–", {}]);
  expect(cells.slice(11)).toEqual([["25.0 %", {}], ["$2.50", {}]]);
  expect([filterOfGroup("provider", "openai"), filterOfGroup("release", "1.2"), filterOfGroup("model", "m")]).toEqual([
    { provider: "openai" }, { group: { by: "release", one: "1.2" } }, { group: { by: "model", one: "m" } },
  ]);
});

test("a line is told in words, and so is why there is none", () => {
  expect(lineText({ fit, no_fit: null })).toBe("latency = 100 ms + 2.0 ms × tokens");
  expect(lineText({ fit: { ...fit, intercept_ms: -5 }, no_fit: null })).toBe("latency = −5.0 ms + 2.0 ms × tokens");
  expect(lineText({ fit: null, no_fit: "too_few" })).toMatch(/fewer than three/);
  expect(lineText({ fit: null, no_fit: "same_length" })).toMatch(/as long/);
});

test("points are drawn in the order of their lengths, with the line at each", () => {
  const points = [point(30, 150), point(10, 125), point(20, 160)];
  const { tokens, latency, line, residuals } = drawn({ fit, points });
  expect({ tokens, latency, line, residuals }).toEqual({ tokens: [10, 20, 30], latency: [125, 160, 150], line: [120, 140, 160], residuals: [5, 20, -10] });
  expect(drawn({ fit: null, points }).line).toBeNull();
  expect(furthest({ fit, points }, 1)).toEqual([{ point: points[2], beyond: 20 }]);
  expect(residual(fit, point(0, 100))).toBe(0);
});

test("a click takes the nearest point within reach", () => {
  const places = [[0, 0], [10, 10], [12, 10]] as const;
  expect([nearest(places, [11.5, 10], 5), nearest(places, [9, 9], 5), nearest(places, [100, 100], 5)]).toEqual([2, 1, null]);
});

test("a budget is sent in whole picodollars or tokens, or refused before", () => {
  const typed = { period: "month", unit: "money", limit: "12.5", by: "", value: "" };
  expect(budgetOf(typed)).toEqual({ period: "month", limit_picodollars: 12_500_000_000_000 });
  expect(budgetOf({ ...typed, unit: "tokens", limit: "1000", by: "user", value: " ada " })).toEqual({ period: "month", limit_tokens: 1000, by: "user", value: "ada" });
  for (const wrong of [{ limit: "" }, { limit: "0" }, { limit: "x" }, { by: "user" }, { unit: "tokens", limit: "1.5" }]) expect(budgetOf({ ...typed, ...wrong })).toBeTypeOf("string");
  expect([amount({ limit_picodollars: 1 }, 2e12), amount({ limit_picodollars: null }, 1500)]).toEqual(["$2.00", "1,500 tokens"]);
});
