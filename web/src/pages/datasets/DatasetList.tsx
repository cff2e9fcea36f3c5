/** All datasets of the project, and the way to a new one. */

import { Button, Group, Stack, Table, Text, TextInput, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import { ago, bytes, count, time } from "../../lib/format";
import { Empty, Failed, Waiting } from "../../parts/states";
import { useListKeys } from "../../shell/keys";
import { useSession } from "../../signin/session";
import { type Dataset, datasetsQuery } from "./ask";
import { ImportDialog } from "./ImportDialog";

const COLUMNS = ["Name", "Version", "Rows", "Size", "Columns", "Changed"];
const NUMERIC = new Set(["Version", "Rows", "Size"]);

export function DatasetList() {
  const asked = useQuery(datasetsQuery);
  const { may } = useSession();
  const [params, setParams] = useSearchParams();
  const [importing, setImporting] = useState(false);
  const wanted = (params.get("name") ?? "").toLowerCase();
  const all = asked.data?.data ?? [];
  const shown = all.filter((dataset) => dataset.name.toLowerCase().includes(wanted));
  const open = may("write") && <Button onClick={() => setImporting(true)}>Import files</Button>;
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={1}>Datasets</Title>
        <Group>
          <TextInput
            data-search aria-label="Find a dataset" placeholder="Name  ( / )" value={params.get("name") ?? ""}
            onChange={(event) => setParams(event.currentTarget.value === "" ? {} : { name: event.currentTarget.value }, { replace: true })}
          />
          {open}
        </Group>
      </Group>
      {asked.isPending && <Waiting what="Loading the datasets" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && all.length === 0 && (
        <Empty title="No datasets yet" action={open}>
          Rows to prompt, evaluate and train on, in versions that never change: out of files, or out of recorded calls on the page <Link to="/traces">Traces</Link>.
        </Empty>
      )}
      {all.length > 0 && shown.length === 0 && <Empty title="No such dataset" action={<Button variant="default" onClick={() => setParams({})}>Show all</Button>} />}
      {shown.length > 0 && <Datasets datasets={shown} />}
      <ImportDialog opened={importing} close={() => setImporting(false)} />
    </Stack>
  );
}

export function linkTo(name: string): string {
  return `/datasets/${encodeURIComponent(name)}`;
}

function Datasets({ datasets }: { datasets: readonly Dataset[] }) {
  const navigate = useNavigate();
  const [at, setAt] = useState(-1);
  useListKeys(
    (step) => setAt((old) => Math.max(0, Math.min(datasets.length - 1, old + step))),
    () => datasets[at] && void navigate(linkTo(datasets[at].name)),
  );
  return (
    <Table.ScrollContainer minWidth={800}>
      <Table highlightOnHover>
        <Table.Thead>
          <Table.Tr>{COLUMNS.map((name) => <Table.Th key={name} scope="col" className={NUMERIC.has(name) ? "num" : ""}>{name}</Table.Th>)}</Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {datasets.map((dataset, index) => (
            <Table.Tr key={dataset.name} aria-selected={index === at} bg={index === at ? "var(--mantine-color-default-hover)" : undefined}>
              <Table.Td><Link to={linkTo(dataset.name)}><Text component="span" size="sm" fw={600}>{dataset.name}</Text></Link></Table.Td>
              <Table.Td className="num">{dataset.latest}</Table.Td>
              <Table.Td className="num">{count(dataset.rows)}</Table.Td>
              <Table.Td className="num">{bytes(dataset.bytes)}</Table.Td>
              <Table.Td className="clip" maw={360}>{dataset.columns.map((column) => column.name).join(", ")}</Table.Td>
              <Table.Td title={time(dataset.updated)}>{ago(dataset.updated)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
