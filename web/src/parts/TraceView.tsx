/** A trace: tree and waterfall, and the span that is chosen in it. */

import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import type { SpanTree } from "../lib/spanTree";
import { outlineQuery, type Span } from "./outline";
import { SpanDetail } from "./SpanDetail";
import { Failed, Waiting } from "./states";
import { Waterfall } from "./Waterfall";

export const useTrace = (id: string) => useQuery(outlineQuery(id));

/** The first call of a model says most; without one, the first span. */
export function startingSpan(tree: SpanTree<Span>): Span | undefined {
  return (tree.rows.find((row) => row.span.kind === "llm") ?? tree.rows[0])?.span;
}

interface Props {
  id: string;
  span: string | null;
  select: (span: string) => void;
  /** One below the other, for a side panel. */
  compact?: boolean;
}

export function TraceView({ id, span, select, compact = false }: Props) {
  const asked = useTrace(id);
  const tree = asked.data;
  const chosen = useMemo(() => (tree === undefined ? undefined : (tree.rows.find((row) => row.span.span_id === span)?.span ?? startingSpan(tree))), [tree, span]);
  if (asked.isPending) return <Waiting what="Loading the trace" />;
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  if (tree === undefined || chosen === undefined) return <Text c="dimmed">This trace has no spans.</Text>;
  const waterfall = <Waterfall key={id} tree={tree} selected={chosen.span_id} select={select} compact={compact} />;
  const detail = <SpanDetail trace={id} outline={chosen} />;
  if (compact) return <>{waterfall}<div className="below">{detail}</div></>;
  return <div className="fill-rest">{waterfall}<aside className="side" aria-label="Chosen span" tabIndex={0}>{detail}</aside></div>;
}
