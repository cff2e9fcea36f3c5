/** SQL: anything else that can be asked of the spans. */

import "../parts/virtual.css";
import "./sql/sql.css";
import { Button, Group, Select, Text, Textarea, Title } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { useSearchParams } from "react-router";
import { parseHistory, remembered } from "../lib/sql";
import { Empty, Failed, Waiting } from "../parts/states";
import { Aside, FIRST } from "./sql/Aside";
import { askSql } from "./sql/ask";
import { type Answer, Results } from "./sql/Results";

const HISTORY = "quarterdeck.sql.history";
/** Longer statements do not go into the address. */
const ADDRESS_MAX = 2_000;

export default function Sql() {
  const [params, setParams] = useSearchParams();
  // A statement that came with a link waits until the reader runs it.
  const [sql, setSql] = useState(() => params.get("q") ?? FIRST);
  const [maxRows, setMaxRows] = useState("1000");
  const { history, remember, forget } = useHistory();
  const field = useRef<HTMLTextAreaElement>(null);
  const stop = useRef<AbortController | null>(null);
  const run = useMutation({ mutationFn: (statement: string) => ask(statement, Number(maxRows), (stop.current = new AbortController()).signal) });
  useEffect(() => () => stop.current?.abort(), []);

  function go() {
    const statement = sql.trim();
    if (statement === "" || run.isPending) return;
    remember(statement);
    setParams(statement.length <= ADDRESS_MAX ? { q: statement } : {}, { replace: true });
    run.mutate(statement);
  }

  function press(event: KeyboardEvent) {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    go();
  }

  function insert(name: string) {
    const element = field.current;
    const [from, to] = element ? [element.selectionStart, element.selectionEnd] : [sql.length, sql.length];
    setSql(sql.slice(0, from) + name + sql.slice(to));
    element?.focus();
    requestAnimationFrame(() => element?.setSelectionRange(from + name.length, from + name.length));
  }

  return (
    <div className="fill">
      <Title order={1}>SQL</Title>
      <div className="sql">
        <div className="sql-main">
          <Textarea ref={field} data-search aria-label="Statement" value={sql} onChange={(event) => setSql(event.currentTarget.value)} onKeyDown={press} rows={7} spellCheck={false} autoCapitalize="off" classNames={{ input: "sql-statement" }} />
          <Group gap="xs">
            <Button onClick={go} loading={run.isPending}>Run</Button>
            {run.isPending && <Button variant="default" onClick={() => stop.current?.abort()}>Stop</Button>}
            <Select aria-label="At most so many rows" w={130} data={[{ value: "100", label: "100 rows" }, { value: "1000", label: "1,000 rows" }, { value: "10000", label: "10,000 rows" }]} value={maxRows} onChange={(value) => setMaxRows(value ?? "1000")} allowDeselect={false} />
            <Text size="xs" c="dimmed">Ctrl Enter runs it. Read only: SELECT, WITH, EXPLAIN, SHOW, DESCRIBE, over all projects.</Text>
          </Group>
          {run.isPending && <Waiting what="Running the statement" />}
          {run.isError && <Failed error={wasStopped(run.error) ? new Error("It was stopped.") : run.error} />}
          {run.isSuccess && <Results key={run.submittedAt} answer={run.data} />}
          {run.isIdle && <Empty title="Ask anything">Every call, tool use and retrieval is a row of <code>spans</code>. The examples on the right show what can be asked; their answers are tables and charts.</Empty>}
        </div>
        <Aside use={(statement) => { setSql(statement); field.current?.focus(); }} insert={insert} history={history} forget={forget} />
      </div>
    </div>
  );
}

async function ask(sql: string, maxRows: number, signal: AbortSignal): Promise<Answer> {
  const begun = performance.now();
  const answer = await askSql(sql, maxRows, signal);
  return { answer, tookMs: performance.now() - begun };
}

function wasStopped(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** The statements that were run in this browser. A browser that keeps nothing remembers them until the page is left. */
function useHistory() {
  const [history, setHistory] = useState(() => parseHistory(stored()));
  function keep(next: string[]) {
    setHistory(next);
    try {
      localStorage.setItem(HISTORY, JSON.stringify(next));
    } catch {
      // There is no room, or no permission: nothing is lost but the convenience.
    }
  }
  return { history, remember: (statement: string) => keep(remembered(history, statement)), forget: () => keep([]) };
}

function stored(): string | null {
  try {
    return localStorage.getItem(HISTORY);
  } catch {
    return null;
  }
}
