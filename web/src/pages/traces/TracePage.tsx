/** A trace on a page of its own. */

import { Anchor, Group, Text, Title } from "@mantine/core";
import { useCallback } from "react";
import { Link, useSearchParams } from "react-router";
import { CopyIcon } from "../../parts/Code";
import type { Span } from "../../parts/outline";
import { TraceView, useTrace } from "../../parts/TraceView";
import { useChangeAddress } from "../../lib/addressBar";
import { count, duration, money, time } from "../../lib/format";
import type { SpanTree } from "../../lib/spanTree";

export function TracePage({ id }: { id: string }) {
  const [params] = useSearchParams();
  const set = useChangeAddress();
  const { data: tree } = useTrace(id);
  const select = useCallback((span: string) => set((next) => { next.set("span", span); return next; }, true), [set]);
  return (
    <div className="fill">
      <Group gap="xs" wrap="nowrap">
        <Anchor component={Link} to="/traces" size="sm" underline="always">Traces</Anchor>
        <Text c="dimmed" aria-hidden>/</Text>
        <Title order={1} className="clip">{tree?.rows[0]?.span.name ?? "Trace"}</Title>
        <Text size="xs" c="dimmed" className="mono clip">{id}</Text>
        <CopyIcon value={id} label="Copy the trace's id" />
        {tree && <Sums tree={tree} />}
      </Group>
      <TraceView id={id} span={params.get("span")} select={select} />
    </div>
  );
}

function Sums({ tree }: { tree: SpanTree<Span> }) {
  const sum = { input: 0, output: 0, cost: 0, errors: 0 };
  for (const { span } of tree.rows) {
    sum.input += span.input_tokens ?? 0;
    sum.output += span.output_tokens ?? 0;
    sum.cost += span.cost_picodollars ?? 0;
    sum.errors += span.status === "error" ? 1 : 0;
  }
  return (
    <Text size="sm" ml="auto" className="clip">
      {time(tree.rows[0]?.span.start_time)} · {duration(tree.length_ms)} · {count(sum.input)} → {count(sum.output)} tokens · {money(sum.cost)}
      {sum.errors > 0 && <span className="failed"> · {count(sum.errors)} failed</span>}
    </Text>
  );
}
