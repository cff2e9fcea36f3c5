/** Documents of a task with what a model said about them. */

import { ActionIcon, Group, Select, Text, Title } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useCallback, useMemo } from "react";
import { Link, useSearchParams } from "react-router";
import { usePut } from "../../lib/addressBar";
import { count } from "../../lib/format";
import type { Report } from "../../lib/leaderboards";
import { JsonTree } from "../../parts/JsonTree";
import { Empty, Failed, Waiting } from "../../parts/states";
import { type Column, VirtualTable } from "../../parts/VirtualTable";
import { type Document, documentsQuery, type Opened, tasksQuery } from "./ask";
import { Asked } from "./Asked";

export function Documents({ board }: { board: Opened }) {
  const [params] = useSearchParams();
  const put = usePut();
  const { models } = board.report;
  const model = models.find((known) => known.model === params.get("model")) ?? models[0];
  const task = model?.tasks.find((known) => known.task === params.get("task")) ?? model?.tasks[0];
  if (model === undefined || task === undefined) return <Empty title="No documents yet">Nothing was answered.</Empty>;
  return (
    <>
      <Group gap="sm" align="flex-end">
        <Select label="Model" w={300} data={models.map((known) => known.model)} value={model.model} onChange={(value) => put({ model: value, row: null })} allowDeselect={false} searchable />
        <Select label="Task" w={300} data={[...new Set(model.tasks.map((known) => known.task))]} value={task.task} onChange={(value) => put({ task: value, row: null })} allowDeselect={false} searchable />
        <Metrics task={task} />
      </Group>
      <Found board={board} model={model.model} task={task.task} />
    </>
  );
}

/** All metrics after all filters. */
function Metrics({ task }: { task: Report["models"][number]["tasks"][number] }) {
  return (
    <Text size="xs" c="dimmed" maw={640}>
      {task.all.map((one) => `${one.metric}${one.filter === "none" ? "" : ` after ${one.filter}`} ${one.value.toFixed(4)}${one.stderr == null ? "" : ` ± ${one.stderr.toFixed(4)}`}`).join(" · ")}
    </Text>
  );
}

const line = (value: unknown): string => (value === null || value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value)).replace(/\s+/g, " ");

function Found({ board, model, task }: { board: Opened; model: string; task: string }) {
  const [params] = useSearchParams();
  const put = usePut();
  const asked = useInfiniteQuery(documentsQuery(board, model, task));
  const documents = useMemo(() => asked.data?.pages.flatMap((page) => page.data) ?? [], [asked.data]);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = asked;
  const more = useCallback(() => void (hasNextPage && !isFetchingNextPage && fetchNextPage()), [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const open = useCallback((document: Document) => put({ row: String(document.document) }), [put]);
  const columns = useMemo(() => columnsOf(documents), [documents]);
  const chosen = documents.find((document) => String(document.document) === params.get("row"));
  if (asked.isPending) return <Waiting what="Loading the documents" />;
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  if (documents.length === 0) return <Empty title="No documents yet">Nothing was answered.</Empty>;
  const foot = <div className="vt-foot" role="status">{count(documents.length)} of {count(asked.data.pages[0]?.total)} documents</div>;
  return (
    <div className="fill-rest" onKeyDown={(event) => event.key === "Escape" && put({ row: null })}>
      <VirtualTable label="Documents" columns={columns} rows={documents} rowKey={(document) => String(document.document)} selected={params.get("row")} onSelect={open} onOpen={open} onNearEnd={more} foot={foot} />
      {chosen !== undefined && <Panel document={chosen} task={task} board={board} close={() => put({ row: null })} />}
    </div>
  );
}

/** What is right, what was said, and each metric's number. */
function columnsOf(documents: readonly Document[]): Column<Document>[] {
  const measures = [...new Set(documents.flatMap((document) => document.filters.flatMap(({ filter, measures: all }) => Object.keys(all).map((name) => `${name}\n${filter}`))))];
  return [
    { key: "#", title: "#", width: "70px", numeric: true, cell: (document) => document.document.toLocaleString("en-US") },
    { key: "target", title: "Right", width: "minmax(120px, 2fr)", cell: (document) => line(document.target) },
    { key: "said", title: "Said", width: "minmax(200px, 4fr)", cell: (document) => (document.error == null ? line(document.filters.map(({ answer }) => answer).find((answer) => answer !== null) ?? document.answers) : <span className="failed">{document.error}</span>) },
    ...measures.map((key): Column<Document> => {
      const [name, filter] = key.split("\n");
      return { key, title: filter === "none" ? name! : `${name} · ${filter}`, width: "minmax(90px, 150px)", numeric: true, cell: (document) => <Measure value={document.filters.find((known) => known.filter === filter)?.measures[name!]} /> };
    }),
  ];
}

function Measure({ value }: { value: unknown }) {
  if (typeof value !== "number") return <>{line(value)}</>;
  return <>{(value === 0 || value === 1) && <span className={value === 1 ? "dot dot-ok" : "dot dot-error"} aria-hidden />}{Number(value.toPrecision(4))}</>;
}

function Panel({ document, task, board, close }: { document: Document; task: string; board: Opened; close: () => void }) {
  const known = useQuery(tasksQuery);
  // Tasks of files of the board's own cannot be shown by their names.
  const shipped = known.data?.data.some(({ name }) => name === task) ?? false;
  const shots = board.definition.num_fewshot ?? undefined;
  return (
    <aside className="side" aria-label="Document" tabIndex={0}>
      <Group gap={6} mb={8} wrap="nowrap">
        <Text size="sm" fw={600}>Document {document.document.toLocaleString("en-US")}</Text>
        {document.trace && <Link to={`/traces/${document.trace}`}><Text component="span" size="sm">trace</Text></Link>}
        <ActionIcon variant="subtle" color="gray" size="sm" ml="auto" aria-label="Close the panel" onClick={close}>×</ActionIcon>
      </Group>
      {document.error && <Text size="sm" className="failed">{document.error}</Text>}
      <Text size="sm">Right is: {line(document.target)}</Text>
      {document.filters.map(({ filter, answer, measures }) => (
        <Text key={filter} size="sm">{filter === "none" ? "Of it" : `After ${filter}`}: {answer === null ? "" : `${line(answer)} · `}{Object.entries(measures).map(([name, value]) => `${name} ${line(value)}`).join(" · ")}</Text>
      ))}
      <Title order={3} mt="sm" mb={4}>What was said</Title>
      <JsonTree value={document.answers} label="What was said" />
      {shipped && <><Title order={3} mt="sm" mb={4}>What was asked</Title><Asked task={task} document={document.document} shots={shots} /></>}
    </aside>
  );
}
