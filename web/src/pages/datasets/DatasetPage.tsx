/** One dataset: its rows, what two versions differ in, and where a version comes from. */

import { Badge, Button, Group, Menu, Select, Tabs, Text, Title } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import { api, take } from "../../api/client";
import { useChangeAddress } from "../../lib/addressBar";
import { bytes, count, time } from "../../lib/format";
import { Confirm } from "../../parts/Confirm";
import { Failed, Waiting } from "../../parts/states";
import { useSession } from "../../signin/session";
import { About } from "./About";
import { DATASETS, datasetQuery, type Detail, type Version, versionQuery } from "./ask";
import { Diff } from "./Diff";
import { ImportDialog } from "./ImportDialog";
import { Rows } from "./Rows";
import { SplitDialog } from "./SplitDialog";
import "./datasets.css";

const TABS = ["rows", "diff", "about"] as const;

export function DatasetPage({ name }: { name: string }) {
  const asked = useQuery(datasetQuery(name));
  const [params] = useSearchParams();
  if (asked.isPending) return <Waiting what="Loading the dataset" />;
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  const version = params.get("version") ?? String(asked.data.latest.version);
  return <Opened key={version} dataset={asked.data} version={version} />;
}

function Opened({ dataset, version }: { dataset: Detail; version: string }) {
  const asked = useQuery(versionQuery(dataset.name, version));
  const [params] = useSearchParams();
  const set = useChangeAddress();
  const tab = TABS.find((known) => known === params.get("tab")) ?? "rows";
  const change = (name: string, value: string | null) => set((next) => { if (value === null) next.delete(name); else next.set(name, value); return next; });
  return (
    <div className="fill">
      <Group gap={8}>
        <Title order={1}><Link to="/datasets" className="row-link">Datasets</Link> / {dataset.name}</Title>
        <VersionSelect dataset={dataset} version={version} choose={(value) => change("version", value)} />
        {asked.data && <Text size="sm" c="dimmed">{asked.data.rows.toLocaleString("en-US")} rows · {bytes(asked.data.bytes)} · {time(asked.data.created)}</Text>}
        {dataset.labels.filter((label) => String(label.version) === version).map((label) => <Badge key={label.label} variant="default">{label.label}</Badge>)}
        <Actions dataset={dataset} version={version} shown={asked.data} />
      </Group>
      <Tabs value={tab} onChange={(value) => change("tab", value === "rows" ? null : value)} keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="rows">Rows</Tabs.Tab>
          <Tabs.Tab value="diff" disabled={dataset.latest.version === 1}>Differences</Tabs.Tab>
          <Tabs.Tab value="about">About</Tabs.Tab>
        </Tabs.List>
      </Tabs>
      {asked.isPending && <Waiting what="Loading the version" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && tab === "rows" && <Rows name={dataset.name} version={asked.data} />}
      {asked.data && tab === "diff" && <Diff dataset={dataset} version={asked.data} />}
      {asked.data && tab === "about" && <About version={asked.data} />}
    </div>
  );
}

function VersionSelect({ dataset, version, choose }: { dataset: Detail; version: string; choose: (version: string) => void }) {
  const told = (number: number) => {
    const labels = dataset.labels.filter((label) => label.version === number).map((label) => label.label);
    return `Version ${[number, ...labels].join(" · ")}`;
  };
  const numbers = dataset.versions.map((known) => known.version);
  if (!numbers.includes(Number(version))) numbers.push(Number(version));
  return <Select aria-label="Version" w={190} data={numbers.map((number) => ({ value: String(number), label: told(number) }))} value={version} onChange={(value) => value !== null && choose(value)} allowDeselect={false} />;
}

function Actions({ dataset, version, shown }: { dataset: Detail; version: string; shown?: Version }) {
  const { may } = useSession();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [importing, setImporting] = useState(false);
  const [splitting, setSplitting] = useState(false);
  const [removing, setRemoving] = useState<Detail | null>(null);
  const file = (format: string) => `/api/v1/datasets/${encodeURIComponent(dataset.name)}/versions/${version}/export?format=${format}`;
  return (
    <Group gap={6} ml="auto">
      <Menu position="bottom-end" withinPortal>
        <Menu.Target><Button variant="default">Export</Button></Menu.Target>
        <Menu.Dropdown>
          {[["jsonl", "JSON lines"], ["csv", "CSV"], ["parquet", "Parquet"]].map(([format, label]) => <Menu.Item key={format} component="a" href={file(format!)} download>{label}</Menu.Item>)}
        </Menu.Dropdown>
      </Menu>
      {may("write") && <Button variant="default" disabled={shown === undefined} onClick={() => setSplitting(true)}>Split</Button>}
      {may("write") && <Button variant="default" onClick={() => setImporting(true)}>Import a version</Button>}
      {may("write") && <Button variant="subtle" color="red" onClick={() => setRemoving(dataset)}>Remove</Button>}
      {shown !== undefined && <SplitDialog opened={splitting} close={() => setSplitting(false)} name={dataset.name} version={shown} />}
      <ImportDialog opened={importing} close={() => setImporting(false)} name={dataset.name} />
      <Confirm
        subject={removing} close={() => setRemoving(null)} title={(subject) => `Remove ${subject.name}?`} verb="Remove"
        act={async (subject) => {
          await take(api.DELETE("/api/v1/datasets/{name}", { params: { path: { name: subject.name } } }));
          await navigate("/datasets");
          await queries.invalidateQueries({ queryKey: DATASETS });
        }}
      >
        All its {count(dataset.versions.length)} versions are removed, and their rows. What was made from them keeps its lineage.
      </Confirm>
    </Group>
  );
}
