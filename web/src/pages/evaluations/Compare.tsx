/** Two targets held against each other by every score. */

import { Alert, Group, Select, Stack, Table, Text } from "@mantine/core";
import { Link, useSearchParams } from "react-router";
import { usePut } from "../../lib/addressBar";
import { differenceInUnit, differences, inUnit } from "../../lib/cells";
import { type Comparison, comparisonsOf } from "../../lib/evaluations";
import { count, pValue } from "../../lib/format";
import { axisOf } from "../../lib/interval";
import { IntervalBar } from "../../parts/IntervalBar";
import { Empty } from "../../parts/states";
import type { Opened } from "./ask";

const TESTS: Record<string, string> = { mcnemar: "McNemar, mid-p", sign_flip: "sign flip", student_t: "Student’s paired t", paired_bootstrap: "paired bootstrap" };

export function Compare({ evaluation: { report } }: { evaluation: Opened }) {
  const [params] = useSearchParams();
  const put = usePut();
  const names = report.targets.map((target) => target.name);
  const a = names.find((name) => name === params.get("a")) ?? names[0]!;
  const b = names.find((name) => name === params.get("b") && name !== a) ?? names.find((name) => name !== a)!;
  const all = comparisonsOf(report, a, b);
  const data = report.targets.map((target) => ({ value: target.name, label: `${target.name} · ${target.label}` }));
  // The same target on both sides is no question: the two change places.
  const choose = (first: string, second: string) => (first === second ? put({ a: b, b: a }) : put({ a: first, b: second }));
  return (
    <Stack gap="sm">
      <Group grow align="flex-end">
        <Select label="A" data={data} value={a} onChange={(value) => value !== null && choose(value, b)} searchable allowDeselect={false} />
        <Select label="B, held against A" data={data} value={b} onChange={(value) => value !== null && choose(a, value)} searchable allowDeselect={false} />
      </Group>
      {all.length === 0 && <Empty title="Nothing in common">There is no item on which both have a score.</Empty>}
      {all.length > 0 && <Shown comparisons={all} />}
      {all.length > 0 && <Scores comparisons={all} a={a} b={b} />}
      {all.length > 0 && <Text size="xs" c="dimmed">The difference is B − A with its 95 % interval, over the items on which both have a score. p is corrected by Holm for all pairs of targets, of which there {all[0]?.family === 1 ? "is 1" : `are ${count(all[0]?.family)}`}; a difference is shown where that is at most 0.05 and the interval does not hold 0.</Text>}
    </Stack>
  );
}

/** What the comparisons show, in sentences. */
export function Shown({ comparisons }: { comparisons: readonly Comparison[] }) {
  const shown = comparisons.filter((one) => one.verdict !== "not_shown");
  const isAny = shown.length > 0;
  return (
    <Alert variant="outline" color={isAny ? "teal" : "gray"} title={isAny ? "What is shown" : "No difference is shown"} data-testid="compared">
      {(isAny ? shown : comparisons).map((one) => <Text key={one.scorer} size="sm">{one.scorer.replaceAll("_", " ")}: {one.sentence}.</Text>)}
    </Alert>
  );
}

/** A line for each score. Items on which targets of one run differ are linked unless it is said that they are of two. */
export function Scores({ comparisons, a, b, ofTwoRuns = false }: { comparisons: readonly Comparison[]; a: string; b: string; ofTwoRuns?: boolean }) {
  return (
    <Table.ScrollContainer minWidth={1200} scrollAreaProps={{ viewportProps: { tabIndex: 0 } }}>
      <Table className="compared" aria-label={`${a} and ${b}${ofTwoRuns ? ", item by item" : ""}`}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th scope="col">Score</Table.Th><Table.Th scope="col">Shown</Table.Th>
            {[`A (${a})`, `B (${b})`, "B − A"].map((head) => <Table.Th key={head} scope="col" className="num">{head}</Table.Th>)}
            <Table.Td />
            {["Interval", "p", "p, corrected (Holm)", "A better", "B better", "Items"].map((head) => <Table.Th key={head} scope="col" className="num">{head}</Table.Th>)}
            <Table.Th scope="col">Test</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>{comparisons.map((one) => <Line key={one.scorer} one={one} isLinked={!ofTwoRuns} />)}</Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Line({ one, isLinked }: { one: Comparison; isLinked: boolean }) {
  const { unit, a, b } = one;
  const shown = one.verdict === "a_better" ? `${a} is better` : one.verdict === "b_better" ? `${b} is better` : "no difference shown";
  const estimate = { value: one.difference, low: one.low, high: one.high };
  const [least, most] = axisOf([estimate, { value: 0 }]);
  // The same room on both sides, so that 0 is in the middle.
  const reach = Math.max(-least, most);
  return (
    <Table.Tr>
      <Table.Td title={one.sentence}>
        {one.scorer.replaceAll("_", " ")}{one.better === "lower" && <Text component="span" size="xs" c="dimmed"> lower is better</Text>}
        {isLinked && <Text component="div" size="xs"><Link to={`?${new URLSearchParams({ tab: "items", disagree: one.scorer })}`} aria-label={`Where they differ in ${one.scorer}`}>Where they differ</Link></Text>}
      </Table.Td>
      <Table.Td>{shown}</Table.Td>
      {[inUnit(unit, one.value_a), inUnit(unit, one.value_b), differenceInUnit(unit, one.difference)].map((value, at) => <Table.Td key={at} className="num">{value}</Table.Td>)}
      <Table.Td><IntervalBar estimate={estimate} axis={[-reach, reach]} label={`${one.scorer}, ${b} less ${a}`} say={(value) => differenceInUnit(unit, value)} width={120} /></Table.Td>
      {[one.low == null || one.high == null ? "–" : differences(unit, one.low, one.high), pValue(one.p), pValue(one.adjusted_p), count(one.better_a), count(one.better_b)].map((value, at) => <Table.Td key={at} className="num">{value}</Table.Td>)}
      <Table.Td className="num">{count(one.items)}{one.left_out > 0 && <Text component="div" size="xs" c="dimmed">{count(one.left_out)} left out</Text>}</Table.Td>
      <Table.Td>{TESTS[one.test] ?? one.test}</Table.Td>
    </Table.Tr>
  );
}
