/** The audit log: who changed what, chained by hashes, and whether the chain holds. */

import { Alert, Button, Code, Group, Stack, Table, Text, TextInput, Title, Tooltip, UnstyledButton } from "@mantine/core";
import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useSearchParams } from "react-router";
import { api, take, type Schemas } from "../api/client";
import { ago, time } from "../lib/format";
import { CopyIcon } from "../parts/Code";
import { Empty, Failed, Waiting } from "../parts/states";

type Entry = Schemas["AuditEntry"];

const PAGE = 100;
const FILTERS = [
  { name: "actor", label: "Actor", placeholder: "account:ada, key:…" },
  { name: "noun", label: "Kind of thing", placeholder: "key, model, …" },
  { name: "subject", label: "Which one", placeholder: "its name or id" },
] as const;

type Filters = Partial<Record<(typeof FILTERS)[number]["name"], string>>;

export default function Audit() {
  const [params, setParams] = useSearchParams();
  const filters: Filters = Object.fromEntries(FILTERS.flatMap(({ name }) => (params.get(name) ? [[name, params.get(name)!]] : [])));
  const asked = useInfiniteQuery({
    queryKey: ["audit", filters],
    queryFn: ({ pageParam }) => take(api.GET("/api/v1/audit", { params: { query: { ...filters, limit: PAGE, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    staleTime: 0,
  });
  const entries = asked.data?.pages.flatMap((page) => page.data) ?? [];
  const filtered = Object.keys(filters).length > 0;
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={1}>Audit</Title>
        <Button variant="default" loading={asked.isRefetching} onClick={() => void asked.refetch()}>Refresh</Button>
      </Group>
      <FilterForm key={params.toString()} filters={filters} apply={(next) => setParams(next)} />
      <Verify />
      {asked.isPending && <Waiting what="Loading the audit log" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && entries.length === 0 && (
        <Empty title={filtered ? "No change matches" : "No changes yet"} action={filtered && <Button variant="default" onClick={() => setParams({})}>Clear the filters</Button>}>
          Every change to keys, accounts, providers, prices, models and jobs is written here, by whom and when. Filters match whole words.
        </Empty>
      )}
      {entries.length > 0 && <Entries entries={entries} narrow={(next) => setParams({ ...filters, ...next })} />}
      {asked.hasNextPage && <Group justify="center"><Button variant="default" loading={asked.isFetchingNextPage} onClick={() => void asked.fetchNextPage()}>More</Button></Group>}
    </Stack>
  );
}

function FilterForm({ filters, apply }: { filters: Filters; apply: (next: Record<string, string>) => void }) {
  const [draft, setDraft] = useState<Filters>(filters);

  function submit(event: FormEvent) {
    event.preventDefault();
    apply(Object.fromEntries(Object.entries(draft).flatMap(([name, value]) => (value.trim() ? [[name, value.trim()]] : []))));
  }

  return (
    <form onSubmit={submit} role="search" aria-label="Filter the changes">
      <Group gap="xs" align="flex-end">
        {FILTERS.map(({ name, label, placeholder }, index) => (
          <TextInput key={name} label={label} placeholder={placeholder} value={draft[name] ?? ""} w={220} {...(index === 0 ? { "data-search": true } : {})} onChange={(event) => setDraft({ ...draft, [name]: event.currentTarget.value })} />
        ))}
        <Button type="submit" variant="default">Filter</Button>
        {Object.keys(filters).length > 0 && <Button variant="subtle" onClick={() => apply({})}>Clear</Button>}
      </Group>
    </form>
  );
}

/** Nothing is said until somebody asks: it reads the whole log. */
function Verify() {
  const asked = useMutation({ mutationFn: () => take(api.GET("/api/v1/audit/verify")) });
  const button = <Button variant="default" loading={asked.isPending} onClick={() => asked.mutate()}>Verify</Button>;
  const report = asked.data;
  return (
    <Stack gap="xs">
      <Group gap="xs">{button}<Text size="xs" c="dimmed">Follows the chain of hashes from its beginning. Whoever noted a hash elsewhere can tell that nothing before it was changed.</Text></Group>
      {asked.isError && <Failed error={asked.error} />}
      {report?.intact && (
        <Alert variant="outline" color="teal" role="status" title={`The chain is whole: ${report.entries.toLocaleString("en-US")} entries are in order`}>
          <Group gap={4} wrap="nowrap"><Text size="xs">Its last hash:</Text><Code className="clip">{report.head}</Code><CopyIcon value={report.head} label="Copy the hash" /></Group>
        </Alert>
      )}
      {report && !report.intact && (
        <Alert variant="outline" color="red" role="alert" title={`The chain is broken at entry ${report.broken?.seq ?? "?"}`}>
          {report.broken?.reason} The {report.entries.toLocaleString("en-US")} entries before it are in order.
        </Alert>
      )}
    </Stack>
  );
}

function Entries({ entries, narrow }: { entries: readonly Entry[]; narrow: (next: Record<string, string>) => void }) {
  return (
    <Table.ScrollContainer minWidth={960}>
      <Table highlightOnHover>
        <Table.Thead>
          <Table.Tr>{["No.", "When", "Actor", "Action", "Thing", "Detail", "Hash"].map((name) => <Table.Th key={name} scope="col" className={name === "No." ? "num" : ""}>{name}</Table.Th>)}</Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {entries.map((entry) => (
            <Table.Tr key={entry.seq}>
              <Table.Td className="num">{entry.seq}</Table.Td>
              <Table.Td><Tooltip label={time(entry.at, true)}><Text span size="sm" className="clip">{ago(entry.at)}</Text></Tooltip></Table.Td>
              <Table.Td maw={190}><Narrow value={entry.actor} label={`Only changes by ${entry.actor}`} onClick={() => narrow({ actor: entry.actor })} /></Table.Td>
              <Table.Td>{entry.action}</Table.Td>
              <Table.Td maw={250}>
                <Group gap={4} wrap="nowrap">
                  <Narrow value={entry.noun} label={`Only changes of ${entry.noun}`} onClick={() => narrow({ noun: entry.noun })} />
                  <Narrow value={entry.subject} label={`Only changes of ${entry.subject}`} onClick={() => narrow({ subject: entry.subject })} />
                </Group>
              </Table.Td>
              <Table.Td className="mono clip" maw={360} title={JSON.stringify(entry.detail, null, 1)}>{detailOf(entry.detail)}</Table.Td>
              <Table.Td className="mono" title={entry.hash}>{entry.hash.slice(0, 10)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

/** A value that narrows the list to itself. */
function Narrow({ value, label, onClick }: { value: string; label: string; onClick: () => void }) {
  return <UnstyledButton className="clip" fz="sm" td="underline dotted" maw="100%" onClick={onClick} title={label}>{value}</UnstyledButton>;
}

function detailOf(detail: unknown): string {
  if (detail === null || typeof detail !== "object") return detail === null || detail === undefined ? "" : String(detail);
  return Object.entries(detail).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`).join(" ");
}
