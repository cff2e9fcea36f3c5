/** Which of two versions is better, as far as experiments and production know. */

import { Code, Group, Stack, Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import type { Schemas } from "../../api/client";
import { differenceInUnit, differences, inUnit } from "../../lib/cells";
import { count, duration } from "../../lib/format";
import { Failed, Waiting } from "../../parts/states";
import { evidenceQuery, METRICS_DAYS, type Metrics } from "./ask";
import { mean, ofScore, ofShare, ofUsd } from "./mean";

type Known = Schemas["PromptEvidence"];
type Pair = Schemas["PromptPairEvidence"];
type Score = Schemas["CellComparison"];

export function Evidence({ name, from, to }: { name: string; from: number; to: number }) {
  const asked = useQuery(evidenceQuery(name, from, to));
  if (asked.isPending) return <Waiting what="Looking for what is known" />;
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  return (
    <div className="prompt-evidence" data-testid="evidence">
      <Experiments known={asked.data} />
      <Production known={asked.data} />
    </div>
  );
}

/** A sentence of the server; what stands between backticks is a command. */
function Sentence({ text }: { text: string }) {
  return <Text size="sm">{text.split("`").map((part, at) => (at % 2 === 1 ? <Code key={at}>{part}</Code> : part))}</Text>;
}

function Experiments({ known: { experiment, experiment_sentence, from, to } }: { known: Known }) {
  return (
    <Stack gap="xs" component="section" aria-label="In experiments">
      <Title order={2} size="sm">In experiments</Title>
      <Sentence text={experiment_sentence} />
      {experiment && (
        <>
          <Table.ScrollContainer minWidth={560}>
            <Table aria-label="Scores in the experiment">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th scope="col">Score</Table.Th>
                  {[`Version ${from}`, `Version ${to}`, "Difference", "Items"].map((head) => <Table.Th key={head} scope="col" className="num">{head}</Table.Th>)}
                  <Table.Th scope="col">Shown</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>{experiment.pairs.map((pair) => <Scores key={pair.to_cell} experiment={experiment} pair={pair} numbers={[from, to]} />)}</Table.Tbody>
            </Table>
          </Table.ScrollContainer>
          {experiment.other_pairs > 0 && <Text size="xs" c="dimmed">{experiment.other_pairs} more settings are in the experiment.</Text>}
          <Text size="xs" c="dimmed">Over the items that both versions answered, with 95 % intervals; p values are corrected for all pairs of the experiment&apos;s cells.</Text>
        </>
      )}
    </Stack>
  );
}

function Scores({ experiment, pair, numbers }: { experiment: NonNullable<Known["experiment"]>; pair: Pair; numbers: [number, number] }) {
  const query = new URLSearchParams({ version: String(experiment.version), tab: "compare", cells: `${pair.from_cell},${pair.to_cell}` });
  return (
    <>
      <Table.Tr>
        <Table.Td colSpan={6}><Group gap={6}><Text size="xs" c="dimmed">{pair.setting}</Text><Link to={`/experiments/${encodeURIComponent(experiment.name)}?${query}`}><Text size="xs">{experiment.name}, {pair.from_cell} and {pair.to_cell}</Text></Link></Group></Table.Td>
      </Table.Tr>
      {pair.scores.map((score) => <Line key={score.scorer} score={score} numbers={numbers} />)}
    </>
  );
}

function Line({ score, numbers: [from, to] }: { score: Score; numbers: [number, number] }) {
  const { unit } = score;
  const shown = score.verdict === "a_better" ? `version ${from} is better` : score.verdict === "b_better" ? `version ${to} is better` : "no difference shown";
  return (
    <Table.Tr title={score.sentence}>
      <Table.Td>{score.scorer.replaceAll("_", " ")}</Table.Td>
      <Table.Td className="num">{inUnit(unit, score.mean_a)}</Table.Td>
      <Table.Td className="num">{inUnit(unit, score.mean_b)}</Table.Td>
      <Table.Td className="num">
        {differenceInUnit(unit, score.difference)}
        {score.low != null && score.high != null && <Text component="div" size="xs" c="dimmed">{differences(unit, score.low, score.high)}</Text>}
      </Table.Td>
      <Table.Td className="num">{count(score.items)}</Table.Td>
      <Table.Td>{shown}</Table.Td>
    </Table.Tr>
  );
}

function Production({ known: { production, production_sentence, from, to } }: { known: Known }) {
  const names = [...new Set(production.data.flatMap((version) => version.scores.map((score) => score.name)))];
  const rows: [string, (version: Metrics) => string][] = [
    ["Calls", (version) => count(version.calls)],
    ["Errors", (version) => mean(version.error_rate, ofShare)],
    ["p50", (version) => duration(version.latency_p50_ms)],
    ["p95", (version) => duration(version.latency_p95_ms)],
    ["Cost of a call", (version) => mean(version.cost_per_call_usd, ofUsd)],
    ...names.map((name): [string, (version: Metrics) => string] => [name, (version) => mean(version.scores.find((score) => score.name === name), ofScore)]),
  ];
  return (
    <Stack gap="xs" component="section" aria-label="In production">
      <Title order={2} size="sm">In production, the last {METRICS_DAYS} days</Title>
      <Sentence text={production_sentence} />
      {production.data.some((version) => version.calls > 0) && (
        <Table aria-label="Calls in production">
          <Table.Thead>
            <Table.Tr><Table.Td />{[from, to].map((number) => <Table.Th key={number} scope="col" className="num">Version {number}</Table.Th>)}</Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.map(([title, of]) => (
              <Table.Tr key={title}><Table.Th scope="row">{title}</Table.Th>{production.data.map((version) => <Table.Td key={version.version} className="num">{of(version)}</Table.Td>)}</Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </Stack>
  );
}
