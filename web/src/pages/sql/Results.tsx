/** What a statement answered: a table of any length, or a chart. */

import { Anchor, Button, Group, SegmentedControl, Text } from "@mantine/core";
import { lazy, Suspense, useMemo, useState } from "react";
import { Link } from "react-router";
import type { Schemas } from "../../api/client";
import { duration } from "../../lib/format";
import { cellText, isNumeric, type SqlColumn, type SqlRow, toChart, toCsv } from "../../lib/sql";
import { Empty, Waiting } from "../../parts/states";
import { type Column, VirtualTable } from "../../parts/VirtualTable";

const Chart = lazy(() => import("./Chart"));

interface Line {
  index: number;
  row: SqlRow;
}

export interface Answer {
  answer: Schemas["SqlAnswer"];
  tookMs: number;
}

export function Results({ answer: { answer, tookMs } }: { answer: Answer }) {
  const [as, setAs] = useState("table");
  const rows = answer.rows as SqlRow[];
  const chart = useMemo(() => toChart(answer.columns, rows), [answer.columns, rows]);
  const count = `${answer.row_count.toLocaleString("en-US")} ${answer.row_count === 1 ? "row" : "rows"}`;
  return (
    <>
      <Group justify="space-between">
        <Text size="sm" role="status">{count} in {duration(tookMs)}{answer.truncated ? "; there are more, ask for more rows or narrow the statement" : ""}</Text>
        <Group gap="xs">
          <SegmentedControl aria-label="Show as" value={as} onChange={setAs} data={[{ value: "table", label: "Table" }, { value: "chart", label: "Chart", disabled: chart === null }]} />
          <Button variant="default" onClick={() => save("answer.csv", "text/csv", toCsv(answer.columns, rows))}>CSV</Button>
          <Button variant="default" onClick={() => save("answer.json", "application/json", JSON.stringify(rows, null, 2))}>JSON</Button>
        </Group>
      </Group>
      {rows.length === 0 && <Empty title="No rows">The statement is right, and nothing matches it.</Empty>}
      {rows.length > 0 && as === "chart" && chart !== null && <Suspense fallback={<Waiting what="Loading the chart" />}><Chart data={chart} /></Suspense>}
      {rows.length > 0 && (as === "table" || chart === null) && <Rows columns={answer.columns} rows={rows} />}
    </>
  );
}

function Rows({ columns, rows }: { columns: readonly SqlColumn[]; rows: readonly SqlRow[] }) {
  const [selected, setSelected] = useState<string | null>(null);
  const lines = useMemo(() => rows.map((row, index): Line => ({ index, row })), [rows]);
  const shown = useMemo(() => columns.map((column, index): Column<Line> => ({
    key: String(index), title: column.name, width: widthOf(column, rows), numeric: isNumeric(column), cell: ({ row }) => <Cell column={column} value={row[column.name]} />,
  })), [columns, rows]);
  return (
    <div className="fill-rest">
      <VirtualTable label="The answer" columns={shown} rows={lines} rowKey={(line) => String(line.index)} selected={selected} onSelect={(line) => setSelected(String(line.index))} />
    </div>
  );
}

/** As wide as what its first rows hold, within reason. */
function widthOf(column: SqlColumn, rows: readonly SqlRow[]): string {
  const longest = rows.slice(0, 50).reduce((most, row) => Math.max(most, cellText(row[column.name]).length), column.name.length + 1);
  return `${Math.min(Math.max(longest, 6) * 8 + 8, 360)}px`;
}

function Cell({ column, value }: { column: SqlColumn; value: unknown }) {
  if (value === null || value === undefined) return <Text span size="xs" c="dimmed">null</Text>;
  const text = cellText(value);
  if (column.name === "trace_id") return <Anchor component={Link} to={`/traces/${encodeURIComponent(text)}`} size="sm" className="mono">{text}</Anchor>;
  if (column.name === "session_id") return <Anchor component={Link} to={`/sessions/${encodeURIComponent(text)}`} size="sm">{text}</Anchor>;
  return <span title={text.length > 40 ? text.slice(0, 2_000) : undefined}>{text}</span>;
}

function save(name: string, type: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = Object.assign(document.createElement("a"), { href: address, download: name });
  link.click();
  // The download has its own hold on the data once it has begun.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
