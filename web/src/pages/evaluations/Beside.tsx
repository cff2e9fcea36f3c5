/** This run beside another: of the same evaluation or of another one, score by score and item by item. */

import { Button, Group, Select, Stack, Table, Text, Title } from "@mantine/core";
import { useQueries, useQuery } from "@tanstack/react-query";
import { useSearchParams } from "react-router";
import { usePut } from "../../lib/addressBar";
import { inUnit } from "../../lib/cells";
import { areApart, besideOf, type Beside as Pair, lineOf, type Report, type Score } from "../../lib/evaluations";
import { count } from "../../lib/format";
import { toldEstimate } from "../../lib/interval";
import { IntervalBar } from "../../parts/IntervalBar";
import { Empty, Failed, Waiting } from "../../parts/states";
import { acrossQuery, BESIDE_ITEMS, evaluationQuery, evaluationsQuery, itemQuery, type Opened, someItemsQuery } from "./ask";
import { Scores, Shown } from "./Compare";
import { AnswerView } from "./ItemView";

export function Beside({ evaluation }: { evaluation: Opened }) {
  const [params] = useSearchParams();
  const put = usePut();
  const all = useQuery(evaluationsQuery);
  const runs = (all.data?.data ?? []).flatMap(({ name, version }) => Array.from({ length: version }, (_, at) => `${name}@${version - at}`)).filter((run) => run !== `${evaluation.name}@${evaluation.version}`);
  const chosen = runs.find((run) => run === params.get("run")) ?? null;
  return (
    <Stack gap="sm">
      <Select
        label="The other run" w={320} placeholder={all.isPending ? "Loading…" : runs.length === 0 ? "There is no other" : "Choose one"} data={runs} value={chosen} onChange={(value) => put({ run: value, from: null, mine: null, theirs: null })} searchable clearable
        error={all.isError ? all.error.message : undefined}
      />
      {chosen === null ? <Empty title="No other run is chosen">A version of this evaluation, or of another one, whose numbers and answers are to stand beside these.</Empty> : <Other key={chosen} evaluation={evaluation} run={chosen} />}
    </Stack>
  );
}

function Other({ evaluation, run }: { evaluation: Opened; run: string }) {
  const at = run.lastIndexOf("@");
  const asked = useQuery(evaluationQuery(run.slice(0, at), Number(run.slice(at + 1))));
  if (asked.isPending) return <Waiting what="Loading the other run" />;
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  return <Both evaluation={evaluation} other={asked.data} />;
}

function Both({ evaluation, other }: { evaluation: Opened; other: Opened }) {
  const [params] = useSearchParams();
  const put = usePut();
  const nameOf = (of: Report, wanted: string | null) => of.targets.find((target) => target.name === wanted) ?? of.targets[0];
  const mine = nameOf(evaluation.report, params.get("mine"));
  const theirs = nameOf(other.report, params.get("theirs") ?? mine?.name ?? null);
  const [here, there] = [`${evaluation.name}@${evaluation.version}`, `${other.name}@${other.version}`];
  const same = evaluation.definition.dataset === other.definition.dataset;
  const compared = useQuery({ ...acrossQuery(evaluation, other, mine?.name ?? "", theirs?.name ?? ""), enabled: same && mine !== undefined && theirs !== undefined });
  const comparisons = compared.data?.data ?? [];
  const targets = (of: Report) => of.targets.map((target) => ({ value: target.name, label: `${target.name} · ${target.label}` }));
  return (
    <>
      <Group grow align="flex-end">
        <Select label={`A: target of ${here}`} data={targets(evaluation.report)} value={mine?.name ?? null} onChange={(value) => put({ mine: value })} allowDeselect={false} />
        <Select label={`B: target of ${there}`} data={targets(other.report)} value={theirs?.name ?? null} onChange={(value) => put({ theirs: value })} allowDeselect={false} />
      </Group>
      <Table.ScrollContainer minWidth={900}>
        <Table aria-label={`${here} and ${there}`}>
          <Table.Thead><Table.Tr><Table.Th scope="col">Score</Table.Th><Table.Th scope="col" className="num">A ({here})</Table.Th><Table.Td /><Table.Th scope="col" className="num">B ({there})</Table.Th><Table.Td /><Table.Th scope="col">Apart</Table.Th></Table.Tr></Table.Thead>
          <Table.Tbody>{besideOf(mine, theirs).map((pair) => <Line key={pair.name} pair={pair} />)}</Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Text size="xs" c="dimmed">Each interval is of its own run. Where two have nothing in common the runs differ; where they overlap they may differ all the same.{!same && ` The runs are of different items: ${evaluation.definition.dataset} and ${other.definition.dataset}.`}</Text>
      {compared.isError && <Failed error={compared.error} retry={() => void compared.refetch()} />}
      {comparisons.length > 0 && (
        <section>
          <Title order={2} mb={4}>Held against each other item by item</Title>
          <Shown comparisons={comparisons} />
          <Scores comparisons={comparisons} a={here} b={there} ofTwoRuns />
          <Text size="xs" c="dimmed">The difference is B − A with its 95 % interval, over the items on which both have a score. It is one pair of runs, so p is corrected for nothing else.</Text>
        </section>
      )}
      {same && mine && theirs && <Answers evaluation={evaluation} other={other} mine={mine.name} theirs={theirs.name} />}
    </>
  );
}

function Line({ pair: { name, a, b, axis } }: { pair: Pair }) {
  const apart = a === undefined || b === undefined ? "only one has it" : areApart(a, b) ? "yes" : "not by their intervals";
  const cells = (score: Score | undefined, label: string) => {
    const say = (value: number) => inUnit(score?.unit ?? "count", value);
    return [
      <Table.Td key={`${label} number`} className="num">{score === undefined ? "–" : toldEstimate(score, say)}</Table.Td>,
      <Table.Td key={`${label} drawn`}>{score !== undefined && <IntervalBar estimate={score} axis={axis} label={`${name} of ${label}`} say={say} />}</Table.Td>,
    ];
  };
  return <Table.Tr><Table.Td>{name.replaceAll("_", " ")}</Table.Td>{cells(a, "A")}{cells(b, "B")}<Table.Td>{apart}</Table.Td></Table.Tr>;
}

/** The answers of both, item by item. */
function Answers({ evaluation, other, mine, theirs }: { evaluation: Opened; other: Opened; mine: string; theirs: string }) {
  const [params] = useSearchParams();
  const put = usePut();
  const from = Math.max(0, Math.trunc(Number(params.get("from")) || 0));
  const asked = useQuery(someItemsQuery(evaluation, from));
  const items = asked.data?.data ?? [];
  const found = useQueries({ queries: items.map(({ item }) => ({ ...itemQuery(other, item), retry: false })) });
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  if (asked.isPending) return <Waiting what="Loading the items" />;
  const { total, next_cursor: next } = asked.data;
  return (
    <section>
      <Title order={2} mb={4}>Answers beside each other</Title>
      <Group gap={8} mb={6}>
        <Text size="sm" role="status">Items {count(Math.min(from + 1, total))} to {count(from + items.length)} of {count(total)}</Text>
        <Button variant="default" size="compact-xs" disabled={from === 0} onClick={() => put({ from: from <= BESIDE_ITEMS ? null : String(from - BESIDE_ITEMS) })}>Previous page</Button>
        <Button variant="default" size="compact-xs" disabled={next == null} onClick={() => put({ from: next ?? null })}>Next page</Button>
      </Group>
      <Table.ScrollContainer minWidth={900}>
        <Table className="items" layout="fixed" aria-label="Answers beside each other">
          <Table.Thead><Table.Tr>{["Item", "A", "B"].map((head) => <Table.Th key={head} scope="col">{head}</Table.Th>)}</Table.Tr></Table.Thead>
          <Table.Tbody>
            {items.map((item, at) => {
              const [a, b] = [item.answers.find((answer) => answer.target === mine), found[at]?.data?.answers.find((answer) => answer.target === theirs)];
              return (
                <Table.Tr key={item.item}>
                  <Table.Td><Text size="xs" c="dimmed">{item.row_id}</Text><Text size="sm">{lineOf(item.values, [item.row_id, ...item.references, ...item.answers.flatMap(({ output }) => output ?? [])])}</Text>{item.references.length > 0 && <Text size="xs" c="dimmed">Reference: {item.references.join(" · ")}</Text>}</Table.Td>
                  <Table.Td>{a ? <AnswerView answer={a} references={item.references} report={evaluation.report} title={`A: ${mine}`} /> : <Text size="sm" c="dimmed">no answer</Text>}</Table.Td>
                  <Table.Td>{b ? <AnswerView answer={b} references={item.references} report={other.report} title={`B: ${theirs}`} /> : <Text size="sm" c="dimmed">{found[at]?.isPending ? "…" : "not among its items"}</Text>}</Table.Td>
                </Table.Tr>
              );
            })}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </section>
  );
}
