/** The card of a judge: every number with its interval, beside what it is to be held against. */

import { Alert, Button, Group, Select, Stack, Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useSearchParams } from "react-router";
import { usePut } from "../../lib/addressBar";
import { sentence } from "../../lib/cells";
import { count, percent } from "../../lib/format";
import { axisOf, toldEstimate } from "../../lib/interval";
import { agreementOf, biasesOf, type Card, type CardLine, effortOf } from "../../lib/judges";
import { IntervalBar } from "../../parts/IntervalBar";
import { Empty, Failed, Waiting } from "../../parts/states";
import { calibrationsQuery, cardQuery, type Judge } from "./ask";

/** What became of the items, in words. */
const OUTCOMES: Record<string, string> = { told: "told", cannot_tell: "could not tell", invalid: "no verdict", failed: "failed" };

export function CardView({ judge }: { judge: Judge }) {
  const [params] = useSearchParams();
  const put = usePut();
  const dataset = params.get("dataset") ?? undefined;
  const asked = useQuery(cardQuery(judge.name, judge.version, dataset));
  const calibrations = useQuery(calibrationsQuery(judge.name, judge.version));
  const datasets = [...new Set((calibrations.data?.data ?? []).map((one) => one.dataset))];
  if (asked.isPending) return <Waiting what="Loading the card" />;
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  const { card } = asked.data;
  if (card == null) {
    return (
      <Empty title="Uncalibrated" action={<Button component={Link} to={`?${new URLSearchParams({ version: String(judge.version), tab: "calibrations" })}`}>Compare it with people</Button>}>
        Nobody has compared this version with people: take no word of it for a fact. A dataset in which people said what they think is all it takes.
      </Empty>
    );
  }
  return (
    <Stack gap="md">
      {datasets.length > 1 && <Select label="Compared on" w={280} data={datasets} value={card.dataset} onChange={(value) => put({ dataset: value })} allowDeselect={false} />}
      <Headline card={card} />
      <div className="card-columns">
        <Lines title="How far it says what people say" lines={agreementOf(card)} drawn />
        <Stack gap="md">
          {card.confusion && <Confusion card={card} />}
          <Outcomes card={card} />
        </Stack>
      </div>
      <div className="card-columns">
        <Stack gap="md">
          {card.biases && <Lines title="What it looks at besides" lines={biasesOf(card)} drawn />}
          {card.people && <People card={card} />}
        </Stack>
        <Stack gap="md">
          <Lines title="What it takes" lines={effortOf(card)} />
          {card.worth.length > 0 && <Worth card={card} />}
        </Stack>
      </div>
      <Text size="xs" c="dimmed">Intervals hold the truth with 95 % confidence. Of all items those that it did not tell are wrong; all other numbers are over what it told. Grey is what it is to be held against.</Text>
    </Stack>
  );
}

function Headline({ card }: { card: Card }) {
  const gain = card.accuracy.gain.low ?? 0;
  return (
    <Alert variant="outline" color={gain > 0 ? "teal" : "yellow"} title={`Compared with people on ${count(card.items)} items of ${card.dataset}`} data-testid="card">
      <Text size="sm">{sentence(card.sentence)}</Text>
      <Text size="xs" c="dimmed" mt={4}>
        People’s word: {card.labels.join(", ")}{card.undecided > 0 && ` · ${count(card.undecided)} items on which they did not decide are left out`} · <Link to={`/jobs?job=${card.job}`}>its job</Link>
        {card.state !== "finished" && ` · the comparison is ${card.state}: this is of the items so far`}{card.why && ` · ${card.why}`}
      </Text>
    </Alert>
  );
}

/** Numbers with their intervals; drawn on one axis for all that lie between −1 and 1. */
function Lines({ title, lines, drawn = false }: { title: string; lines: readonly CardLine[]; drawn?: boolean }) {
  const axis = axisOf(lines.filter((line) => line.kind !== "open").map((line) => line.stat), lines.some((line) => line.kind === "signed" && (line.stat.low ?? line.stat.value ?? 0) < 0) ? "signed" : "share");
  return (
    <section>
      <Title order={2} mb={4}>{title}</Title>
      <Table className="card-table" aria-label={title}>
        <Table.Thead><Table.Tr><Table.Th scope="col">Number</Table.Th><Table.Th scope="col" className="num">Value</Table.Th>{drawn && <Table.Td />}<Table.Th scope="col" className="num">Interval</Table.Th><Table.Th scope="col" className="num">Items</Table.Th></Table.Tr></Table.Thead>
        <Table.Tbody>
          {lines.map(({ key, title: name, stat, kind, say, weak }) => (
            <Table.Tr key={key}>
              <Table.Td>{weak ? <Text component="span" size="sm" c="dimmed">{name}</Text> : name}</Table.Td>
              <Table.Td className="num" title={stat.undefined ?? undefined}>{stat.value == null ? "–" : say(stat.value)}</Table.Td>
              {drawn && <Table.Td>{stat.value != null && kind !== "open" && <IntervalBar estimate={stat} axis={axis} label={name} say={say} weak={weak} />}</Table.Td>}
              <Table.Td className="num">{stat.value == null ? <Text component="span" size="xs" c="dimmed">{stat.undefined}</Text> : stat.low == null || stat.high == null ? "–" : `${say(stat.low).replace(" points", "")} to ${say(stat.high)}`}</Table.Td>
              <Table.Td className="num">{count(stat.items)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </section>
  );
}

/** Down what people say, across what the judge says. */
function Confusion({ card: { confusion } }: { card: Card }) {
  const { classes, counts, untold } = confusion!;
  const any = untold.some((one) => one > 0);
  return (
    <section>
      <Title order={2} mb={4}>Who said what</Title>
      <Table.ScrollContainer minWidth={0} scrollAreaProps={{ viewportProps: { tabIndex: 0, "aria-label": "Who said what" } }}>
        <Table className="confusion" withColumnBorders aria-label="What people say and what the judge says">
          <Table.Thead>
            <Table.Tr><Table.Td rowSpan={2}>People say</Table.Td><Table.Th scope="colgroup" colSpan={classes.length + Number(any)}>The judge says</Table.Th></Table.Tr>
            <Table.Tr>{classes.map((name) => <Table.Th key={name} scope="col">{name}</Table.Th>)}{any && <Table.Th scope="col">nothing</Table.Th>}</Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {classes.map((name, down) => (
              <Table.Tr key={name}>
                <Table.Th scope="row">{name}</Table.Th>
                {classes.map((other, across) => <Table.Td key={other} data-right={down === across}>{count(counts[down]?.[across])}</Table.Td>)}
                {any && <Table.Td>{count(untold[down])}</Table.Td>}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </section>
  );
}

function Outcomes({ card: { outcomes } }: { card: Card }) {
  return (
    <section>
      <Title order={2} mb={4}>What came of asking</Title>
      <Group gap="md">{Object.entries(OUTCOMES).map(([name, words]) => outcomes[name] && <Text key={name} size="sm">{words}: {toldEstimate(outcomes[name], percent)}</Text>)}</Group>
    </section>
  );
}

/** People among themselves, and the judge with each of them. */
function People({ card: { people } }: { card: Card }) {
  const plain = (value: number) => value.toFixed(2).replace("-", "−");
  const pairs = [...people!.pairs.map((pair) => ({ ...pair, weak: true })), ...people!.judge.map((pair) => ({ ...pair, weak: false }))];
  return (
    <section>
      <Title order={2} mb={4}>People among themselves, and the judge with each</Title>
      <Table className="card-table" aria-label="Pairs of raters">
        <Table.Thead><Table.Tr><Table.Th scope="col">Two</Table.Th><Table.Th scope="col" className="num">Say the same</Table.Th><Table.Th scope="col" className="num">Cohen’s κ</Table.Th><Table.Td /><Table.Th scope="col" className="num">Items</Table.Th></Table.Tr></Table.Thead>
        <Table.Tbody>
          {pairs.map(({ one, other, alike, kappa, weak }) => (
            <Table.Tr key={`${one} ${other}`}>
              <Table.Td>{one} and {other}</Table.Td>
              <Table.Td className="num">{toldEstimate(alike, percent)}</Table.Td>
              <Table.Td className="num">{toldEstimate(kappa, plain)}</Table.Td>
              <Table.Td>{kappa.value != null && <IntervalBar estimate={kappa} axis={axisOf(pairs.map((pair) => pair.kappa), "signed")} label={`${one} and ${other}`} say={plain} weak={weak} />}</Table.Td>
              <Table.Td className="num">{count(alike.items)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </section>
  );
}

/** How many labels of people its word is worth. */
function Worth({ card: { worth } }: { card: Card }) {
  const whole = (value: number) => count(value);
  return (
    <section>
      <Title order={2} mb={4}>What labels of people become with it</Title>
      <Table aria-label="Effective labels">
        <Table.Thead><Table.Tr>{["Labels of people", "Further items", "As good as labels"].map((head) => <Table.Th key={head} scope="col" className="num">{head}</Table.Th>)}</Table.Tr></Table.Thead>
        <Table.Tbody>
          {worth.map((one) => (
            <Table.Tr key={`${one.labels} ${one.further}`}>
              <Table.Td className="num">{count(one.labels)}</Table.Td>
              <Table.Td className="num">{count(one.further)}</Table.Td>
              <Table.Td className="num" title={one.effective_labels.undefined ?? undefined}>{toldEstimate(one.effective_labels, whole)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </section>
  );
}
