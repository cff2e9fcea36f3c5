/** All judges of the project with what is known of their word, and those that are there already. */

import { Button, Group, Stack, Table, Text, TextInput, Title, Tooltip } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import { ago, time } from "../../lib/format";
import { headlineOf, type JudgeDefinition, METHODS, scaleOf } from "../../lib/judges";
import { Empty, Failed, Waiting } from "../../parts/states";
import { Uncalibrated } from "../../parts/Uncalibrated";
import { useListKeys } from "../../shell/keys";
import { useSession } from "../../signin/session";
import { cardQuery, type Judge, judgesQuery, type Ready, readyQuery } from "./ask";
import { NewJudge } from "./NewJudge";

const COLUMNS = ["Name", "Version", "Model", "Asks", "Scale", "Worth", "Made"];

export const linkTo = (name: string): string => `/judges/${encodeURIComponent(name)}`;

export function JudgeList() {
  const asked = useQuery(judgesQuery);
  const ready = useQuery(readyQuery);
  const [params, setParams] = useSearchParams();
  // What a new judge is made from: a ready one, a file, or nothing yet.
  const [making, setMaking] = useState<Ready | "file" | null>(null);
  const { may } = useSession();
  const wanted = (params.get("name") ?? "").toLowerCase();
  const all = asked.data?.data ?? [];
  const shown = all.filter((judge) => judge.name.toLowerCase().includes(wanted));
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={1}>Judges</Title>
        <Group>
          <TextInput
            data-search aria-label="Find a judge" placeholder="Name  ( / )" value={params.get("name") ?? ""}
            onChange={(event) => setParams(event.currentTarget.value === "" ? {} : { name: event.currentTarget.value }, { replace: true })}
          />
          {may("write") && <Button onClick={() => setMaking("file")}>New judge</Button>}
        </Group>
      </Group>
      {asked.isPending && <Waiting what="Loading the judges" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && all.length === 0 && <Empty title="No judges yet">A judge is a model that is asked how good something is, with its words and its scale. Compared with people it gets a card that says what its word is worth. Make one from those that are there already.</Empty>}
      {all.length > 0 && shown.length === 0 && <Empty title="No such judge" action={<Button variant="default" onClick={() => setParams({})}>Show all</Button>} />}
      {shown.length > 0 && <Judges key={wanted} judges={shown} />}
      {ready.isError && <Failed error={ready.error} retry={() => void ready.refetch()} />}
      {ready.data && <ReadyJudges judges={ready.data.data} make={may("write") ? setMaking : null} />}
      <NewJudge key={making === null || making === "file" ? "file" : making.name} from={making} close={() => setMaking(null)} />
    </Stack>
  );
}

function Judges({ judges }: { judges: readonly Judge[] }) {
  const navigate = useNavigate();
  const [at, setAt] = useState(-1);
  useListKeys(
    (step) => setAt((old) => Math.max(0, Math.min(judges.length - 1, old + step))),
    () => judges[at] && void navigate(linkTo(judges[at].name)),
  );
  return (
    <Table.ScrollContainer minWidth={1000}>
      <Table highlightOnHover aria-label="Judges">
        <Table.Thead><Table.Tr>{COLUMNS.map((name) => <Table.Th key={name} scope="col" className={name === "Version" ? "num" : ""}>{name}</Table.Th>)}</Table.Tr></Table.Thead>
        <Table.Tbody>{judges.map((judge, index) => <Line key={judge.id} judge={judge} current={index === at} />)}</Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Line({ judge, current }: { judge: Judge; current: boolean }) {
  const definition = judge.definition as unknown as JudgeDefinition;
  const models = Object.entries(judge.models);
  return (
    <Table.Tr bg={current ? "var(--mantine-color-default-hover)" : undefined}>
      <Table.Td title={definition.description}><Link to={linkTo(judge.name)}><Text component="span" size="sm" fw={600}>{judge.name}</Text></Link></Table.Td>
      <Table.Td className="num">{judge.version}</Table.Td>
      <Table.Td className="clip" maw={260} title={models.map(([name, target]) => `${name} is ${target}`).join(", ")}>{models.map(([name]) => name).join(", ") || "none"}</Table.Td>
      <Table.Td>{METHODS[judge.method] ?? judge.method}</Table.Td>
      <Table.Td>{scaleOf(definition)}</Table.Td>
      <Table.Td><Worth judge={judge} /></Table.Td>
      <Table.Td><Tooltip label={time(judge.created)}><span>{ago(judge.created)}</span></Tooltip></Table.Td>
    </Table.Tr>
  );
}

/** The headline of a card, or that there is none. */
function Worth({ judge }: { judge: Judge }) {
  const asked = useQuery({ ...cardQuery(judge.name, judge.version), enabled: judge.calibrated });
  if (!judge.calibrated) return <Uncalibrated />;
  if (asked.isError) return <span className="failed">not read</span>;
  const card = asked.data?.card;
  return card == null ? <>…</> : <span title={card.sentence}>{headlineOf(card)}</span>;
}

function ReadyJudges({ judges, make }: { judges: readonly Ready[]; make: ((judge: Ready) => void) | null }) {
  return (
    <section>
      <Title order={2} mt="md">Ready judges</Title>
      <Text size="sm" c="dimmed" mb="xs">They are there already and name no model. Make one of your own from one of them, with the model that judges.</Text>
      <Table.ScrollContainer minWidth={800}>
        <Table highlightOnHover aria-label="Ready judges">
          <Table.Thead><Table.Tr>{["Name", "Looks at", "Asks", "Needs"].map((name) => <Table.Th key={name} scope="col">{name}</Table.Th>)}<Table.Td /></Table.Tr></Table.Thead>
          <Table.Tbody>
            {judges.map((judge) => (
              <Table.Tr key={judge.name}>
                <Table.Td><Text component="span" size="sm" fw={600}>{judge.name}</Text></Table.Td>
                <Table.Td>{judge.description}</Table.Td>
                <Table.Td>{METHODS[judge.method] ?? judge.method}</Table.Td>
                <Table.Td>{judge.inputs.join(", ")}</Table.Td>
                <Table.Td ta="right">{make && <Button variant="default" size="compact-xs" onClick={() => make(judge)} aria-label={`Make one from ${judge.name}`}>Make one</Button>}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </section>
  );
}
