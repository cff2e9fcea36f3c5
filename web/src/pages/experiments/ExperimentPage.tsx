/** One experiment: what came of it in a sentence, then the cells, two of them compared, items, and what was asked for. */

import { Alert, Group, Select, Stack, Tabs, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useSearchParams } from "react-router";
import { usePut } from "../../lib/addressBar";
import { measuresOf, sentence, told } from "../../lib/cells";
import { count, money, time } from "../../lib/format";
import { JsonTree } from "../../parts/JsonTree";
import { Failed, Waiting } from "../../parts/states";
import { experimentQuery, type Opened, type Report, versionsQuery } from "./ask";
import { Cells } from "./Cells";
import { Compare } from "./Compare";
import { Items } from "./Items";
import { Standing } from "./Stands";

const TABS = [
  { key: "cells", title: "Cells", part: Cells },
  { key: "compare", title: "Compare", part: Compare },
  { key: "items", title: "Items", part: Items },
  { key: "definition", title: "Definition", part: Definition },
] as const;

export function ExperimentPage({ name }: { name: string }) {
  const [params] = useSearchParams();
  const wanted = Number(params.get("version"));
  const asked = useQuery(experimentQuery(name, Number.isInteger(wanted) && wanted > 0 ? wanted : undefined));
  return (
    <Stack gap="sm">
      <Group gap={8}>
        <Title order={1}><Link to="/experiments" className="row-link">Experiments</Link> / {name}</Title>
        {asked.data && <VersionSelect experiment={asked.data} />}
        {asked.data && <Facts experiment={asked.data} />}
      </Group>
      {asked.isPending && <Waiting what="Loading the experiment" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && <Body experiment={asked.data} />}
    </Stack>
  );
}

function Body({ experiment }: { experiment: Opened }) {
  const [params] = useSearchParams();
  const put = usePut();
  const tab = TABS.find((known) => known.key === params.get("tab"))?.key ?? TABS[0].key;
  return (
    <>
      <Standing experiment={experiment} />
      <Result report={experiment.report} />
      <Tabs value={tab} onChange={(value) => put({ tab: value === TABS[0].key ? null : value })} keepMounted={false}>
        <Tabs.List mb="sm">{TABS.map((known) => <Tabs.Tab key={known.key} value={known.key}>{known.title}</Tabs.Tab>)}</Tabs.List>
        {TABS.map((known) => <Tabs.Panel key={known.key} value={known.key}><known.part experiment={experiment} /></Tabs.Panel>)}
      </Tabs>
    </>
  );
}

function VersionSelect({ experiment: { name, version } }: { experiment: Opened }) {
  const put = usePut();
  const asked = useQuery(versionsQuery(name));
  const numbers = asked.data?.data.map((known) => known.version) ?? [version];
  const options = [...new Set([...numbers, version])].map((number) => ({ value: String(number), label: `Version ${number}` }));
  return <Select aria-label="Version" w={130} data={options} value={String(version)} onChange={(value) => put({ version: value, cells: null, from: null })} allowDeselect={false} />;
}

function Facts({ experiment: { definition, report, created, cells, items, models } }: { experiment: Opened }) {
  // What a name stood for is told where the name itself does not say it.
  const targets = Object.entries(models).filter(([name, target]) => name !== target).map(([name, target]) => `${name} is ${target}`);
  const [dataset] = definition.dataset.split("@");
  return (
    <Text size="sm" c="dimmed" component="div">
      {count(cells)} cells · {count(items)} items of <Link to={`/datasets/${encodeURIComponent(dataset ?? "")}`}>{definition.dataset}</Link> · {count(report.answers)} answers
      {report.failed > 0 && ` (${count(report.failed)} failed)`}{report.cached > 0 && ` (${count(report.cached)} taken from before)`} · {money(report.spent_picodollars)} · {count(report.tokens)} tokens · {time(created)}{targets.length > 0 && ` · ${targets.join(", ")}`}
    </Text>
  );
}

/** As many cells as the sentence names. */
const MOST_TOLD = 6;

/** The sentence, and the cells that are not told apart by their numbers. */
function Result({ report }: { report: Report }) {
  const metric = measuresOf(report.cells, report.metric)[0];
  const apart = report.not_told_apart.flatMap((id) => report.cells.find((cell) => cell.id === id) ?? []);
  const title = report.winner === null || report.winner === undefined ? "No winner" : `Winner: ${report.winner}`;
  if (report.answers === 0) return <Alert variant="outline" color="gray" title="Nothing is known yet">There are no answers.</Alert>;
  return (
    <Alert variant="outline" color={report.winner ? "teal" : "gray"} title={`${title}, by ${metric.title}`} data-testid="result">
      <Text size="sm">{sentence(report.sentence)}</Text>
      {!report.winner && apart.length > 1 && (
        <Text size="sm" mt={4}>Their {metric.title}: {apart.slice(0, MOST_TOLD).map((cell) => `${cell.id} ${told(metric, cell)}`).join(" · ")}{apart.length > MOST_TOLD ? ` · and ${apart.length - MOST_TOLD} more` : ""}</Text>
      )}
      {report.chosen_on != null && <Text size="xs" c="dimmed" mt={4}>The search chose cells by {count(report.chosen_on)} items. Numbers of those that are left are made of the others.</Text>}
    </Alert>
  );
}

function Definition({ experiment }: { experiment: Opened }) {
  return <JsonTree value={experiment.definition} label="Definition" />;
}
