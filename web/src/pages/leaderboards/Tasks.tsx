/** The tasks that come with Quarterdeck: what each measures, which documents it needs, and what it asks about one. */

import { Badge, NavLink, NumberInput, Group, Stack, Table, Text, Title } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useSearchParams } from "react-router";
import { usePut } from "../../lib/addressBar";
import type { Schemas } from "../../api/client";
import { Empty, Failed, Waiting } from "../../parts/states";
import { datasetsQuery } from "../datasets/ask";
import { taskQuery, tasksQuery } from "./ask";
import { Asked } from "./Asked";

type Description = Schemas["TaskDescription"];

/** While somebody types a number, the server is not asked for every digit. */
const TYPING_MS = 300;
/** How models are asked, in words. */
const TYPES: Record<string, string> = { multiple_choice: "chooses by likelihood", loglikelihood: "measures likelihood", loglikelihood_rolling: "measures the likelihood of whole texts", generate_until: "has a text written" };

export function Tasks() {
  const asked = useQuery(tasksQuery);
  const [params] = useSearchParams();
  const put = usePut();
  const wanted = (params.get("name") ?? "").toLowerCase();
  const chosen = params.get("task");
  if (asked.isPending) return <Waiting what="Loading the tasks" />;
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  const shown = asked.data.data.filter(({ name, tags }) => [name, ...tags].some((text) => text.toLowerCase().includes(wanted)));
  if (shown.length === 0) return <Empty title="No such task" />;
  return (
    <div className="tasks">
      <div className="tasks-list" role="region" aria-label="Tasks" tabIndex={0}>
        {shown.map(({ name, is_group, tags }) => (
          <NavLink key={name} component="button" label={name} title={tags.join(", ") || undefined} rightSection={is_group ? <Badge variant="default">group</Badge> : undefined} active={name === chosen} aria-current={name === chosen ? "true" : undefined} onClick={() => put({ task: name, document: null })} py={4} />
        ))}
      </div>
      {chosen === null ? <Empty title="No task is chosen">A task is a file that says what models are asked, and how their answers become a number. These come with Quarterdeck; leaderboards take files of your own, too.</Empty> : <Chosen key={chosen} name={chosen} />}
    </div>
  );
}

function Chosen({ name }: { name: string }) {
  const asked = useQuery(taskQuery(name));
  const [params] = useSearchParams();
  const put = usePut();
  if (asked.isPending) return <Waiting what="Loading the task" />;
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  const all = asked.data.data;
  const [only] = all;
  return (
    <Stack gap="md">
      <Title order={2}>{name}</Title>
      <Table.ScrollContainer minWidth={600}>
        <Table aria-label={`What ${name} is`}>
          <Table.Thead><Table.Tr>{["Task", "It", "Metrics", "Examples", "Documents"].map((head) => <Table.Th key={head} scope="col">{head}</Table.Th>)}</Table.Tr></Table.Thead>
          <Table.Tbody>{all.map((task) => <Line key={task.name} task={task} group={all.length > 1} choose={() => put({ task: task.name })} />)}</Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {all.length === 1 && only!.notes.map((note) => <Text key={note} size="sm" c="dimmed">{note}</Text>)}
      {all.length === 1 && <Shown task={only!} document={Math.max(0, Math.trunc(Number(params.get("document")) || 0))} />}
    </Stack>
  );
}

function Line({ task, group, choose }: { task: Description; group: boolean; choose: () => void }) {
  return (
    <Table.Tr>
      <Table.Td>{group ? <NavLink component="button" label={task.name} onClick={choose} p={0} /> : <b>{task.name}</b>}{task.version && <Text size="xs" c="dimmed">version {task.version}</Text>}</Table.Td>
      <Table.Td>{TYPES[task.output_type] ?? task.output_type}</Table.Td>
      <Table.Td>{task.metrics.join(" · ")}</Table.Td>
      <Table.Td>{task.num_fewshot ?? "0"}</Table.Td>
      <Table.Td><Needs task={task} /></Table.Td>
    </Table.Tr>
  );
}

function Needs({ task }: { task: Description }) {
  const known = useQuery(datasetsQuery);
  const here = new Set(known.data?.data.map(({ name }) => name));
  return task.needs.map(({ key, dataset }) => (
    <Text key={key} size="sm">{key}: {here.has(dataset) ? <Link to={`/datasets/${encodeURIComponent(dataset)}`}>{dataset}</Link> : <Text component="span" size="sm" c="dimmed">not here; {dataset}</Text>}</Text>
  ));
}

/** What is asked about one document, where the documents are here. */
function Shown({ task, document }: { task: Description; document: number }) {
  const put = usePut();
  const known = useQuery(datasetsQuery);
  const [shots, setShots] = useState<number | string>("");
  const [asked] = useDebouncedValue(shots, TYPING_MS);
  const missing = task.needs.filter(({ dataset }) => !known.data?.data.some(({ name }) => name === dataset));
  if (known.data === undefined) return null;
  return (
    <section>
      <Title order={3} mb={4}>What it asks</Title>
      {missing.length > 0 ? <Text size="sm" c="dimmed">Its documents are not here. Import them as {missing.map(({ dataset }) => `“${dataset}”`).join(" and ")} to see what it asks.</Text> : (
        <Stack gap="sm">
          <Group align="flex-end">
            <NumberInput label="Document" w={120} min={0} value={document} onChange={(value) => put({ document: typeof value === "number" && value > 0 ? String(Math.trunc(value)) : null })} />
            <NumberInput label="Examples" w={140} min={0} placeholder={`${task.num_fewshot ?? 0}`} value={shots} onChange={setShots} />
          </Group>
          <Asked task={task.name} document={document} shots={typeof asked === "number" ? asked : undefined} />
        </Stack>
      )}
    </section>
  );
}
