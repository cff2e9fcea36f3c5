/** The playground: the same words before several models at once. */

import "./playground/playground.css";

import { Alert, Anchor, Button, Group, Kbd, Stack, Title } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef } from "react";
import { Link, useSearchParams } from "react-router";
import { getJson } from "../api/client";
import { Failed } from "../parts/states";
import { ColumnView } from "./playground/ColumnView";
import { type Column, MAX_COLUMNS } from "./playground/conversation";
import { columnOf, fetchSpan } from "./playground/fromSpan";
import { type Playground, usePlayground } from "./playground/useConversation";
import { Variables } from "./playground/Variables";

export default function Page() {
  const playground = usePlayground();
  const { conversation, dispatch, answers, running, run, stop, forget } = playground;
  const { columns, values } = conversation;
  const models = useQuery({ queryKey: ["v1-models"], queryFn: ({ signal }) => getJson<{ data: { id: string }[] }>("/v1/models", signal), staleTime: 0 });
  const ids = useMemo(() => [...new Set((models.data?.data ?? []).map((model) => model.id))], [models.data]);
  const fallback = columns.at(-1)?.model ?? ids[0] ?? null;
  const runOne = useCallback((column: Column) => run([column], values), [run, values]);
  const remove = useCallback((column: string) => {
    forget(column);
    dispatch({ kind: "remove", column });
  }, [forget, dispatch]);
  useFirstModel(columns, ids[0], dispatch);
  useRunKey(() => run(columns, values));

  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={1}>Playground</Title>
        <Group gap={6}>
          <Button variant="subtle" color="gray" onClick={() => { columns.forEach((column) => forget(column.id)); dispatch({ kind: "reset", model: fallback }); }}>Clear</Button>
          <Button variant="default" disabled={columns.length >= MAX_COLUMNS} onClick={() => dispatch({ kind: "add", model: fallback })}>Add a column</Button>
          {running > 0 && <Button variant="default" onClick={() => stop()}>Stop all</Button>}
          <Button c="var(--mantine-primary-color-contrast)" onClick={() => run(columns, values)} rightSection={<Kbd size="xs" aria-hidden>Ctrl ↵</Kbd>} aria-keyshortcuts="Control+Enter">Run all</Button>
        </Group>
      </Group>
      {models.isError && <Failed error={models.error} retry={() => void models.refetch()} />}
      {models.isSuccess && ids.length === 0 && <NoModels />}
      <LoadedSpan dispatch={dispatch} />
      <Variables conversation={conversation} dispatch={dispatch} />
      <div className="playground-columns">
        {columns.map((column, index) => (
          <ColumnView
            key={column.id} column={column} number={index + 1} answer={answers[column.id]} models={ids} dispatch={dispatch} run={runOne} stop={stop} adopt={playground.adopt} remove={remove}
            room={columns.length < MAX_COLUMNS} alone={columns.length === 1}
          />
        ))}
      </div>
    </Stack>
  );
}

function NoModels() {
  return (
    <Alert color="gray" title="There is no model yet">
      Pull one under <Anchor component={Link} to="/models">Models</Anchor>, or name a provider in the configuration and see it under <Anchor component={Link} to="/providers">Providers</Anchor>.
    </Alert>
  );
}

/** A column without a model gets the first one there is. */
function useFirstModel(columns: readonly Column[], first: string | undefined, dispatch: Playground["dispatch"]): void {
  useEffect(() => {
    if (first === undefined) return;
    columns.filter((column) => column.model === null).forEach((column) => dispatch({ kind: "edit", column: column.id, to: { model: first } }));
  }, [columns, first, dispatch]);
}

/** Ctrl+Enter, from wherever the cursor stands. */
function useRunKey(run: () => void): void {
  const latest = useRef(run);
  latest.current = run;
  useEffect(() => {
    function press(event: KeyboardEvent) {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.repeat) return;
      event.preventDefault();
      latest.current();
    }
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, []);
}

/** `?from_trace=…&span=…` becomes a column, once: afterwards a reload keeps what was changed in it. */
function LoadedSpan({ dispatch }: { dispatch: Playground["dispatch"] }) {
  const [params, setParams] = useSearchParams();
  const [trace, span] = [params.get("from_trace"), params.get("span")];
  const asked = useQuery({ queryKey: ["playground-span", trace, span], queryFn: ({ signal }) => fetchSpan(trace!, span, signal), enabled: trace !== null, gcTime: 0 });
  const { data } = asked;
  const loaded = useRef<unknown>(null);
  useEffect(() => {
    if (trace === null || data === undefined || loaded.current === data) return;
    loaded.current = data;
    dispatch({ kind: "load", column: columnOf(data) });
    if (data.input_cut) notifications.show({ color: "yellow", message: "The messages are only the beginning of what was sent." });
    setParams((old) => new URLSearchParams([...old].filter(([name]) => name !== "from_trace" && name !== "span")), { replace: true });
  }, [trace, data, dispatch, setParams]);
  return trace !== null && asked.isError ? <Failed error={asked.error} retry={() => void asked.refetch()} /> : null;
}
