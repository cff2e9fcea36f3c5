/** Two cells held against each other over the items that both answered. */

import { Alert, Group, Select, Stack, Switch, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useSearchParams } from "react-router";
import { usePut } from "../../lib/addressBar";
import { differenceInUnit, differences, inUnit, sentence } from "../../lib/cells";
import { count, pValue } from "../../lib/format";
import { Empty, Failed, Waiting } from "../../parts/states";
import { useChosen } from "./address";
import { type Comparison, comparisonQuery, type Opened } from "./ask";

const TESTS: Record<string, string> = { mcnemar: "McNemar, mid-p", sign_flip: "sign flip", student_t: "Student’s paired t" };

export function Compare({ experiment }: { experiment: Opened }) {
  const { chosen, choose } = useChosen(experiment.report);
  const [a, b] = chosen;
  if (a === undefined || experiment.report.cells.length < 2) return <Empty title="Nothing to compare">The experiment has one cell.</Empty>;
  const other = b ?? experiment.report.cells.find((cell) => cell.id !== a)!.id;
  const options = experiment.report.cells.map((cell) => ({ value: cell.id, label: `${cell.id} · ${cell.label}` }));
  // The same cell on both sides is no question: the two change places.
  const put = (first: string, second: string) => choose(first === second ? [other, a].slice(0, 2) : [first, second]);
  return (
    <Stack gap="sm">
      <Group grow align="flex-end">
        <Select label="A" data={options} value={a} onChange={(value) => value !== null && put(value, other)} searchable allowDeselect={false} />
        <Select label="B, held against A" data={options} value={other} onChange={(value) => value !== null && put(a, value)} searchable allowDeselect={false} />
      </Group>
      <Compared experiment={experiment} a={a} b={other} />
    </Stack>
  );
}

function Compared({ experiment, a, b }: { experiment: Opened; a: string; b: string }) {
  const [params] = useSearchParams();
  const put = usePut();
  const planned = params.get("planned") === "1";
  const asked = useQuery(comparisonQuery(experiment, [a, b], planned));
  const all = asked.data?.data ?? [];
  const first = all.find((one) => one.scorer === experiment.report.metric);
  return (
    <>
      <Switch label="This pair was chosen before anything was seen, so p values need no correction" checked={planned} onChange={(event) => put({ planned: event.currentTarget.checked ? "1" : null })} />
      {asked.isPending && <Waiting what="Comparing" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {first && <Alert variant="outline" color={first.verdict === "not_shown" ? "gray" : "teal"} title={`By ${first.scorer.replaceAll("_", " ")}`} data-testid="compared"><Text size="sm">{sentence(first.sentence)}</Text></Alert>}
      {asked.data && all.length === 0 && <Empty title="Nothing in common">There is no item that both cells answered and that has a score.</Empty>}
      {all.length > 0 && <Scores comparisons={all} a={a} b={b} planned={planned} />}
      {all.length > 0 && <Text size="xs" c="dimmed">The difference is B − A with its 95 % interval, by the paired bootstrap over the items that both have a score for. It is shown where {planned ? "p" : "the corrected p"} is at most 0.05 and the interval does not hold 0.{!planned && ` Of each score by itself, p is corrected by Holm for all pairs of cells that are in the race and have it: ${families(all)}.`}</Text>}
    </>
  );
}

/** For how many pairs p values are corrected; scores that not all cells have may have fewer. */
function families(all: readonly Comparison[]): string {
  const sizes = [...new Set(all.map((one) => one.family ?? 0))].sort((a, b) => a - b);
  return sizes.length === 1 && sizes[0] === 1 ? "1 pair" : `${sizes.join(" or ")} pairs`;
}

function Scores({ comparisons, a, b, planned }: { comparisons: readonly Comparison[]; a: string; b: string; planned: boolean }) {
  const heads = [`A (${a})`, `B (${b})`, "B − A", "Interval", "p", planned ? "p, not corrected" : "p, corrected (Holm)", "A better", "B better", "Items"];
  return (
    <Table.ScrollContainer minWidth={1150}>
      <Table className="compared" aria-label={`${a} and ${b}`}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th scope="col">Score</Table.Th><Table.Th scope="col">Shown</Table.Th>
            {heads.map((head) => <Table.Th key={head} scope="col" className="num">{head}</Table.Th>)}
            <Table.Th scope="col">Test</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>{comparisons.map((one) => <Line key={one.scorer} one={one} a={a} b={b} />)}</Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Line({ one, a, b }: { one: Comparison; a: string; b: string }) {
  const [params] = useSearchParams();
  const { unit } = one;
  const shown = one.verdict === "a_better" ? `${a} is better` : one.verdict === "b_better" ? `${b} is better` : "no difference shown";
  const interval = one.low == null || one.high == null ? "–" : differences(unit, one.low, one.high);
  const items = new URLSearchParams(params);
  for (const [name, value] of Object.entries({ tab: "items", cells: `${a},${b}`, disagree: one.scorer })) items.set(name, value);
  return (
    <Table.Tr>
      <Table.Td title={one.sentence}>
        {one.scorer.replaceAll("_", " ")}
        <Text component="div" size="xs"><Link to={`?${items}`} aria-label={`Where they disagree in ${one.scorer}`}>Where they disagree</Link></Text>
      </Table.Td>
      <Table.Td>{shown}</Table.Td>
      {[inUnit(unit, one.mean_a), inUnit(unit, one.mean_b), differenceInUnit(unit, one.difference), interval, pValue(one.p), pValue(one.adjusted_p), count(one.better_a), count(one.better_b)].map((value, at) => <Table.Td key={at} className="num">{value}</Table.Td>)}
      <Table.Td className="num">{count(one.items)}{one.left_out > 0 && <Text component="div" size="xs" c="dimmed">{count(one.left_out)} left out</Text>}</Table.Td>
      <Table.Td title={one.exact_p == null ? undefined : `exact p ${pValue(one.exact_p)}`}>{TESTS[one.test] ?? one.test}</Table.Td>
    </Table.Tr>
  );
}
