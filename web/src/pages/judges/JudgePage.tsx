/** One judge: what its word is worth, what it asks, one item to try it on, and the comparisons with people. */

import { Button, Group, Select, Stack, Tabs, Text, Title } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import { api, take } from "../../api/client";
import { usePut } from "../../lib/addressBar";
import { time } from "../../lib/format";
import { type JudgeDefinition, METHODS, scaleOf } from "../../lib/judges";
import { Confirm } from "../../parts/Confirm";
import { Failed, Waiting } from "../../parts/states";
import { Uncalibrated } from "../../parts/Uncalibrated";
import { useSession } from "../../signin/session";
import { type Judge, JUDGES, judgeQuery, versionsQuery } from "./ask";
import { Calibrations } from "./Calibrations";
import { CardView } from "./CardView";
import { Definition } from "./Definition";
import { TryIt } from "./TryIt";

const TABS = [
  { key: "card", title: "Card", part: CardView },
  { key: "definition", title: "What it asks", part: Definition },
  { key: "try", title: "Try it", part: TryIt },
  { key: "calibrations", title: "Comparisons with people", part: Calibrations },
] as const;

export function JudgePage({ name }: { name: string }) {
  const [params] = useSearchParams();
  const wanted = Number(params.get("version"));
  const asked = useQuery(judgeQuery(name, Number.isInteger(wanted) && wanted > 0 ? wanted : undefined));
  return (
    <Stack gap="sm">
      <Group gap={8}>
        <Title order={1}><Link to="/judges" className="row-link">Judges</Link> / {name}</Title>
        {asked.data && <VersionSelect judge={asked.data} />}
        {asked.data && !asked.data.calibrated && <Uncalibrated />}
        {asked.data && <Facts judge={asked.data} />}
        {asked.data && <Remove judge={asked.data} />}
      </Group>
      {asked.isPending && <Waiting what="Loading the judge" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && <Body judge={asked.data} />}
    </Stack>
  );
}

function Body({ judge }: { judge: Judge }) {
  const [params] = useSearchParams();
  const put = usePut();
  const tab = TABS.find((known) => known.key === params.get("tab"))?.key ?? TABS[0].key;
  return (
    <Tabs value={tab} onChange={(value) => put({ tab: value === TABS[0].key ? null : value })} keepMounted={false}>
      <Tabs.List mb="sm">{TABS.map((known) => <Tabs.Tab key={known.key} value={known.key}>{known.title}</Tabs.Tab>)}</Tabs.List>
      {TABS.map((known) => <Tabs.Panel key={known.key} value={known.key}><known.part key={judge.id} judge={judge} /></Tabs.Panel>)}
    </Tabs>
  );
}

function VersionSelect({ judge: { name, version } }: { judge: Judge }) {
  const put = usePut();
  const asked = useQuery(versionsQuery(name));
  const numbers = [...new Set([...(asked.data?.data.map((known) => known.version) ?? []), version])];
  return <Select aria-label="Version" w={130} data={numbers.map((number) => ({ value: String(number), label: `Version ${number}` }))} value={String(version)} onChange={(value) => put({ version: value, dataset: null })} allowDeselect={false} />;
}

function Facts({ judge: { models, method, definition, created } }: { judge: Judge }) {
  const who = Object.entries(models).map(([name, target]) => (name === target ? name : `${name} (${target})`)).join(", ");
  return <Text size="sm" c="dimmed" component="div">{who || "no model"} · asks for {METHODS[method] ?? method} · {scaleOf(definition as unknown as JudgeDefinition)} · {time(created)}</Text>;
}

/** Deletes it with all of its versions, after a question. */
function Remove({ judge: { name } }: { judge: Judge }) {
  const [asking, setAsking] = useState<string | null>(null);
  const { may } = useSession();
  const navigate = useNavigate();
  const queries = useQueryClient();
  if (!may("write")) return null;
  const act = async () => {
    await take(api.DELETE("/api/v1/judges/{name}", { params: { path: { name } } }));
    void navigate("/judges");
    queries.removeQueries({ queryKey: [JUDGES, "one", name] });
    await queries.invalidateQueries({ queryKey: [JUDGES] });
  };
  return (
    <>
      <Button variant="subtle" color="red" size="compact-sm" ml="auto" onClick={() => setAsking(name)}>Delete…</Button>
      <Confirm subject={asking} close={() => setAsking(null)} title={(subject) => `Delete ${subject}`} verb="Delete" act={act}>
        All versions of this judge go with their cards and with what it said in comparisons, for good. What it said in evaluations stays there.
      </Confirm>
    </>
  );
}
