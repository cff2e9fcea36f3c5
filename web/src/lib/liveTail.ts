/** Rows of traces from spans as they finish. */

import type { Schemas } from "../api/client";

export type TraceRow = Schemas["TraceSummary"];
type Span = Schemas["Span"];

/** So many live rows are kept; older ones are found by a refresh. */
export const LIVE_ROWS = 500;

/** The rows with a span put in: a new trace stands first, a known one grows where it stands. */
export function withSpan(rows: readonly TraceRow[], span: Span): TraceRow[] {
  const at = rows.findIndex((row) => row.trace_id === span.trace_id);
  if (at === -1) return [rowOf(span), ...rows].slice(0, LIVE_ROWS);
  return rows.with(at, grown(rows[at]!, span));
}

function rowOf(span: Span): TraceRow {
  return {
    trace_id: span.trace_id, span_id: span.span_id, kind: span.kind, name: span.name, status: span.status, status_message: span.status_message,
    session_id: span.session_id, user_id: span.user_id, provider: span.provider, model_requested: span.model_requested, model: span.model,
    start_time: span.start_time, end_time: span.end_time, latency_ms: span.latency_ms, ttft_ms: span.ttft_ms, span_count: 1, error_count: span.status === "error" ? 1 : 0,
    input_tokens: span.input_tokens ?? 0, output_tokens: span.output_tokens ?? 0, cached_tokens: span.cached_tokens ?? 0, reasoning_tokens: span.reasoning_tokens ?? 0,
    cost_picodollars: span.cost_picodollars ?? 0,
  };
}

/** The call that a trace is told by: that of its earliest span, or else the first that is known of the others. */
function callOf(...rows: TraceRow[]): Pick<TraceRow, "provider" | "model_requested" | "model" | "ttft_ms"> {
  const { provider, model_requested, model, ttft_ms } = rows.find((row) => (row.model ?? row.model_requested) != null) ?? rows[0]!;
  return { provider, model_requested, model, ttft_ms };
}

/** A trace is named by its earliest span, as in the list. */
function grown(row: TraceRow, span: Span): TraceRow {
  const one = rowOf(span);
  const head = Date.parse(one.start_time) < Date.parse(row.start_time) ? one : row;
  const start = Math.min(Date.parse(row.start_time), Date.parse(one.start_time));
  const end = Math.max(Date.parse(row.end_time), Date.parse(one.end_time));
  return {
    ...head,
    ...callOf(head, row, one),
    end_time: Date.parse(one.end_time) > Date.parse(row.end_time) ? one.end_time : row.end_time,
    latency_ms: Math.max(end - start, row.latency_ms, one.latency_ms),
    span_count: row.span_count + 1, error_count: row.error_count + one.error_count,
    input_tokens: row.input_tokens + one.input_tokens, output_tokens: row.output_tokens + one.output_tokens,
    cached_tokens: row.cached_tokens + one.cached_tokens, reasoning_tokens: row.reasoning_tokens + one.reasoning_tokens,
    cost_picodollars: row.cost_picodollars + one.cost_picodollars,
  };
}
