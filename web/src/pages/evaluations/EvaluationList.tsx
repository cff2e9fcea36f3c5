/** All evaluations of the project with what came of each. */

import { Button, Group, Modal, Stack, Table, Text, TextInput, Title, Tooltip } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import { inUnit } from "../../lib/cells";
import { scoreOf, scoresOf, type Report } from "../../lib/evaluations";
import { ago, count, money, time } from "../../lib/format";
import { toldEstimate } from "../../lib/interval";
import { CodeBlock } from "../../parts/Code";
import { StateBadge } from "../../parts/Standing";
import { Empty, Failed, Waiting } from "../../parts/states";
import { Uncalibrated } from "../../parts/Uncalibrated";
import { useListKeys } from "../../shell/keys";
import { useSession } from "../../signin/session";
import { type Evaluation, evaluationQuery, evaluationsQuery } from "./ask";

/** Each line asks for a report, which the server computes: so many at once. */
const AT_ONCE = 20;
const COLUMNS = ["Name", "Version", "State", "Targets", "Items", "First score", "Spent", "Made", "Job"];
const NUMERIC = new Set(["Version", "Targets", "Items", "Spent"]);

const START = `quarterdeck dataset import answers answers.jsonl
quarterdeck eval run answers --file answers.json --gate 'rouge_l >= 0.4'`;
const DEFINITION = `{
  "dataset": "answers",
  "targets": {
    "before": {"column": "answer"},
    "after": {"prompt": "helper@production", "model": "smollm2-135m-instruct"}
  },
  "scorers": [{"kind": "exact_match"}, {"kind": "rouge_l"}, {"kind": "judge", "judge": "ready/correctness@smollm2-135m-instruct"}]
}`;

export const linkTo = (name: string): string => `/evaluations/${encodeURIComponent(name)}`;

export function EvaluationList() {
  const asked = useQuery(evaluationsQuery);
  const [params, setParams] = useSearchParams();
  const [starting, setStarting] = useState(false);
  const { may } = useSession();
  const wanted = (params.get("name") ?? "").toLowerCase();
  const all = asked.data?.data ?? [];
  const shown = all.filter((evaluation) => evaluation.name.toLowerCase().includes(wanted));
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={1}>Evaluations</Title>
        <Group>
          <TextInput
            data-search aria-label="Find an evaluation" placeholder="Name  ( / )" value={params.get("name") ?? ""}
            onChange={(event) => setParams(event.currentTarget.value === "" ? {} : { name: event.currentTarget.value }, { replace: true })}
          />
          <Button variant="default" onClick={() => setStarting(true)}>From the command line</Button>
          {may("write") && may("infer") && <Button component={Link} to="/evaluations?new=1">New evaluation</Button>}
        </Group>
      </Group>
      {asked.isPending && <Waiting what="Loading the evaluations" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && all.length === 0 && <Empty title="No evaluations yet" action={may("write") && may("infer") ? <Button component={Link} to="/evaluations?new=1">New evaluation</Button> : undefined}><Start /></Empty>}
      {all.length > 0 && shown.length === 0 && <Empty title="No such evaluation" action={<Button variant="default" onClick={() => setParams({})}>Show all</Button>} />}
      {shown.length > 0 && <Evaluations key={wanted} evaluations={shown} />}
      <Modal opened={starting} onClose={() => setStarting(false)} title="Start an evaluation from the command line" size="lg" closeButtonProps={{ "aria-label": "Close" }}><Start /></Modal>
    </Stack>
  );
}

function Start() {
  return (
    <Stack gap="xs" ta="left">
      <Text size="sm">An evaluation looks at answers to the rows of a <Link to="/datasets">dataset</Link>, of a column or of a prompt with a model, with metrics, scorers and <Link to="/judges">judges</Link>, and says how good they are and how sure that is.</Text>
      <CodeBlock code={START} label="Copy the commands" />
      <Text size="sm">with an <code>answers.json</code> such as</Text>
      <CodeBlock code={DEFINITION} label="Copy the definition" />
    </Stack>
  );
}

function Evaluations({ evaluations }: { evaluations: readonly Evaluation[] }) {
  const navigate = useNavigate();
  const [at, setAt] = useState(-1);
  const [shown, setShown] = useState(AT_ONCE);
  const lines = evaluations.slice(0, shown);
  useListKeys(
    (step) => setAt((old) => Math.max(0, Math.min(lines.length - 1, old + step))),
    () => lines[at] && void navigate(linkTo(lines[at].name)),
  );
  return (
    <>
      <Table.ScrollContainer minWidth={1000}>
        <Table highlightOnHover aria-label="Evaluations">
          <Table.Thead><Table.Tr>{COLUMNS.map((name) => <Table.Th key={name} scope="col" className={NUMERIC.has(name) ? "num" : ""}>{name}</Table.Th>)}</Table.Tr></Table.Thead>
          <Table.Tbody>{lines.map((evaluation, index) => <Line key={evaluation.id} evaluation={evaluation} current={index === at} />)}</Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {evaluations.length > shown && <Group justify="center"><Button variant="default" onClick={() => setShown(shown + AT_ONCE)}>More</Button></Group>}
    </>
  );
}

function Line({ evaluation, current }: { evaluation: Evaluation; current: boolean }) {
  const asked = useQuery(evaluationQuery(evaluation.name, evaluation.version));
  const report = asked.data?.report;
  return (
    <Table.Tr bg={current ? "var(--mantine-color-default-hover)" : undefined}>
      <Table.Td><Link to={linkTo(evaluation.name)}><Text component="span" size="sm" fw={600}>{evaluation.name}</Text></Link></Table.Td>
      <Table.Td className="num">{evaluation.version}</Table.Td>
      <Table.Td><StateBadge of={asked.data ?? evaluation} /></Table.Td>
      <Table.Td className="num" title={Object.entries(evaluation.targets).map(([name, label]) => `${name}: ${label}`).join("\n")}>{count(Object.keys(evaluation.targets).length)}</Table.Td>
      <Table.Td className="num">{count(evaluation.items)}</Table.Td>
      <Table.Td className="clip" maw={420}>{asked.isError ? <span className="failed">not read</span> : report === undefined ? "…" : <First report={report} />}</Table.Td>
      <Table.Td className="num">{money(report?.spent_picodollars)}</Table.Td>
      <Table.Td><Tooltip label={time(evaluation.created)}><span>{ago(evaluation.created)}</span></Tooltip></Table.Td>
      <Table.Td>{evaluation.job && <Link to={`/jobs?job=${evaluation.job}`} aria-label={`Job of ${evaluation.name}`}>job</Link>}</Table.Td>
    </Table.Tr>
  );
}

/** The first score of each target. */
function First({ report }: { report: Report }) {
  const [name] = scoresOf(report);
  if (name === undefined) return <Text component="span" size="sm" c="dimmed">no scores yet</Text>;
  const told = report.targets.map((target) => {
    const score = scoreOf(target, name);
    const said = score === undefined ? "–" : toldEstimate(score, (value) => inUnit(score.unit, value));
    return report.targets.length === 1 ? said : `${target.name} ${said}`;
  });
  const uncalibrated = report.targets.some((target) => scoreOf(target, name)?.judge?.calibrated === false);
  return <span title={told.join(", ")}>{name.replaceAll("_", " ")}: {told.join(" · ")}{uncalibrated && <> <Uncalibrated /></>}</span>;
}
