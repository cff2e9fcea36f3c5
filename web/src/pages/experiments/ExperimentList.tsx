/** All experiments of the project with what came of each. */

import { Button, Group, Modal, Stack, Table, Text, TextInput, Title, Tooltip } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import { measuresOf, told } from "../../lib/cells";
import { ago, count, money, time } from "../../lib/format";
import { CodeBlock } from "../../parts/Code";
import { StateBadge } from "../../parts/Standing";
import { Empty, Failed, Waiting } from "../../parts/states";
import { useListKeys } from "../../shell/keys";
import { useSession } from "../../signin/session";
import { type Experiment, experimentQuery, experimentsQuery, type Report } from "./ask";

/** Each line asks for a report, which the server computes: so many at once. */
const AT_ONCE = 20;
const COLUMNS = ["Name", "Version", "State", "Cells", "Items", "Result", "Spent", "Made", "Job"];
const NUMERIC = new Set(["Version", "Cells", "Items", "Spent"]);

const START = `quarterdeck dataset import navigate navigate.jsonl
quarterdeck prompt create plain --file plain.json
quarterdeck experiment run navigate --file navigate.json`;
const DEFINITION = `{
  "dataset": "navigate", "items": {"limit": 100},
  "prompts": ["plain", "stepwise@production"],
  "models": ["smollm2-135m-instruct"],
  "parameters": {"temperature": [0, 0.7]}, "shots": [0, 3],
  "scorers": [{"kind": "exact_match", "ignore_case": true}, {"kind": "latency"}],
  "budget": {"usd": 2.0}
}`;

export function ExperimentList() {
  const asked = useQuery(experimentsQuery);
  const [params, setParams] = useSearchParams();
  const [starting, setStarting] = useState(false);
  const { may } = useSession();
  const wanted = (params.get("name") ?? "").toLowerCase();
  const all = asked.data?.data ?? [];
  const shown = all.filter((experiment) => experiment.name.toLowerCase().includes(wanted));
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={1}>Experiments</Title>
        <Group>
          <TextInput
            data-search aria-label="Find an experiment" placeholder="Name  ( / )" value={params.get("name") ?? ""}
            onChange={(event) => setParams(event.currentTarget.value === "" ? {} : { name: event.currentTarget.value }, { replace: true })}
          />
          <Button variant="default" onClick={() => setStarting(true)}>From the command line</Button>
          {may("write") && may("infer") && <Button component={Link} to="/experiments?new=1">New experiment</Button>}
        </Group>
      </Group>
      {asked.isPending && <Waiting what="Loading the experiments" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && all.length === 0 && <Empty title="No experiments yet" action={may("write") && may("infer") ? <Button component={Link} to="/experiments?new=1">New experiment</Button> : undefined}><Start /></Empty>}
      {all.length > 0 && shown.length === 0 && <Empty title="No such experiment" action={<Button variant="default" onClick={() => setParams({})}>Show all</Button>} />}
      {shown.length > 0 && <Experiments key={wanted} experiments={shown} />}
      <Modal opened={starting} onClose={() => setStarting(false)} title="Start an experiment from the command line" size="lg" closeButtonProps={{ "aria-label": "Close" }}><Start /></Modal>
    </Stack>
  );
}

/** Experiments can be begun where their files are. */
function Start() {
  return (
    <Stack gap="xs" ta="left">
      <Text size="sm">An experiment asks prompts, models, parameters and numbers of examples about the rows of a <Link to="/datasets">dataset</Link>, and says which of them are better, how sure that is, and what they cost.</Text>
      <CodeBlock code={START} label="Copy the commands" />
      <Text size="sm">with a <code>navigate.json</code> such as</Text>
      <CodeBlock code={DEFINITION} label="Copy the definition" />
    </Stack>
  );
}

export const linkTo = (name: string): string => `/experiments/${encodeURIComponent(name)}`;

function Experiments({ experiments }: { experiments: readonly Experiment[] }) {
  const navigate = useNavigate();
  const [at, setAt] = useState(-1);
  const [shown, setShown] = useState(AT_ONCE);
  const lines = experiments.slice(0, shown);
  useListKeys(
    (step) => setAt((old) => Math.max(0, Math.min(lines.length - 1, old + step))),
    () => lines[at] && void navigate(linkTo(lines[at].name)),
  );
  return (
    <>
      <Table.ScrollContainer minWidth={1000}>
        <Table highlightOnHover aria-label="Experiments">
          <Table.Thead><Table.Tr>{COLUMNS.map((name) => <Table.Th key={name} scope="col" className={NUMERIC.has(name) ? "num" : ""}>{name}</Table.Th>)}</Table.Tr></Table.Thead>
          <Table.Tbody>{lines.map((experiment, index) => <Line key={experiment.id} experiment={experiment} current={index === at} />)}</Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {experiments.length > shown && <Group justify="center"><Button variant="default" onClick={() => setShown(shown + AT_ONCE)}>More</Button></Group>}
    </>
  );
}

function Line({ experiment, current }: { experiment: Experiment; current: boolean }) {
  const asked = useQuery(experimentQuery(experiment.name, experiment.version));
  const report = asked.data?.report;
  return (
    <Table.Tr bg={current ? "var(--mantine-color-default-hover)" : undefined}>
      <Table.Td><Link to={linkTo(experiment.name)}><Text component="span" size="sm" fw={600}>{experiment.name}</Text></Link></Table.Td>
      <Table.Td className="num">{experiment.version}</Table.Td>
      <Table.Td><StateBadge of={asked.data ?? experiment} /></Table.Td>
      <Table.Td className="num">{count(experiment.cells)}</Table.Td>
      <Table.Td className="num">{count(experiment.items)}</Table.Td>
      <Table.Td className="clip" maw={380} title={report?.sentence}>{asked.isError ? <span className="failed">not read</span> : report === undefined ? "…" : <Result report={report} />}</Table.Td>
      <Table.Td className="num">{money(report?.spent_picodollars)}</Table.Td>
      <Table.Td><Tooltip label={time(experiment.created)}><span>{ago(experiment.created)}</span></Tooltip></Table.Td>
      <Table.Td>{experiment.job && <Link to={`/jobs?job=${experiment.job}`} aria-label={`Job of ${experiment.name}`}>job</Link>}</Table.Td>
    </Table.Tr>
  );
}

/** The winner with its score, or that there is none. */
function Result({ report }: { report: Report }) {
  const winner = report.cells.find((cell) => cell.id === report.winner);
  if (winner === undefined) return <Text component="span" size="sm" c="dimmed">{report.answers === 0 ? "no answers yet" : "no winner"}</Text>;
  return <>{winner.id} ({winner.label}), {told(measuresOf(report.cells, report.metric)[0], winner)}</>;
}
