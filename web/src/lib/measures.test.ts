import { expect, test } from "vitest";
import { filterOfSeries, type Measures, nameOf, type Series, tilesOf } from "./measures";

const total: Measures = {
  requests: 200, errors: 5, input_tokens: 1000, output_tokens: 500, cached_tokens: 0, cost_picodollars: 2_500_000_000_000,
  latency_p50_ms: 100, latency_p95_ms: 1000, latency_p99_ms: 2000, ttft_p50_ms: null, ttft_p95_ms: null, output_tokens_per_s: 42,
};

test("each number says itself and leads to the traces behind it", () => {
  const tiles = new Map(tilesOf(total).map((tile) => [tile.title, tile]));
  expect(tiles.get("Errors")).toMatchObject({ value: "5", note: "2.50 %", failed: true, narrowed: { status: "error" } });
  expect(tiles.get("Cost")).toMatchObject({ value: "$2.50" });
  expect(tiles.get("p95")).toMatchObject({ value: "1.00 s", narrowed: { min_latency_ms: "990" } });
  expect(tiles.get("First token p50")).toMatchObject({ value: "–", narrowed: {} });
});

test("groups have names", () => {
  const named = (group: string | null, others = 0) => nameOf({ group } as Series, others);
  expect([named("gpt"), named(""), named(null), named(null, 7)]).toEqual(["gpt", "(not told)", "all", "7 others"]);
});

test("every series leads to the traces that it counts", () => {
  const series = [{ group: "gpt" }, { group: "" }, { group: null }];
  expect(series.map((one) => filterOfSeries("model", one, series))).toEqual([
    { group: { by: "model", one: "gpt" } }, { group: { by: "model", one: "" } }, { group: { by: "model", except: ["gpt", ""] } },
  ]);
  expect([filterOfSeries("prompt", { group: "p" }, series), filterOfSeries("prompt", { group: " p" }, series)]).toEqual([{ prompt: "p" }, { group: { by: "prompt", one: " p" } }]);
  // The errors of those that are ok are none, and not all errors.
  expect(filterOfSeries("status", { group: "ok" }, series)).toEqual({ group: { by: "status", one: "ok" } });
  expect(filterOfSeries("user", { group: null }, [{ group: null }])).toEqual({});
});
