/** A list of sessions or of users: the same numbers, told by one or the other. */

import { ActionIcon, Group, Title, Tooltip } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { Link, useSearchParams } from "react-router";
import type { Schemas } from "../api/client";
import { ago, count, money, time } from "../lib/format";
import type { Filters } from "../lib/traceFilter";
import type { ActivityNoun } from "./activity";
import { FilterPill } from "./FilterPill";
import { Empty, Failed, Waiting } from "./states";
import { useActivity } from "./useActivity";
import { type Column, VirtualTable } from "./VirtualTable";

type Activity = Pick<Schemas["Session"], "first_time" | "last_time" | "calls" | "errors" | "input_tokens" | "output_tokens" | "cost_picodollars">;

interface Props<T extends Activity> {
  noun: ActivityNoun;
  title: string;
  columns: readonly Column<T>[];
  rowKey: (row: T) => string;
  open: (row: T) => void;
  empty: ReactNode;
}

export function ActivityPage<T extends Activity>({ noun, title, columns, rowKey, open, empty }: Props<T>) {
  const [params, setParams] = useSearchParams();
  const { asked, rows, more, again } = useActivity<T>(noun, params);
  const [selected, select] = useState<string | null>(null);
  const user = params.get("user");
  const everybody = () => setParams((old) => { const next = new URLSearchParams(old); next.delete("user"); return next; });
  return (
    <div className="fill">
      <Group gap={6}>
        <Title order={1} mr={4}>{title}</Title>
        {user !== null && <FilterPill text={`User: ${user}`} away="Of everybody" remove={everybody} />}
        <Tooltip label="Ask again"><ActionIcon ml="auto" variant="default" size={30} aria-label="Ask again" loading={asked.isRefetching} onClick={again}>↻</ActionIcon></Tooltip>
      </Group>
      {asked.isError && <Failed error={asked.error} retry={again} />}
      {asked.isPending && <Waiting what={`Loading ${noun}`} />}
      {asked.isSuccess && rows.length === 0 && <Empty title={`No ${noun} in this time`}>{empty}</Empty>}
      {rows.length > 0 && (
        <div className="fill-rest">
          <VirtualTable label={title} columns={columns} rows={rows} rowKey={rowKey} selected={selected} onSelect={(row) => select(rowKey(row))} onOpen={open} onNearEnd={more} />
        </div>
      )}
    </div>
  );
}

/** The columns that both lists have: when, and how much. Each number leads to the traces behind it. */
export function activityColumns<T extends Activity>(traces: (row: T, narrowed?: Filters) => string): { times: Column<T>[]; numbers: Column<T>[] } {
  const number = (key: string, title: string, width: string, value: (row: T) => string, narrowed?: Filters): Column<T> =>
    ({ key, title, width, numeric: true, cell: (row) => <Link to={traces(row, narrowed)} className="row-link">{value(row)}</Link> });
  return {
    times: [
      { key: "last", title: "Last", width: "96px", cell: (row) => <span title={time(row.last_time)}>{ago(row.last_time)}</span> },
      { key: "first", title: "First", width: "148px", cell: (row) => time(row.first_time) },
    ],
    numbers: [
      number("calls", "Calls", "66px", (row) => count(row.calls), { calls: "true" }),
      { key: "errors", title: "Failed spans", width: "96px", numeric: true, cell: (row) => row.errors > 0 && <Link to={traces(row, { status: "error" })} className="row-link"><span className="failed">{count(row.errors)}</span></Link> },
      number("input", "Input", "72px", (row) => count(row.input_tokens)),
      number("output", "Output", "72px", (row) => count(row.output_tokens)),
      number("cost", "Cost", "84px", (row) => money(row.cost_picodollars)),
    ],
  };
}
