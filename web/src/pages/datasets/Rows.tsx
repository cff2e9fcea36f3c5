/** The rows of a version. Only those in sight are asked for, however many there are. */

import { ActionIcon, Group, Text, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import { count } from "../../lib/format";
import { JsonTree } from "../../parts/JsonTree";
import { Empty, Failed, Waiting } from "../../parts/states";
import { type Column, VirtualTable } from "../../parts/VirtualTable";
import { MOST_ROWS, type Row, rowsQuery, searchQuery, type Version } from "./ask";
import { line, valueOf, widthOf } from "./values";

/** While somebody types, the server is not asked for every letter. */
const TYPING_MS = 300;

export function Rows({ name, version }: { name: string; version: Version }) {
  const [typed, setTyped] = useState("");
  const [search] = useDebouncedValue(typed.trim(), TYPING_MS);
  const [row, open] = useState<Row | null>(null);
  return (
    <>
      <TextInput data-search aria-label="Find rows" placeholder="A text in any column  ( / )" value={typed} onChange={(event) => setTyped(event.currentTarget.value)} maw={420} />
      <div className="fill-rest" onKeyDown={(event) => event.key === "Escape" && open(null)}>
        {search === "" ? <AllRows name={name} version={version} opened={row} open={open} /> : <FoundRows name={name} version={version} search={search} opened={row} open={open} />}
        {row !== null && <RowPanel row={row} version={version} close={() => open(null)} />}
      </div>
    </>
  );
}

interface Shown {
  name: string;
  version: Version;
  opened: Row | null;
  open: (row: Row) => void;
}

/** All rows, each known by its place until it is in sight. */
function AllRows({ name, version, opened, open }: Shown) {
  const shown = Math.min(version.rows, MOST_ROWS);
  const places = useMemo(() => Array.from({ length: shown }, (_, place) => place), [shown]);
  const [at, setAt] = useState<number | null>(opened?.index ?? null);
  const number = String(version.version);
  // The page of the chosen row has come already, since the row is in sight.
  const chosen = useQuery({ ...rowsQuery(name, number, at ?? 0), enabled: at !== null });
  const select = useCallback((place: number) => setAt(place), []);
  const found = chosen.data?.data.find((row) => row.index === at);
  if (found !== undefined && found.index === at && opened?.index !== at) open(found);
  const columns: Column<number>[] = [
    { key: "#", title: "#", width: "80px", numeric: true, cell: (place) => place.toLocaleString("en-US") },
    ...version.columns.map((column): Column<number> => ({
      key: column.name, title: `${column.name} · ${column.role}`, width: widthOf(column.type), numeric: column.type === "integer" || column.type === "number",
      cell: (place) => <Cell name={name} version={number} place={place} column={column.name} />,
    })),
  ];
  if (version.rows === 0) return <Empty title="No rows">This version has none.</Empty>;
  const foot = version.rows > shown ? `The first ${count(shown)} of ${count(version.rows)} rows; a search looks through all.` : `${version.rows.toLocaleString("en-US")} rows`;
  return <VirtualTable label="Rows" columns={columns} rows={places} rowKey={String} selected={at === null ? null : String(at)} onSelect={select} onOpen={select} foot={<div className="vt-foot">{foot}</div>} />;
}

function Cell({ name, version, place, column }: { name: string; version: string; place: number; column: string }) {
  const asked = useQuery(rowsQuery(name, version, place));
  if (asked.isError) return <span className="failed">not read</span>;
  const row = asked.data?.data[place - (asked.data.data[0]?.index ?? 0)];
  const text = line(valueOf(row, column));
  return <span title={text}>{row === undefined ? "…" : text}</span>;
}

function FoundRows({ name, version, search, opened, open }: Shown & { search: string }) {
  const asked = useInfiniteQuery(searchQuery(name, String(version.version), search));
  const rows = useMemo(() => asked.data?.pages.flatMap((page) => page.data) ?? [], [asked.data]);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = asked;
  const more = useCallback(() => void (hasNextPage && !isFetchingNextPage && fetchNextPage()), [hasNextPage, isFetchingNextPage, fetchNextPage]);
  // A part of the rows may have none that is looked for.
  if (rows.length === 0 && hasNextPage && !isFetchingNextPage && !asked.isError) void fetchNextPage();
  const columns: Column<Row>[] = [
    { key: "#", title: "#", width: "80px", numeric: true, cell: (row) => row.index.toLocaleString("en-US") },
    ...version.columns.map((column): Column<Row> => ({ key: column.name, title: `${column.name} · ${column.role}`, width: widthOf(column.type), cell: (row) => line(valueOf(row, column.name)) })),
  ];
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  if (rows.length === 0) return asked.isPending || hasNextPage ? <Waiting what="Looking for rows" /> : <Empty title="No such row">No row has that text.</Empty>;
  const foot = hasNextPage ? "Looking on…" : `${count(rows.length)} rows with that text`;
  return <VirtualTable label="Found rows" columns={columns} rows={rows} rowKey={(row) => String(row.index)} selected={opened === null ? null : String(opened.index)} onSelect={open} onOpen={open} onNearEnd={more} foot={<div className="vt-foot" role="status">{foot}</div>} />;
}

function RowPanel({ row, version, close }: { row: Row; version: Version; close: () => void }) {
  return (
    <aside className="side" aria-label="Row" tabIndex={0}>
      <Group gap={6} mb={8} wrap="nowrap">
        <Text size="sm" fw={600}>Row {row.index.toLocaleString("en-US")}</Text>
        <Text size="xs" c="dimmed" className="mono clip">{row.id}</Text>
        <ActionIcon variant="subtle" color="gray" size="sm" ml="auto" aria-label="Close the panel" onClick={close}>×</ActionIcon>
      </Group>
      {version.columns.map((column) => (
        <section key={column.name} className="below">
          <Text size="xs" c="dimmed">{column.name} · {column.role}</Text>
          <Value value={valueOf(row, column.name)} label={column.name} />
        </section>
      ))}
    </aside>
  );
}

function Value({ value, label }: { value: unknown; label: string }) {
  if (value === null || value === undefined) return <Text size="sm" c="dimmed">nothing</Text>;
  if (typeof value === "object") return <JsonTree value={value} label={label} />;
  return <Text size="sm" className="dataset-value">{String(value)}</Text>;
}
