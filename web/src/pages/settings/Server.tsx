/** How the server fares, as it was when asked. */

import { Alert, Button, Group, SimpleGrid, Stack, Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { api, take, type Schemas } from "../../api/client";
import { count, duration, time } from "../../lib/format";
import { CodeBlock } from "../../parts/Code";
import { Failed, Waiting } from "../../parts/states";

type Status = Schemas["Status"];

export function Server() {
  const asked = useQuery({ queryKey: ["status"], queryFn: () => take(api.GET("/api/v1/status")), staleTime: 0 });
  if (asked.isPending) return <Waiting what="Asking the server how it fares" />;
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  const status = asked.data;
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Text size="sm" c="dimmed">As of {time(asked.dataUpdatedAt)}</Text>
        <Button variant="default" loading={asked.isRefetching} onClick={() => void asked.refetch()}>Refresh</Button>
      </Group>
      {status.stopping && <Alert color="orange" variant="outline" title="The server is about to stop">It answers what it has accepted, and nothing new.</Alert>}
      {status.unrecorded_calls > 0 && <Alert color="orange" variant="outline" title={`${count(status.unrecorded_calls)} calls left no trace`}>Too many were waiting to be written down.</Alert>}
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <Section title="Server" rows={[["Version", status.version], ["Up for", duration(status.uptime_ms)], ["Requests being answered", count(status.in_flight)], ["Calls without a trace", count(status.unrecorded_calls)]]} />
        <Section title="Models in memory" rows={engineOf(status)} none="None. The first request for a model loads it." />
        <Section title="Recorder" rows={flat(status.recorder)} />
        <Section title="Lake" rows={flat(status.lake)} />
      </SimpleGrid>
      <Title order={3}>All of it</Title>
      <CodeBlock code={JSON.stringify(status, null, 2)} label="Copy the status" />
    </Stack>
  );
}

function Section({ title, rows, none }: { title: string; rows: readonly (readonly [string, string])[]; none?: string }) {
  return (
    <section>
      <Title order={3}>{title}</Title>
      {rows.length === 0 && <Text size="sm" c="dimmed">{none}</Text>}
      <Table>
        <Table.Tbody>{rows.map(([name, value]) => <Table.Tr key={name}><Table.Th scope="row" fw={400}>{name}</Table.Th><Table.Td className="num">{value}</Table.Td></Table.Tr>)}</Table.Tbody>
      </Table>
    </section>
  );
}

function engineOf(status: Status): [string, string][] {
  return status.engine.map((model) => {
    const { slots_busy: busy, completion_tokens_per_s: speed } = model.stats as { slots_busy?: number; completion_tokens_per_s?: number };
    return [model.name, `${busy ?? 0} of ${model.slots} slots busy${speed ? `, ${count(speed)} tokens/s` : ""}`];
  });
}

/** Counters that are numbers or words, by their names; what has parts is below, in the JSON. */
function flat(counters: unknown): [string, string][] {
  const plain = Object.entries((counters ?? {}) as Record<string, unknown>).filter(([, value]) => value === null || typeof value !== "object");
  return plain.map(([name, value]) => [name.replaceAll("_", " "), typeof value === "number" ? count(value) : String(value ?? "–")]);
}
