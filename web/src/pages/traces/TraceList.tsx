/** All traces, newest first: filters, chosen columns, a live tail, and the chosen trace beside the list. */

import { ActionIcon, Alert, Button, Group, Switch, Text, Title, Tooltip } from "@mantine/core";
import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useDeferredValue, useEffect, useMemo } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import { type ChangeAddress, useChangeAddress } from "../../lib/addressBar";
import { count } from "../../lib/format";
import type { TraceRow } from "../../lib/liveTail";
import { isTexts, useStored } from "../../lib/stored";
import { type Filters, filtersOf, serverQuery, withFilters } from "../../lib/traceFilter";
import { Empty, Failed, Waiting } from "../../parts/states";
import { TraceView } from "../../parts/TraceView";
import { VirtualTable } from "../../parts/VirtualTable";
import { useSession } from "../../signin/session";
import { AddToDataset } from "./AddToDataset";
import { MOST_ROWS, tracesQuery } from "./ask";
import { ColumnMenu } from "./ColumnMenu";
import { columnsOf, USUAL_COLUMNS } from "./columns";
import { FilterBar } from "./Filters";
import { useLiveTail } from "./useLiveTail";
import { ViewMenu } from "./Views";

/** Pages of the list, each after the cursor of the one before. `again` asks for the first one anew. */
function useTraces(params: URLSearchParams) {
  const queries = useQueryClient();
  const query = tracesQuery(params);
  const asked = useInfiniteQuery(query);
  const again = () => {
    // The pages after the first would be asked for again, too, one after the other.
    queries.setQueryData(query.queryKey, (old) => old && { pages: old.pages.slice(0, 1), pageParams: old.pageParams.slice(0, 1) });
    void asked.refetch();
  };
  return { asked, again };
}

export function TraceList() {
  const [params] = useSearchParams();
  const { may } = useSession();
  const navigate = useNavigate();
  const set = useChangeAddress();
  const { asked, again } = useTraces(params);
  const live = params.get("live") === "1";
  const tail = useLiveTail(live ? tailQuery(params) : null);
  const rows = useMemo(() => together(tail.rows, asked.data?.pages.flatMap((page) => page.data) ?? []), [tail.rows, asked.data]);
  const [columns, chooseColumns] = useColumns(params, set);
  const selected = params.get("selected");
  const select = useCallback((id: string | null) => set((next) => withSelected(next, id), true), [set]);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = asked;
  const more = useCallback(() => void (hasNextPage && !isFetchingNextPage && fetchNextPage()), [hasNextPage, isFetchingNextPage, fetchNextPage]);
  // A page may be empty and yet not the last, where the newest trace has very many spans.
  const searching = rows.length === 0 && hasNextPage && !asked.isError;
  useEffect(() => {
    if (searching) more();
  }, [searching, more]);
  const change = useCallback((changes: Filters) => set((next) => withSelected(withFilters(next, changes), null)), [set]);
  return (
    <div className="fill" onKeyDown={(event) => event.key === "Escape" && selected !== null && select(null)}>
      <Group gap={6}>
        <Title order={1} mr={4}>Traces</Title>
        <FilterBar filters={filtersOf(params)} change={change} />
        <Group gap={6} ml="auto" wrap="nowrap">
          <Switch size="xs" label="Live" checked={live} onChange={() => set((next) => { if (live) next.delete("live"); else next.set("live", "1"); return next; })} />
          <Tooltip label="Ask again"><ActionIcon variant="default" size={30} aria-label="Ask again" loading={asked.isRefetching} onClick={again}>↻</ActionIcon></Tooltip>
          {may("write") && <AddToDataset />}
          <ViewMenu />
          <ColumnMenu chosen={columns} choose={chooseColumns} />
        </Group>
      </Group>
      {tail.error !== null && <Alert color="yellow" py={6} role="status"><Text size="sm">{tail.error instanceof Error ? tail.error.message : "The live feed broke off."}</Text></Alert>}
      {tail.missed > 0 && <Text size="xs" c="dimmed" role="status">{count(tail.missed)} spans came faster than they could be shown; they are recorded.</Text>}
      {asked.isError && <Failed error={asked.error} retry={again} />}
      {((asked.isPending && rows.length === 0) || searching) && <Waiting what="Loading traces" />}
      {!asked.isPending && !asked.isError && !searching && rows.length === 0 && <Nothing filtered={Object.keys(filtersOf(params)).length > 0} live={live} />}
      {rows.length > 0 && (
        <div className="fill-rest">
          <VirtualTable
            label="Traces" columns={columnsOf(columns)} rows={rows} rowKey={idOf} selected={selected} onSelect={(row) => select(row.trace_id)}
            onOpen={(row) => navigate(`/traces/${row.trace_id}`)} onNearEnd={more} foot={<Foot rows={rows.length} more={hasNextPage} fetching={isFetchingNextPage} />}
          />
          {selected !== null && <SidePanel id={selected} close={() => select(null)} />}
        </div>
      )}
    </div>
  );
}

const idOf = (row: TraceRow) => row.trace_id;

/** The tail takes the filters, not the range: what finishes now is what it is about. */
function tailQuery(params: URLSearchParams): string {
  const query = serverQuery(params);
  query.delete("from");
  query.delete("to");
  return query.toString();
}

/** Live rows stand first; a trace in both is shown as the one that knows more of its spans. */
function together(live: readonly TraceRow[], listed: readonly TraceRow[]): readonly TraceRow[] {
  const known = new Map(listed.map((row) => [row.trace_id, row]));
  // A trace may be listed twice while its spans are still coming in.
  if (live.length === 0) return [...known.values()];
  const first = live.map((row) => {
    const other = known.get(row.trace_id);
    return other !== undefined && other.span_count > row.span_count ? other : row;
  });
  const shown = new Set(first.map(idOf));
  return [...first, ...[...known.values()].filter((row) => !shown.has(row.trace_id))];
}

function withSelected(params: URLSearchParams, id: string | null): URLSearchParams {
  params.delete("span");
  if (id === null) params.delete("selected");
  else params.set("selected", id);
  return params;
}

/** The address tells the columns; without that, what this browser chose last. */
function useColumns(params: URLSearchParams, set: ChangeAddress): [readonly string[], (keys: string[]) => void] {
  const [stored, store] = useStored<string[]>("trace-columns", [...USUAL_COLUMNS], isTexts);
  const told = params.get("columns");
  const columns = useMemo(() => columnsOf(told === null ? stored : told.split(",")).map((column) => column.key), [told, stored]);
  const choose = (keys: string[]) => {
    store(keys);
    set((next) => { next.set("columns", keys.join(",")); return next; }, true);
  };
  return [columns, choose];
}

function Foot({ rows, more, fetching }: { rows: number; more: boolean; fetching: boolean }) {
  const text = fetching || more ? "Loading more…" : rows >= MOST_ROWS ? `The first ${count(rows)} traces. Narrow the time range or filter to see others.` : `${count(rows)} ${rows === 1 ? "trace" : "traces"}, no more in this range.`;
  return <div className="vt-foot" role="status">{text}</div>;
}

function SidePanel({ id, close }: { id: string; close: () => void }) {
  const [params] = useSearchParams();
  const set = useChangeAddress();
  // While `j` is held down only the last trace is asked for.
  const shown = useDeferredValue(id);
  const select = useCallback((span: string) => set((next) => { next.set("span", span); return next; }, true), [set]);
  const span = params.get("span");
  return (
    <aside className="side" aria-label="Trace" tabIndex={0}>
      <Group gap={6} mb={8} wrap="nowrap">
        <Button component={Link} to={`/traces/${id}${span === null ? "" : `?span=${span}`}`} variant="default" size="compact-xs">Open whole page</Button>
        <Text size="xs" c="dimmed" className="mono clip">{id}</Text>
        <ActionIcon variant="subtle" color="gray" size="sm" ml="auto" aria-label="Close the panel" onClick={close}>×</ActionIcon>
      </Group>
      <TraceView id={shown} span={span} select={select} compact />
    </aside>
  );
}

function Nothing({ filtered, live }: { filtered: boolean; live: boolean }) {
  if (live) return <Empty title="Following">Spans appear here as they finish. None came yet.</Empty>;
  if (filtered) return <Empty title="No trace matches" action={<Button component={Link} to="/traces?range=30d" variant="default">All traces of 30 days</Button>}>Widen the time range, or take a filter away.</Empty>;
  return (
    <Empty title="No traces in this time" action={<Button component={Link} to="/traces?range=365d" variant="default">Show a whole year</Button>}>
      Every call through Quarterdeck leaves a trace here. The <Link to="/">overview</Link> shows how to make the first one.
    </Empty>
  );
}
