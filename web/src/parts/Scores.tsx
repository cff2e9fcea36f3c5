/** What was thought of a span, and the thumbs to say it. */

import { ActionIcon, Badge, Group, Tooltip } from "@mantine/core";
import { useMutation, useQueries, useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { api, getJson, type Schemas, take } from "../api/client";
import { time } from "../lib/format";
import { HELPFUL, scoresOf, thumbOf, valueText } from "../lib/scores";
import { useSession } from "../signin/session";

type Score = Schemas["Score"];

/** Traces of one request: their identifiers stand in its address. */
const TRACES_AT_ONCE = 100;

/** The scores of these traces. */
export function useScores(traces: readonly string[]): Score[] {
  const parts = useMemo(() => {
    const distinct = [...new Set(traces)];
    return Array.from({ length: Math.ceil(distinct.length / TRACES_AT_ONCE) }, (_, at) => distinct.slice(at * TRACES_AT_ONCE, (at + 1) * TRACES_AT_ONCE).join(","));
  }, [traces]);
  return useQueries({
    queries: parts.map((part) => ({
      queryKey: ["scores", part],
      queryFn: ({ signal }: { signal: AbortSignal }) => getJson<Schemas["ScoreList"]>(`/api/v1/scores?limit=1000&trace=${part}`, signal),
    })),
    combine: (asked) => asked.flatMap(({ data }) => data?.data ?? []),
  });
}

/** The scores of one span among these, with thumbs for whoever may write. */
export function SpanScores({ scores, trace, span }: { scores: readonly Score[]; trace: string; span: string }) {
  const { may } = useSession();
  const about = scoresOf(scores, trace, span);
  const thumb = thumbOf(about, span);
  const others = about.filter((score) => score !== thumb);
  if (others.length === 0 && !may("write") && thumb === undefined) return null;
  return (
    <Group gap={6} aria-label="Scores" role="group">
      {others.map((score) => <ScoreBadge key={score.id} score={score} />)}
      {may("write") ? <Thumbs trace={trace} span={span} thumb={thumb} /> : thumb && <ScoreBadge score={thumb} />}
    </Group>
  );
}

function ScoreBadge({ score }: { score: Score }) {
  const about = [score.comment, score.author && `by ${score.author}`, time(score.time)].filter(Boolean).join(" · ");
  return (
    <Tooltip label={about} multiline maw={360}>
      <Badge variant="default" tt="none" tabIndex={0}>{score.name} {valueText(score.value)}</Badge>
    </Tooltip>
  );
}

/** A thumb says yes or no; the same thumb again takes it back. */
function Thumbs({ trace, span, thumb }: { trace: string; span: string; thumb: Score | undefined }) {
  const queries = useQueryClient();
  const give = useMutation({
    mutationFn: async (value: number) => {
      if (thumb?.value === value) return take(api.DELETE("/api/v1/scores/{id}", { params: { path: { id: thumb.id } } }));
      const score = { id: thumb?.id ?? null, trace_id: trace, span_id: span, name: HELPFUL, value, source: "human" };
      return take(api.POST("/api/v1/scores", { body: { scores: [score] } }));
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ["scores"] }),
  });
  const button = (value: number, label: string) => (
    <Tooltip label={label}>
      <ActionIcon size="sm" variant={thumb?.value === value ? "filled" : "subtle"} color={thumb?.value === value ? (value === 1 ? "teal.9" : "red.9") : "gray"} aria-label={label} aria-pressed={thumb?.value === value} disabled={give.isPending} onClick={() => give.mutate(value)}><Thumb up={value === 1} /></ActionIcon>
    </Tooltip>
  );
  return <>{button(1, "Helpful")}{button(0, "Not helpful")}</>;
}

/** Drawn: the characters for it are missing in many fonts. */
function Thumb({ up }: { up: boolean }) {
  return (
    <svg width="14" height="14" viewBox="0 0 16 16" fill="none" stroke="currentColor" strokeWidth="1.4" strokeLinejoin="round" transform={up ? undefined : "rotate(180)"} aria-hidden>
      <path d="M5 7 8 1.5c1 0 1.6.7 1.5 1.7L9 6h4.2c.9 0 1.5.8 1.3 1.7l-1 5c-.1.8-.7 1.3-1.5 1.3H5zM5 7v7H2V7z" />
    </svg>
  );
}
