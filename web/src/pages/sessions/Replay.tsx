/** A conversation, turn by turn, with what each cost and how long it took. */

import { Alert, Anchor, Button, Group, Stack, Text, Title } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Link, useSearchParams } from "react-router";
import type { Schemas } from "../../api/client";
import { count, duration, money, time } from "../../lib/format";
import { meansOf, valueText } from "../../lib/scores";
import { rangeParams } from "../../lib/traceFilter";
import { type Turn, turnsOf } from "../../lib/turns";
import { Chat, Cut } from "../../parts/Chat";
import { CopyIcon } from "../../parts/Code";
import { JsonTree } from "../../parts/JsonTree";
import { SpanScores, useScores } from "../../parts/Scores";
import { Failed, Waiting } from "../../parts/states";
import "../../parts/virtual.css";
import { sessionQuery } from "./ask";
import "./replay.css";

type Span = Schemas["Span"];
type Score = Schemas["Score"];

export function Replay({ id }: { id: string }) {
  const asked = useInfiniteQuery(sessionQuery(id));
  const [params] = useSearchParams();
  const range = rangeParams(params).toString();
  const turns = useMemo(() => turnsOf(asked.data?.pages.flatMap((page) => page.data) ?? []), [asked.data]);
  const traces = useMemo(() => turns.map((turn) => turn.span.trace_id), [turns]);
  const scores = useScores(traces);
  if (asked.isPending) return <Waiting what="Loading the session" />;
  if (asked.isError && turns.length === 0) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  return (
    <div>
      <Group gap="xs" wrap="nowrap" mb="xs">
        <Anchor component={Link} to={{ pathname: "/sessions", search: range }} size="sm" underline="always">Sessions</Anchor>
        <Text c="dimmed" aria-hidden>/</Text>
        <Title order={1} className="clip">{id}</Title>
        <CopyIcon value={id} label="Copy the session's id" />
        <Anchor component={Link} to={`/traces?${new URLSearchParams({ session: id, range: "365d" })}`} size="sm" underline="always" ml="auto">Traces</Anchor>
      </Group>
      <Sums turns={turns} scores={scores} whole={!asked.hasNextPage} range={range} />
      <Stack gap="sm" maw={920} component="ol" className="turns">
        {turns.map((turn, at) => <TurnView key={turn.span.span_id} turn={turn} nth={at + 1} scores={scores} />)}
      </Stack>
      {asked.isError && <Failed error={asked.error} retry={() => void asked.fetchNextPage()} />}
      {asked.hasNextPage && <Button variant="default" loading={asked.isFetchingNextPage} onClick={() => void asked.fetchNextPage()}>Later turns</Button>}
    </div>
  );
}

function Sums({ turns, scores, whole, range }: { turns: readonly Turn[]; scores: readonly Score[]; whole: boolean; range: string }) {
  const sum = (of: (span: Span) => number | null | undefined) => turns.reduce((all, turn) => all + (of(turn.span) ?? 0), 0);
  const failed = turns.filter((turn) => turn.span.status === "error").length;
  const users = [...new Set(turns.flatMap((turn) => turn.span.user_id ?? []))];
  return (
    <Text size="sm" mb="sm">
      {users.map((user) => <Anchor key={user} component={Link} to={`/sessions?${new URLSearchParams([...new URLSearchParams(range), ["user", user]])}`} inherit underline="always" mr={8}>{user}</Anchor>)}
      {whole ? "" : "the first "}{count(turns.length)} {turns.length === 1 ? "turn" : "turns"} · {count(sum((span) => span.input_tokens))} → {count(sum((span) => span.output_tokens))} tokens
      {" · "}{money(sum((span) => span.cost_picodollars))} · {duration(sum((span) => span.latency_ms))} in models
      {meansOf(scores).map(({ name, mean, count: scored }) => <span key={name}> · {name} {valueText(mean)} of {count(scored)}</span>)}
      {failed > 0 && <span className="failed"> · {failed} failed</span>}
    </Text>
  );
}

function TurnView({ turn, nth, scores }: { turn: Turn; nth: number; scores: readonly Score[] }) {
  const { span, asked, answered } = turn;
  return (
    <li className="turn">
      <Group gap="xs" mb={4}>
        <Text size="xs" fw={600}>Turn {nth}</Text>
        <Text size="xs" c="dimmed">{time(span.start_time)}{span.model ? ` · ${span.model}` : ""}</Text>
      </Group>
      {span.input_cut && <Cut what="input" />}
      {asked !== null ? <Chat messages={asked} /> : span.input != null && <JsonTree value={span.input} label="Input" />}
      <div className="turn-answer">
        {span.output_cut && <Cut what="output" />}
        {answered !== null ? <Chat messages={answered} /> : span.output != null && <JsonTree value={span.output} label="Output" />}
        {span.status !== "ok" && <Alert color={span.status === "error" ? "red" : "gray"} py={6}><Text size="sm" className="as-written">{span.status_message ?? `This call was ${span.status}.`}</Text></Alert>}
      </div>
      <Group gap="sm" mt={4}>
      <Text size="xs" c="dimmed">
        {duration(span.latency_ms)}{span.ttft_ms == null ? "" : `, first token after ${duration(span.ttft_ms)}`} · {count(span.input_tokens)} → {count(span.output_tokens)} tokens
        {" · "}{money(span.cost_picodollars)} · <Anchor component={Link} to={`/traces/${span.trace_id}?span=${span.span_id}`} inherit underline="always">trace</Anchor>
      </Text>
      <SpanScores scores={scores} trace={span.trace_id} span={span.span_id} />
      </Group>
    </li>
  );
}
