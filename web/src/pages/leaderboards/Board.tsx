/** The board: places as ranges, scores with their intervals, tasks with standard errors, and what models are. */

import { Badge, Button, Group, NumberInput, Select, Stack, Table, Text } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { Link, useSearchParams } from "react-router";
import { usePut } from "../../lib/addressBar";
import { bytes, count, duration, money } from "../../lib/format";
import { axisOf } from "../../lib/interval";
import { filterOf, isFiltered, licencesOf, type Model, parametersTold, placesTold, type Report, scoreTold, taskOf, tasksOf, valueTold } from "../../lib/leaderboards";
import { IntervalBar } from "../../parts/IntervalBar";
import type { Opened } from "./ask";
import { RankBar } from "./RankBar";

const PICODOLLARS = 1e12;
/** So long nothing is typed before the models are filtered. */
const TYPING_MS = 300;

export function Board({ board }: { board: Opened }) {
  return (
    <Stack gap="sm">
      <Filters report={board.report} />
      <BoardTable report={board.report} />
      <Notes report={board.report} />
      <Text size="xs" c="dimmed">
        Places hold together with 95 % confidence: only models that are shown to be different have different ones. Tasks are in percent with their standard errors. On the front are models that nothing else that is ranked is at least as good, as cheap and as fast as. Speed is of one answer while nothing else was asked.
      </Text>
    </Stack>
  );
}

/** What somebody would take stands in the address. */
function Filters({ report }: { report: Report }) {
  const [params] = useSearchParams();
  const put = usePut();
  const later = useDebouncedCallback((name: string, value: number | string) => put({ [name]: typeof value === "number" && value > 0 ? String(value) : null }), TYPING_MS);
  const fields = [
    { name: "size", label: "At most, GB on disk", step: 0.5 }, { name: "speed", label: "At least, tokens/s here", step: 5 }, { name: "context", label: "At least, tokens of context", step: 1024 }, { name: "usd", label: "At most, $ / 1M tokens out", step: 0.1 },
  ];
  const filtered = isFiltered(filterOf(params));
  return (
    <Group gap="sm" align="flex-end" key={String(filtered)}>
      {fields.map(({ name, label, step }) => <NumberInput key={name} label={label} w={200} min={0} step={step} defaultValue={params.get(name) ?? ""} onChange={(value) => later(name, value)} />)}
      <Select label="Licence" w={180} data={licencesOf(report)} value={params.get("licence")} onChange={(value) => put({ licence: value })} clearable placeholder="any" />
      {filtered && <Button variant="subtle" onClick={() => put({ size: null, speed: null, context: null, usd: null, licence: null })}>Show all models</Button>}
    </Group>
  );
}

function BoardTable({ report }: { report: Report }) {
  const tasks = tasksOf(report);
  const axis = axisOf(report.models);
  const ranked = report.models.filter((model) => model.rank_best != null).length;
  return (
    <Table.ScrollContainer minWidth={1100 + 110 * tasks.length} scrollAreaProps={{ viewportProps: { tabIndex: 0, "aria-label": "The board" } }}>
      <Table className="board-table" highlightOnHover aria-label="Board">
        <Table.Thead>
          <Table.Tr>
            <Table.Th scope="col" colSpan={2}>Place</Table.Th><Table.Th scope="col">Model</Table.Th><Table.Th scope="col" className="num">Score</Table.Th><Table.Th scope="col" className="num">Interval</Table.Th><Table.Td />
            {tasks.map(({ key, task, metric }) => <Table.Th key={key} scope="col" className="num" title={`${task}: ${metric}`}>{task.replaceAll("_", " ")}</Table.Th>)}
            {["Cost", "Tokens/s here", "Size", "Context", "$ / 1M out"].map((head) => <Table.Th key={head} scope="col" className="num">{head}</Table.Th>)}
            <Table.Th scope="col">Licence</Table.Th><Table.Th scope="col">Here</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>{report.models.map((model) => <Line key={model.model} model={model} report={report} tasks={tasks} axis={axis} ranked={ranked} />)}</Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Line({ model, report, tasks, axis, ranked }: { model: Model; report: Report; tasks: ReturnType<typeof tasksOf>; axis: ReturnType<typeof axisOf>; ranked: number }) {
  const say = (value: number) => scoreTold(report.style, value);
  const places = placesTold(model);
  const { facts } = model;
  return (
    <Table.Tr className={model.left_out == null ? undefined : "board-left"}>
      <Table.Td className="num">{places ?? "–"}</Table.Td>
      <Table.Td>{places !== null && <RankBar best={model.rank_best!} worst={model.rank_worst!} of={ranked} label={`Place of ${model.model}`} />}</Table.Td>
      <Table.Td title={model.target ?? undefined}>
        <b>{model.model}</b> {model.on_front && <Badge variant="default" miw="max-content" title="Nothing else that is ranked is at least as good, as cheap and as fast">front</Badge>}
        {model.left_out != null && <Text size="xs" c="dimmed">{model.left_out}</Text>}
        {model.failed > 0 && <Text size="xs" className="failed">{count(model.failed)} documents failed</Text>}
      </Table.Td>
      <Table.Td className="num">{model.score == null ? "–" : <b>{say(model.score)}</b>}</Table.Td>
      <Table.Td className="num">{model.low == null || model.high == null ? "–" : `${say(model.low)} to ${say(model.high)}`}</Table.Td>
      <Table.Td>{model.score != null && <IntervalBar estimate={{ value: model.score, low: model.low, high: model.high }} axis={axis} label={`Score of ${model.model}`} say={say} width={120} />}</Table.Td>
      {tasks.map(({ key }) => <Table.Td key={key} className="num"><Task model={model} of={key} /></Table.Td>)}
      <Table.Td className="num" title={`${count(model.tokens)} tokens, ${count(model.cached_tokens)} of prompts not computed again, ${duration(model.seconds * 1000)}`}>{money(model.cost_usd == null ? null : model.cost_usd * PICODOLLARS)}</Table.Td>
      <Table.Td className="num">{model.tokens_per_second == null ? "–" : model.tokens_per_second.toFixed(1)}</Table.Td>
      <Table.Td className="num" title={facts.quantisation ?? undefined}>{bytes(facts.size_bytes)}{facts.parameters != null && <Text component="span" size="xs" c="dimmed"> {parametersTold(facts.parameters)}</Text>}</Table.Td>
      <Table.Td className="num">{count(facts.context)}</Table.Td>
      <Table.Td className="num">{facts.output_usd_per_million == null ? "–" : `$${facts.output_usd_per_million}`}</Table.Td>
      <Table.Td>{facts.licence ?? "–"}</Table.Td>
      <Table.Td>{facts.is_local ? (facts.is_available ? "installed" : "not installed") : facts.is_available ? "remote" : "not to be reached"}</Table.Td>
    </Table.Tr>
  );
}

/** The number of a task leads to the documents behind it. */
function Task({ model, of }: { model: Model; of: string }) {
  const task = taskOf(model, of);
  if (task === undefined) return <>–</>;
  const title = [task.metric, `guessing gets ${(task.chance * 100).toFixed(1)} %`, `${count(task.documents)} documents`, task.failed > 0 ? `${count(task.failed)} failed` : ""].filter(Boolean).join(" · ");
  return <Link to={`?${new URLSearchParams({ tab: "documents", model: model.model, task: task.task })}`} className="row-link" title={title} aria-label={`${task.task} of ${model.model}: ${valueTold(task)}`}>{valueTold(task)}</Link>;
}

/** What a reader of the tasks' numbers must know, each once. */
function Notes({ report }: { report: Report }) {
  const notes = [...new Set(report.models.flatMap((model) => model.tasks).flatMap(({ task, notes: all }) => all.map((note) => `${task}: ${note}`)))];
  return notes.length === 0 ? null : <Stack gap={2}>{notes.map((note) => <Text key={note} size="xs" c="dimmed">{note}</Text>)}</Stack>;
}
