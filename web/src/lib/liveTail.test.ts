import { expect, test } from "vitest";
import type { Schemas } from "../api/client";
import { LIVE_ROWS, type TraceRow, withSpan } from "./liveTail";

function span(trace_id: string, start_s: number, latency_ms: number, more: Partial<Schemas["Span"]> = {}): Schemas["Span"] {
  const start = Date.UTC(2026, 0, 1) + start_s * 1000;
  const times = { start_time: new Date(start).toISOString(), end_time: new Date(start + latency_ms).toISOString(), latency_ms };
  return { trace_id, span_id: `${trace_id}${start_s}`, kind: "llm", name: "chat", status: "ok", tags: [], input_cut: false, output_cut: false, attributes_cut: false, attributes: {}, ...times, ...more };
}

test("a trace's spans become one row, named by the earliest", () => {
  const child = span("t", 2, 1000, { input_tokens: 5, cost_picodollars: 7, model: "m", ttft_ms: 7, status: "error" });
  const root = span("t", 1, 3000, { kind: "chain", name: "answer", input_tokens: 1 });
  const [row, ...rest] = withSpan(withSpan([], child), root);
  expect(rest).toEqual([]);
  expect(row).toMatchObject({ name: "answer", kind: "chain", model: "m", ttft_ms: 7, latency_ms: 3000, span_count: 2, error_count: 1, input_tokens: 6, cost_picodollars: 7 });
});

test("new traces stand first, and only so many are kept", () => {
  let rows: TraceRow[] = [];
  for (let i = 0; i < LIVE_ROWS + 3; i += 1) rows = withSpan(rows, span(`t${i}`, i, 1));
  expect([rows.length, rows[0]!.trace_id]).toEqual([LIVE_ROWS, `t${LIVE_ROWS + 2}`]);
});
