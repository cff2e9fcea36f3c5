/** The columns that the list of traces can have. */

import { Link } from "react-router";
import { count, duration, money, time } from "../../lib/format";
import type { TraceRow } from "../../lib/liveTail";
import type { Column } from "../../parts/VirtualTable";

const numeric = true;

export const COLUMNS: readonly Column<TraceRow>[] = [
  { key: "time", title: "Began", width: "148px", cell: (row) => time(row.start_time) },
  { key: "name", title: "Operation", width: "minmax(140px, 1.4fr)", cell: (row) => <Name row={row} /> },
  { key: "kind", title: "Kind", width: "88px", cell: (row) => row.kind },
  { key: "model", title: "Model", width: "minmax(120px, 1.2fr)", cell: (row) => row.model ?? row.model_requested ?? "" },
  { key: "requested", title: "Asked for", width: "minmax(110px, 1fr)", cell: (row) => row.model_requested ?? "" },
  { key: "provider", title: "Provider", width: "minmax(80px, 0.6fr)", cell: (row) => row.provider ?? "" },
  { key: "latency", title: "Took", width: "72px", numeric, cell: (row) => duration(row.latency_ms) },
  { key: "ttft", title: "First token", width: "88px", numeric, cell: (row) => (row.ttft_ms == null ? "" : duration(row.ttft_ms)) },
  { key: "input", title: "Input", width: "58px", numeric, cell: (row) => count(row.input_tokens) },
  { key: "output", title: "Output", width: "58px", numeric, cell: (row) => count(row.output_tokens) },
  { key: "cached", title: "Cached", width: "58px", numeric, cell: (row) => count(row.cached_tokens) },
  { key: "reasoning", title: "Reasoning", width: "72px", numeric, cell: (row) => count(row.reasoning_tokens) },
  { key: "cost", title: "Cost", width: "78px", numeric, cell: (row) => money(row.cost_picodollars) },
  { key: "spans", title: "Spans", width: "56px", numeric, cell: (row) => count(row.span_count) },
  { key: "errors", title: "Failed", width: "52px", numeric, cell: (row) => (row.error_count > 0 ? <span className="failed">{count(row.error_count)}</span> : "") },
  { key: "user", title: "User", width: "minmax(80px, 0.7fr)", cell: (row) => row.user_id ?? "" },
  { key: "session", title: "Session", width: "minmax(90px, 0.8fr)", cell: (row) => row.session_id ?? "" },
  { key: "message", title: "Message", width: "minmax(120px, 1.2fr)", cell: (row) => row.status_message ?? "" },
  { key: "id", title: "Trace id", width: "270px", cell: (row) => <span className="mono">{row.trace_id}</span> },
];

export const USUAL_COLUMNS: readonly string[] = ["time", "name", "model", "latency", "ttft", "input", "output", "cost", "spans", "user", "session"];

function Name({ row }: { row: TraceRow }) {
  return (
    <>
      <span className={`dot dot-${row.status}`} title={row.status} />
      <Link to={`/traces/${row.trace_id}`} className="row-link" tabIndex={-1} title="Open on a page of its own">{row.name}</Link>
      {row.status !== "ok" && <span className={row.status === "error" ? "failed" : undefined}> {row.status}</span>}
      {row.status === "ok" && row.error_count > 0 && <span className="failed"> {count(row.error_count)} failed within</span>}
    </>
  );
}

/** The chosen columns in the order of the table; unknown names are left out, and none at all means the usual ones. */
export function columnsOf(keys: readonly string[]): Column<TraceRow>[] {
  const chosen = COLUMNS.filter((column) => keys.includes(column.key));
  return chosen.length > 0 ? chosen : COLUMNS.filter((column) => USUAL_COLUMNS.includes(column.key));
}
