/** Items with the answers of some cells side by side, each held against the reference word by word. */

import { Button, Group, MultiSelect, Select, Stack, Switch, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Link, useSearchParams } from "react-router";
import { usePut } from "../../lib/addressBar";
import { inUnit, type Score } from "../../lib/cells";
import { count, duration, money } from "../../lib/format";
import { markedAgainst } from "../../lib/wordDiff";
import { Long } from "../../parts/Long";
import { Empty, Failed, Waiting } from "../../parts/states";
import { useListKeys } from "../../shell/keys";
import { useChosen } from "./address";
import { type Answer, type Item, itemsQuery, MOST_BESIDE, type Opened, PAGE_ITEMS } from "./ask";

export function Items({ experiment }: { experiment: Opened }) {
  const { report } = experiment;
  const [params] = useSearchParams();
  const put = usePut();
  const { chosen, choose } = useChosen(report);
  const scorers = Object.keys(report.cells[0]?.scores ?? {});
  const disagree = scorers.find((name) => name === params.get("disagree")) ?? null;
  const from = Math.max(0, Math.trunc(Number(params.get("from")) || 0));
  const marked = params.get("marks") !== "off";
  const asked = useQuery(itemsQuery(experiment, { cells: chosen, disagree, from }));
  return (
    <Stack gap="sm">
      <Group gap="sm" align="flex-end">
        <MultiSelect label="Cells" miw={320} maw={720} flex={1} data={report.cells.map((cell) => ({ value: cell.id, label: `${cell.id} · ${cell.label}` }))} value={chosen} onChange={choose} maxValues={MOST_BESIDE} searchable />
        <Select
          label="Which items" w={240} value={disagree ?? ""} allowDeselect={false} onChange={(value) => put({ disagree: value === "" ? null : value, from: null })}
          data={[{ value: "", label: "all" }, ...scorers.map((name) => ({ value: name, label: `where these disagree in ${name.replaceAll("_", " ")}` }))]}
        />
        <Switch label="Mark differences" mb={6} checked={marked} onChange={(event) => put({ marks: event.currentTarget.checked ? null : "off" })} />
      </Group>
      {asked.isPending && <Waiting what="Loading the items" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && asked.data.total === 0 && <Empty title="No such item">{disagree === null ? "The experiment has none." : `The cells ${chosen.join(", ")} have the same ${disagree.replaceAll("_", " ")} on every item that they answered.`}</Empty>}
      {asked.data && asked.data.total > 0 && (
        <>
          <Pages from={from} total={asked.data.total} next={asked.data.next_cursor ?? null} />
          <ItemTable items={asked.data.data} cells={chosen} marked={marked} experiment={experiment} />
          {marked && <Text size="xs" c="dimmed">Struck out is what an answer lacks of its reference, the nearest of several; on a coloured ground is what it says beyond. Long answers that have little in common with it are not marked.</Text>}
        </>
      )}
    </Stack>
  );
}

function Pages({ from, total, next }: { from: number; total: number; next: string | null }) {
  const put = usePut();
  const last = next === null ? total : Number(next);
  return (
    <Group gap={8}>
      <Text size="sm" role="status">Items {count(Math.min(from + 1, total))} to {count(last)} of {count(total)}</Text>
      <Button variant="default" size="compact-xs" disabled={from === 0} onClick={() => put({ from: from <= PAGE_ITEMS ? null : String(from - PAGE_ITEMS) })}>Previous page</Button>
      <Button variant="default" size="compact-xs" disabled={next === null} onClick={() => put({ from: next })}>Next page</Button>
    </Group>
  );
}

interface TableProps {
  items: readonly Item[];
  cells: readonly string[];
  marked: boolean;
  experiment: Opened;
}

function ItemTable({ items, cells, marked, experiment }: TableProps) {
  const [at, setAt] = useState(-1);
  useListKeys(
    (step) => {
      const next = Math.max(0, Math.min(items.length - 1, at + step));
      setAt(next);
      document.querySelector(`[data-item="${items[next]?.item}"]`)?.scrollIntoView({ block: "nearest" });
    },
    () => {},
  );
  const label = (id: string) => experiment.report.cells.find((cell) => cell.id === id)?.label ?? "";
  return (
    <Table.ScrollContainer minWidth={500 + 260 * cells.length}>
      <Table className="items" aria-label="Items" layout="fixed">
        <Table.Thead>
          <Table.Tr>
            <Table.Th scope="col">Item</Table.Th><Table.Th scope="col">Reference</Table.Th>
            {cells.map((id) => <Table.Th key={id} scope="col">{id} <Text component="span" size="xs" c="dimmed">{label(id)}</Text></Table.Th>)}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {items.map((item, index) => (
            <Table.Tr key={item.item} data-item={item.item} bg={index === at ? "var(--mantine-color-default-hover)" : undefined}>
              <Table.Td><Asked item={item} /></Table.Td>
              <Table.Td>{item.references.length === 0 ? <Text size="sm" c="dimmed">none</Text> : item.references.map((reference, one) => <Long key={one} parts={[{ kind: "same", text: reference }]} />)}</Table.Td>
              {cells.map((id) => <Table.Td key={id}><Answers answers={item.answers.filter((answer) => answer.cell === id)} references={item.references} marked={marked} experiment={experiment} /></Table.Td>)}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

/** The row's values, but for its identifier and for what it should be answered. */
function Asked({ item }: { item: Item }) {
  const texts = Object.entries(item.values as Record<string, unknown>).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)] as const);
  const shown = texts.filter(([, text]) => text !== item.row_id && !item.references.includes(text));
  return (
    <>
      <Text size="xs" c="dimmed" className="mono clip" title={item.row_id}>{count(item.item)} · {item.row_id}</Text>
      {shown.map(([name, text]) => <div key={name}><Text size="xs" c="dimmed">{name}</Text><Long parts={[{ kind: "same", text }]} /></div>)}
    </>
  );
}

interface AnswersProps {
  answers: readonly Answer[];
  references: readonly string[];
  marked: boolean;
  experiment: Opened;
}

function Answers({ answers, ...rest }: AnswersProps) {
  if (answers.length === 0) return <Text size="sm" c="dimmed">not asked</Text>;
  return answers.map((answer) => <Said key={answer.repeat} answer={answer} {...rest} />);
}

function Said({ answer, references, marked, experiment }: Omit<AnswersProps, "answers"> & { answer: Answer }) {
  const text = answer.output ?? "";
  const parts = useMemo(() => markedAgainst(text, marked ? references : []), [text, marked, references]);
  return (
    <div className="item-answer">
      <Scores answer={answer} experiment={experiment} />
      {answer.error != null ? <Text size="sm" className="failed">{answer.error}</Text> : text === "" ? <Text size="sm" c="dimmed">an empty answer</Text> : <Long parts={parts} />}
      <Text size="xs" c="dimmed">
        {duration(answer.latency_ms)} · {count(answer.output_tokens)} {answer.output_tokens === 1 ? "token" : "tokens"} · {money(answer.cost_picodollars)}{answer.cached ? " · taken from before" : ""}{answer.finish_reason && answer.finish_reason !== "stop" ? ` · ended by ${answer.finish_reason}` : ""}
        {answer.trace_id != null && <> · <Link to={`/traces/${answer.trace_id}`} aria-label={`Trace of the answer of ${answer.cell}`}>trace</Link></>}
      </Text>
    </div>
  );
}

function Scores({ answer, experiment: { report } }: { answer: Answer; experiment: Opened }) {
  const known: Record<string, Score> = report.cells.find((cell) => cell.id === answer.cell)?.scores ?? {};
  const said = Object.entries(answer.scores).filter(([name]) => !["milliseconds", "dollars"].includes(known[name]?.unit ?? "")).map(([name, value]) => {
    const unit = known[name]?.unit ?? "count";
    return { name, right: unit === "share" && value !== null ? value >= 1 : null, text: value === null ? "no score" : inUnit(unit, value) };
  });
  return (
    <Group gap={8} mb={2}>
      {answer.repeat > 0 && <Text size="xs" c="dimmed">again ({answer.repeat + 1})</Text>}
      {said.map(({ name, right, text }) => <Text key={name} size="xs"><span className={right === null ? "dot" : right ? "dot dot-ok" : "dot dot-error"} aria-hidden />{name.replaceAll("_", " ")} {text}</Text>)}
    </Group>
  );
}
