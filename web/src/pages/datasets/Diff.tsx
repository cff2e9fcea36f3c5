/** What a version differs in from another, row by row. */

import { Badge, Group, SegmentedControl, Select, Table, Text } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useCallback, useMemo } from "react";
import { useSearchParams } from "react-router";
import type { Schemas } from "../../api/client";
import { useChangeAddress } from "../../lib/addressBar";
import { count } from "../../lib/format";
import { Empty, Failed, Waiting } from "../../parts/states";
import { type Column, VirtualTable } from "../../parts/VirtualTable";
import { type Detail, diffQuery, type Difference, type Version } from "./ask";
import { line, valueOf, widthOf } from "./values";

const COLOURS: Record<string, string> = { added: "teal", removed: "red", changed: "yellow" };
const CHANGES = ["all", "added", "removed", "changed"];

export function Diff({ dataset, version }: { dataset: Detail; version: Version }) {
  const [params] = useSearchParams();
  const set = useChangeAddress();
  const others = dataset.versions.map((known) => String(known.version)).filter((number) => number !== String(version.version));
  const from = params.get("from") ?? others.find((number) => Number(number) < version.version) ?? others[0] ?? "1";
  const change = CHANGES.slice(1).find((known) => known === params.get("change")) ?? null;
  const asked = useInfiniteQuery(diffQuery(dataset.name, from, String(version.version), change));
  const rows = useMemo(() => asked.data?.pages.flatMap((page) => page.data) ?? [], [asked.data]);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = asked;
  const more = useCallback(() => void (hasNextPage && !isFetchingNextPage && fetchNextPage()), [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const told = asked.data?.pages[0];
  const write = (name: string, value: string | null) => set((next) => { if (value === null) next.delete(name); else next.set(name, value); return next; }, true);
  return (
    <>
      <Group gap="sm">
        <Select aria-label="Compared with" w={170} data={others.map((number) => ({ value: number, label: `with version ${number}` }))} value={from} onChange={(value) => value !== null && write("from", value)} allowDeselect={false} />
        <SegmentedControl aria-label="Which rows" data={CHANGES} value={change ?? "all"} onChange={(value) => write("change", value === "all" ? null : value)} />
        {told && <Text size="sm" role="status">{count(told.added)} added · {count(told.removed)} removed · {count(told.changed)} changed · {count(told.same)} the same, by {told.by ?? "all values"}</Text>}
      </Group>
      {told && told.columns.length > 0 && <ColumnChanges changes={told.columns} />}
      {asked.isPending && <Waiting what="Comparing the versions" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {told && rows.length === 0 && <Empty title="No such difference">The rows of both versions are the same{change === null ? "" : " in this respect"}.</Empty>}
      {rows.length > 0 && (
        <div className="fill-rest">
          <VirtualTable label="Differences" columns={columnsOf(version, told?.columns ?? [])} rows={rows} rowKey={keyOf} onNearEnd={more} foot={<div className="vt-foot">{hasNextPage ? "Loading more…" : `${count(rows.length)} rows`}</div>} />
        </div>
      )}
    </>
  );
}

const keyOf = (row: Difference) => `${row.change} ${row.before?.index ?? "-"} ${row.after?.index ?? "-"}`;

function columnsOf(version: Version, changes: readonly Schemas["DatasetColumnChange"][]): Column<Difference>[] {
  const gone = changes.flatMap((change) => (change.after == null && change.before != null ? [change.before] : []));
  return [
    { key: "change", title: "Change", width: "96px", cell: (row) => <Badge variant="light" color={COLOURS[row.change] ?? "gray"} autoContrast>{row.change}</Badge> },
    ...[...version.columns, ...gone].map((column): Column<Difference> => ({ key: column.name, title: column.name, width: widthOf(column.type), cell: (row) => <Side row={row} column={column.name} /> })),
  ];
}

/** The value; of one that changed, what it was and what it is. */
function Side({ row, column }: { row: Difference; column: string }) {
  const [before, after] = [line(valueOf(row.before, column)), line(valueOf(row.after, column))];
  if (row.change === "removed") return <del className="dataset-before">{before}</del>;
  if (!row.columns.includes(column)) return <span title={after}>{after}</span>;
  return <span title={`${before} → ${after}`}><del className="dataset-before">{before}</del> <ins className="dataset-after">{after}</ins></span>;
}

function ColumnChanges({ changes }: { changes: readonly Schemas["DatasetColumnChange"][] }) {
  const told = (column: Schemas["DatasetColumn"] | null | undefined) => (column == null ? "none" : `${column.type}, ${column.role}`);
  return (
    <Table w="auto" aria-label="Columns that differ">
      <Table.Thead><Table.Tr>{["Column", "Was", "Is"].map((name) => <Table.Th key={name} scope="col">{name}</Table.Th>)}</Table.Tr></Table.Thead>
      <Table.Tbody>{changes.map((change) => <Table.Tr key={change.name}><Table.Td>{change.name}</Table.Td><Table.Td>{told(change.before)}</Table.Td><Table.Td>{told(change.after)}</Table.Td></Table.Tr>)}</Table.Tbody>
    </Table>
  );
}
