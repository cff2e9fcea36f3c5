/** Beside the statement: what can be asked of, what others ask, and what was asked before. */

import { Button, Stack, Tabs, Text, UnstyledButton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Failed, Waiting } from "../../parts/states";
import { askSql } from "./ask";

const COLUMNS = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'spans' ORDER BY ordinal_position";
const COLUMNS_MAX = 1_000;

const EXAMPLES: readonly { title: string; sql: string }[] = [
  { title: "Calls and money by model", sql: "SELECT model, count(*) AS calls, sum(input_tokens) AS input, sum(output_tokens) AS output, sum(cost_picodollars) / 1e12 AS dollars\nFROM spans\nWHERE kind = 'llm'\nGROUP BY model\nORDER BY calls DESC" },
  { title: "Latency by hour", sql: "SELECT date_trunc('hour', start_time) AS hour,\n  approx_percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms) AS p50_ms,\n  approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms) AS p95_ms\nFROM spans\nWHERE kind = 'llm'\nGROUP BY 1\nORDER BY 1" },
  { title: "What failed, and why", sql: "SELECT status_message, provider, model, count(*) AS times, max(start_time) AS last\nFROM spans\nWHERE status = 'error'\nGROUP BY status_message, provider, model\nORDER BY times DESC" },
  { title: "The slowest calls of the last day", sql: "SELECT trace_id, model, latency_ms, ttft_ms, output_tokens\nFROM spans\nWHERE kind = 'llm' AND start_time > now() - INTERVAL '1 day'\nORDER BY latency_ms DESC\nLIMIT 50" },
  { title: "Who spends most", sql: "SELECT user_id, count(DISTINCT session_id) AS sessions, count(*) AS calls, sum(cost_picodollars) / 1e12 AS dollars\nFROM spans\nWHERE kind = 'llm'\nGROUP BY user_id\nORDER BY dollars DESC\nLIMIT 20" },
  { title: "How a statement is run", sql: "EXPLAIN SELECT count(*) FROM spans WHERE status = 'error'" },
];

export const FIRST = EXAMPLES[0]!.sql;

export function Aside({ use, insert, history, forget }: { use: (sql: string) => void; insert: (name: string) => void; history: readonly string[]; forget: () => void }) {
  return (
    <Tabs defaultValue="columns" w={270} miw={270} className="sql-aside">
      <Tabs.List><Tabs.Tab value="columns">Columns</Tabs.Tab><Tabs.Tab value="examples">Examples</Tabs.Tab><Tabs.Tab value="history">History</Tabs.Tab></Tabs.List>
      <Tabs.Panel value="columns" pt="xs"><Columns insert={insert} /></Tabs.Panel>
      <Tabs.Panel value="examples" pt="xs">
        <Stack gap={2}>{EXAMPLES.map((example) => <UnstyledButton key={example.title} className="sql-pick" onClick={() => use(example.sql)}>{example.title}</UnstyledButton>)}</Stack>
      </Tabs.Panel>
      <Tabs.Panel value="history" pt="xs">
        {history.length === 0 && <Text size="sm" c="dimmed">Statements that were run stand here; they are kept in this browser only.</Text>}
        <Stack gap={2}>{history.map((sql) => <UnstyledButton key={sql} className="sql-pick mono clip" title={sql} onClick={() => use(sql)}>{sql.replace(/\s+/g, " ")}</UnstyledButton>)}</Stack>
        {history.length > 0 && <Button variant="default" size="compact-xs" mt="xs" onClick={forget}>Forget them</Button>}
      </Tabs.Panel>
    </Tabs>
  );
}

function Columns({ insert }: { insert: (name: string) => void }) {
  const asked = useQuery({ queryKey: ["sql", "columns"], queryFn: () => askSql(COLUMNS, COLUMNS_MAX), staleTime: Infinity });
  if (asked.isPending) return <Waiting what="Loading the columns" />;
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  const columns = asked.data.rows as unknown as { column_name: string; data_type: string }[];
  return (
    <Stack gap={0} aria-label="Columns of spans" role="group">
      <Text size="xs" c="dimmed" mb={4}>of the table <code>spans</code>; a click inserts one</Text>
      {columns.map(({ column_name: name, data_type: type }) => (
        <UnstyledButton key={name} className="sql-pick sql-column" onClick={() => insert(name)}><span className="mono">{name}</span><Text span size="xs" c="dimmed">{short(type)}</Text></UnstyledButton>
      ))}
    </Stack>
  );
}

/** Types as people write them in SQL. */
function short(type: string): string {
  if (type.startsWith("Timestamp")) return "timestamp";
  if (type.startsWith("Utf8")) return "text";
  return type.replace("Int64", "bigint").replace("Float64", "double").replace("Utf8", "text");
}
