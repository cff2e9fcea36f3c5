/** One evaluation: its report, the items, targets compared, another run beside it, and what was asked for. */

import { Group, Select, Tabs, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useSearchParams } from "react-router";
import { api, take } from "../../api/client";
import { usePut } from "../../lib/addressBar";
import { count, money, time } from "../../lib/format";
import { JsonTree } from "../../parts/JsonTree";
import { Standing } from "../../parts/Standing";
import { Failed, Waiting } from "../../parts/states";
import { EVALUATIONS, evaluationQuery, evaluationsQuery, type Opened } from "./ask";
import { Beside } from "./Beside";
import { Compare } from "./Compare";
import { Items } from "./Items";
import { ReportView } from "./ReportView";

const TABS = [
  { key: "report", title: "Report", part: ReportView },
  { key: "items", title: "Items", part: Items },
  { key: "compare", title: "Compare targets", part: Compare },
  { key: "beside", title: "Beside another run", part: Beside },
  { key: "definition", title: "Definition", part: Definition },
] as const;

export function EvaluationPage({ name }: { name: string }) {
  const [params] = useSearchParams();
  const wanted = Number(params.get("version"));
  const asked = useQuery(evaluationQuery(name, Number.isInteger(wanted) && wanted > 0 ? wanted : undefined));
  return (
    <div className={params.get("tab") === "items" ? "fill" : "evaluation"}>
      <Group gap={8}>
        <Title order={1}><Link to="/evaluations" className="row-link">Evaluations</Link> / {name}</Title>
        {asked.data && <VersionSelect evaluation={asked.data} />}
        {asked.data && <Facts evaluation={asked.data} />}
      </Group>
      {asked.isPending && <Waiting what="Loading the evaluation" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && <Body evaluation={asked.data} />}
    </div>
  );
}

function Body({ evaluation }: { evaluation: Opened }) {
  const [params] = useSearchParams();
  const put = usePut();
  const several = evaluation.report.targets.length > 1;
  const tabs = TABS.filter((known) => known.key !== "compare" || several);
  const tab = tabs.find((known) => known.key === params.get("tab")) ?? TABS[0];
  return (
    <>
      <Where evaluation={evaluation} />
      <Tabs value={tab.key} onChange={(value) => put({ tab: value === TABS[0].key ? null : value })}>
        <Tabs.List mb={4}>{tabs.map((known) => <Tabs.Tab key={known.key} value={known.key}>{known.title}</Tabs.Tab>)}</Tabs.List>
      </Tabs>
      <tab.part evaluation={evaluation} />
    </>
  );
}

function Where({ evaluation }: { evaluation: Opened }) {
  const { name, version, definition, report } = evaluation;
  const path = { params: { path: { name } } };
  const sum = (of: (target: Opened["report"]["targets"][number]) => number) => report.targets.reduce((all, target) => all + of(target), 0);
  return (
    <Standing
      run={evaluation} noun="evaluation" list={EVALUATIONS} answers={sum((target) => target.answers)} failed={sum((target) => target.failed)} usd={definition.budget?.usd}
      resume={({ retry_failed, budget }) => take(api.POST("/api/v1/evaluations/{name}/resume", { ...path, body: { version, retry_failed, budget: budget && { ...definition.budget, ...budget } } }))}
      remove={() => take(api.DELETE("/api/v1/evaluations/{name}", path))}
    >
      All versions of this evaluation go with their answers and with what judges said of them, for good: asking again is paid for again. Its prompts, judges and dataset and the traces of its calls stay.
    </Standing>
  );
}

/** Versions are numbered from 1; the list knows the latest. */
function VersionSelect({ evaluation: { name, version } }: { evaluation: Opened }) {
  const put = usePut();
  const asked = useQuery(evaluationsQuery);
  const latest = Math.max(version, asked.data?.data.find((known) => known.name === name)?.version ?? version);
  const numbers = Array.from({ length: latest }, (_, at) => String(latest - at));
  return <Select aria-label="Version" w={130} data={numbers.map((number) => ({ value: number, label: `Version ${number}` }))} value={String(version)} onChange={(value) => put({ version: value, row: null })} allowDeselect={false} />;
}

function Facts({ evaluation: { definition, report, created, items, models } }: { evaluation: Opened }) {
  // What a name stood for is told where the name itself does not say it.
  const pinned = Object.entries(models).filter(([name, target]) => name !== target).map(([name, target]) => `${name} is ${target}`);
  const [dataset] = definition.dataset.split("@");
  return (
    <Text size="sm" c="dimmed" component="div">
      {count(items)} items of <Link to={`/datasets/${encodeURIComponent(dataset ?? "")}`}>{definition.dataset}</Link> · {money(report.spent_picodollars)}{report.unpriced > 0 && ` (${count(report.unpriced)} calls without a known price)`} · {count(report.tokens)} tokens · {time(created)}{pinned.length > 0 && ` · ${pinned.join(", ")}`}
    </Text>
  );
}

function Definition({ evaluation }: { evaluation: Opened }) {
  return <JsonTree value={evaluation.definition} label="Definition" />;
}
