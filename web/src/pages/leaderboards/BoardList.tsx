/** All leaderboards of the project with who is ahead, and the tasks that there are. */

import { Button, Group, Stack, Table, Tabs, Text, TextInput, Title, Tooltip } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import { usePut } from "../../lib/addressBar";
import { ago, count, time } from "../../lib/format";
import { leadersOf, scoreTold } from "../../lib/leaderboards";
import { StateBadge } from "../../parts/Standing";
import { Empty, Failed, Waiting } from "../../parts/states";
import { useListKeys } from "../../shell/keys";
import { useSession } from "../../signin/session";
import { type Leaderboard, leaderboardQuery, leaderboardsQuery } from "./ask";
import { NewBoard } from "./NewBoard";
import { Tasks } from "./Tasks";

const COLUMNS = ["Name", "Version", "State", "Models", "Tasks", "Documents", "Ahead", "Made", "Job"];
const NUMERIC = new Set(["Version", "Models", "Tasks", "Documents"]);

export const linkTo = (name: string): string => `/leaderboards/${encodeURIComponent(name)}`;

export function BoardList() {
  const [params] = useSearchParams();
  const put = usePut();
  const [making, setMaking] = useState(false);
  const { may } = useSession();
  const tasks = params.get("tab") === "tasks";
  const make = may("write") && may("infer");
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={1}>Leaderboards</Title>
        <Group>
          <TextInput
            data-search aria-label={tasks ? "Find a task" : "Find a leaderboard"} placeholder="Name  ( / )" value={params.get("name") ?? ""}
            onChange={(event) => put({ name: event.currentTarget.value || null })}
          />
          {make && <Button onClick={() => setMaking(true)}>New leaderboard</Button>}
        </Group>
      </Group>
      <Tabs value={tasks ? "tasks" : "boards"} onChange={(value) => put({ tab: value === "tasks" ? "tasks" : null, name: null })}>
        <Tabs.List><Tabs.Tab value="boards">Leaderboards</Tabs.Tab><Tabs.Tab value="tasks">Tasks</Tabs.Tab></Tabs.List>
      </Tabs>
      {tasks ? <Tasks /> : <Boards make={make ? () => setMaking(true) : null} />}
      <NewBoard opened={making} close={() => setMaking(false)} />
    </Stack>
  );
}

function Boards({ make }: { make: (() => void) | null }) {
  const asked = useQuery(leaderboardsQuery);
  const [params] = useSearchParams();
  const put = usePut();
  const wanted = (params.get("name") ?? "").toLowerCase();
  const all = asked.data?.data ?? [];
  const shown = all.filter((board) => board.name.toLowerCase().includes(wanted));
  if (asked.isPending) return <Waiting what="Loading the leaderboards" />;
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  if (all.length === 0) return <Empty title="No leaderboards yet" action={make ? <Button onClick={make}>New leaderboard</Button> : undefined}>A leaderboard asks models the same tasks and says who is better as far as that is sure. <code>quarterdeck leaderboard run basic --models a,b</code> makes one, too.</Empty>;
  if (shown.length === 0) return <Empty title="No such leaderboard" action={<Button variant="default" onClick={() => put({ name: null })}>Show all</Button>} />;
  return <BoardTable key={wanted} boards={shown} />;
}

function BoardTable({ boards }: { boards: readonly Leaderboard[] }) {
  const navigate = useNavigate();
  const [at, setAt] = useState(-1);
  useListKeys(
    (step) => setAt((old) => Math.max(0, Math.min(boards.length - 1, old + step))),
    () => boards[at] && void navigate(linkTo(boards[at].name)),
  );
  return (
    <Table.ScrollContainer minWidth={1000}>
      <Table highlightOnHover aria-label="Leaderboards">
        <Table.Thead><Table.Tr>{COLUMNS.map((name) => <Table.Th key={name} scope="col" className={NUMERIC.has(name) ? "num" : ""}>{name}</Table.Th>)}</Table.Tr></Table.Thead>
        <Table.Tbody>{boards.map((board, index) => <Line key={board.id} board={board} current={index === at} />)}</Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Line({ board, current }: { board: Leaderboard; current: boolean }) {
  const asked = useQuery(leaderboardQuery(board.name, board.version));
  const report = asked.data?.report;
  const leaders = report === undefined ? [] : leadersOf(report);
  const told = leaders.map((model) => (model.score == null ? model.model : `${model.model} ${scoreTold(report!.style, model.score)}`)).join(" or ");
  return (
    <Table.Tr bg={current ? "var(--mantine-color-default-hover)" : undefined}>
      <Table.Td><Link to={linkTo(board.name)}><Text component="span" size="sm" fw={600}>{board.name}</Text></Link></Table.Td>
      <Table.Td className="num">{board.version}</Table.Td>
      <Table.Td><StateBadge of={asked.data ?? board} /></Table.Td>
      <Table.Td className="num">{count(Object.keys(board.models).length)}</Table.Td>
      <Table.Td className="num">{count(board.definition.tasks.length)}</Table.Td>
      <Table.Td className="num">{count(board.documents)}</Table.Td>
      <Table.Td className="clip" maw={380} title={report?.sentence}>{asked.isError ? <span className="failed">not read</span> : report === undefined ? "…" : told || <Text component="span" size="sm" c="dimmed">nobody yet</Text>}</Table.Td>
      <Table.Td><Tooltip label={time(board.created)}><span>{ago(board.created)}</span></Tooltip></Table.Td>
      <Table.Td>{board.job && <Link to={`/jobs?job=${board.job}`} aria-label={`Job of ${board.name}`}>job</Link>}</Table.Td>
    </Table.Tr>
  );
}
