/** One leaderboard: who is ahead as far as that is sure, the board, documents with what models said, and what was asked for. */

import { Alert, Group, Select, Tabs, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useSearchParams } from "react-router";
import { api, take } from "../../api/client";
import { usePut } from "../../lib/addressBar";
import { sentence } from "../../lib/cells";
import { count, time } from "../../lib/format";
import { filterOf } from "../../lib/leaderboards";
import { JsonTree } from "../../parts/JsonTree";
import { Standing } from "../../parts/Standing";
import { Failed, Waiting } from "../../parts/states";
import { LEADERBOARDS, leaderboardQuery, leaderboardsQuery, type Opened } from "./ask";
import { Board } from "./Board";
import { Documents } from "./Documents";

const TABS = [
  { key: "board", title: "Board", part: Board },
  { key: "documents", title: "Documents", part: Documents },
  { key: "definition", title: "Definition", part: Definition },
] as const;

export function BoardPage({ name }: { name: string }) {
  const [params] = useSearchParams();
  const wanted = Number(params.get("version"));
  const asked = useQuery(leaderboardQuery(name, Number.isInteger(wanted) && wanted > 0 ? wanted : undefined, filterOf(params)));
  return (
    <div className={params.get("tab") === "documents" ? "fill" : "board"}>
      <Group gap={8}>
        <Title order={1}><Link to="/leaderboards" className="row-link">Leaderboards</Link> / {name}</Title>
        {asked.data && <VersionSelect board={asked.data} />}
        {asked.data && <Facts board={asked.data} />}
      </Group>
      {asked.isPending && <Waiting what="Loading the leaderboard" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && <Body board={asked.data} />}
    </div>
  );
}

function Body({ board }: { board: Opened }) {
  const [params] = useSearchParams();
  const put = usePut();
  const tab = TABS.find((known) => known.key === params.get("tab")) ?? TABS[0];
  return (
    <>
      <Where board={board} />
      {tab.key === "board" && <Alert variant="outline" color="gray" title="Who is ahead" data-testid="ahead"><Text size="sm">{sentence(board.report.sentence)}</Text></Alert>}
      <Tabs value={tab.key} onChange={(value) => put({ tab: value === TABS[0].key ? null : value })}>
        <Tabs.List mb={4}>{TABS.map((known) => <Tabs.Tab key={known.key} value={known.key}>{known.title}</Tabs.Tab>)}</Tabs.List>
      </Tabs>
      <tab.part board={board} />
    </>
  );
}

function Where({ board }: { board: Opened }) {
  const { name, version, definition, report } = board;
  const path = { params: { path: { name } } };
  const sum = (of: (model: Opened["report"]["models"][number]) => number) => report.models.reduce((all, model) => all + of(model), 0);
  return (
    <Standing
      run={board} noun="leaderboard" list={LEADERBOARDS} answers={sum((model) => model.documents)} failed={sum((model) => model.failed)} usd={definition.budget?.usd}
      resume={({ retry_failed, budget }) => take(api.POST("/api/v1/leaderboards/{name}/resume", { ...path, body: { version, retry_failed, budget: budget && { ...definition.budget, ...budget } } }))}
      remove={() => take(api.DELETE("/api/v1/leaderboards/{name}", path))}
    >
      All versions of this leaderboard go with what models said, for good: asking again is paid for again. Its datasets and the traces of its calls stay.
    </Standing>
  );
}

/** Versions are numbered from 1; the list knows the latest. */
function VersionSelect({ board: { name, version } }: { board: Opened }) {
  const put = usePut();
  const asked = useQuery(leaderboardsQuery);
  const latest = Math.max(version, asked.data?.data.find((known) => known.name === name)?.version ?? version);
  const numbers = Array.from({ length: latest }, (_, at) => String(latest - at));
  return <Select aria-label="Version" w={130} data={numbers.map((number) => ({ value: number, label: `Version ${number}` }))} value={String(version)} onChange={(value) => put({ version: value, row: null })} allowDeselect={false} />;
}

function Facts({ board: { report, documents, created, models } }: { board: Opened }) {
  const pinned = Object.entries(models).filter(([name, target]) => name !== target).map(([name, target]) => `${name} is ${target}`);
  return <Text size="sm" c="dimmed" component="div">{count(report.models.length)} models · {count(documents)} documents each · {report.style === "win_rate" ? "mean win rate" : "normalised between chance and the best"} · {time(created)}{pinned.length > 0 && ` · ${pinned.join(", ")}`}</Text>;
}

function Definition({ board }: { board: Opened }) {
  return <JsonTree value={board.definition} label="Definition" />;
}
