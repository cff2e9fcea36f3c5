/** One span: its numbers, what went in and what came out. */

import { Alert, Anchor, Badge, Button, CopyButton, Group, SegmentedControl, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useMemo, useState } from "react";
import { Link } from "react-router";
import { getJson, type Schemas } from "../api/client";
import { messagesOf } from "../lib/chat";
import { curlOf } from "../lib/curl";
import { count, duration, money, time } from "../lib/format";
import { rangeBackTo } from "../lib/timeRange";
import { useSession } from "../signin/session";
import { Chat, Cut } from "./Chat";
import { CopyIcon } from "./Code";
import { JsonTree } from "./JsonTree";
import { SpanScores, useScores } from "./Scores";
import { Failed, Waiting } from "./states";
import "./span.css";

type Span = Schemas["Span"];

/** The span with everything it carries, fetched when it is chosen. */
export function SpanDetail({ trace, outline }: { trace: string; outline: Schemas["OutlineSpan"] }) {
  const asked = useQuery({
    queryKey: ["span", trace, outline.span_id],
    queryFn: ({ signal }) => getJson<Span>(`/api/v1/traces/${trace}/spans/${outline.span_id}`, signal),
    staleTime: Infinity,
  });
  const span = asked.data;
  return (
    <section aria-label="Span" className="span-detail">
      {span === undefined ? <Title order={2} size="h3" className="clip">{outline.name}</Title> : <Whole span={span} />}
      {asked.isPending && <Waiting what="Loading what went in and came out" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
    </section>
  );
}

function Whole({ span }: { span: Span }) {
  return (
    <>
      <Head span={span} />
      {span.status_message && <Alert color={span.status === "error" ? "red" : "gray"} py={6} my={6}><Text size="sm" className="as-written">{span.status_message}</Text></Alert>}
      <Facts span={span} />
      <Scores span={span} />
      <Payloads span={span} />
    </>
  );
}

function Scores({ span }: { span: Span }) {
  const traces = useMemo(() => [span.trace_id], [span.trace_id]);
  return <SpanScores scores={useScores(traces)} trace={span.trace_id} span={span.span_id} />;
}

function Head({ span }: { span: Span }) {
  const { may } = useSession();
  const curl = useMemo(() => curlOf(span, window.location.origin), [span]);
  return (
    <>
      <Group gap={6} wrap="nowrap" mb={4}>
        <span className={`dot kind-${span.kind}`} />
        <Title order={2} size="h3" className="clip">{span.name}</Title>
        <Badge variant="default">{span.kind}</Badge>
        <Badge variant="default"><span className={`dot dot-${span.status}`} />{span.status}</Badge>
      </Group>
      <Group gap={6} mb={6}>
        {span.kind === "llm" && may("infer") && (
          <Button component={Link} to={`/playground?from_trace=${span.trace_id}&span=${span.span_id}`} variant="default" size="compact-xs">Open in playground</Button>
        )}
        {curl !== null && (
          <CopyButton value={curl} timeout={1500}>
            {({ copied, copy }) => <Button variant="default" size="compact-xs" onClick={copy}>{copied ? "Copied" : "Copy as curl"}</Button>}
          </CopyButton>
        )}
        <Text size="xs" c="dimmed" className="mono">{span.span_id}</Text>
        <CopyIcon value={span.span_id} label="Copy the span's id" />
      </Group>
    </>
  );
}

/** Tokens of the answer a second, from the first token to the end. */
function speed(span: Span): string | null {
  const seconds = (span.latency_ms - (span.ttft_ms ?? 0)) / 1000;
  return span.output_tokens && seconds > 0 ? `${count(span.output_tokens / seconds)}/s` : null;
}

function Facts({ span }: { span: Span }) {
  const tokens = (value: number | null | undefined) => (value == null ? null : count(value));
  const facts: [string, ReactNode][] = [
    ["Began", time(span.start_time, true)],
    ["Took", duration(span.latency_ms)],
    ["First token", span.ttft_ms == null ? null : duration(span.ttft_ms)],
    ["Model", span.model && <Filter span={span} name="model" value={span.model} />],
    ["Asked for", span.model_requested && span.model_requested !== span.model ? <Filter span={span} name="model" value={span.model_requested} /> : null],
    ["Provider", span.provider && <Filter span={span} name="provider" value={span.provider} />],
    ["Input tokens", tokens(span.input_tokens)],
    ["Output tokens", tokens(span.output_tokens)],
    ["From cache", span.cached_tokens ? count(span.cached_tokens) : null],
    ["Reasoning", span.reasoning_tokens ? count(span.reasoning_tokens) : null],
    ["Speed", speed(span)],
    ["Cost", span.cost_picodollars == null ? null : money(span.cost_picodollars)],
    ["User", span.user_id && <Filter span={span} name="user" value={span.user_id} />],
    ["Session", span.session_id && <Anchor component={Link} to={`/sessions/${encodeURIComponent(span.session_id)}`} inherit underline="always">{span.session_id}</Anchor>],
    ["Environment", span.environment && <Filter span={span} name="environment" value={span.environment} />],
    ["Release", span.release],
    ["Prompt", span.prompt_name && `${span.prompt_name}${span.prompt_version == null ? "" : ` v${span.prompt_version}`}`],
    ["Arm", span.arm],
    ["Tags", span.tags.length > 0 && span.tags.map((tag) => <Filter key={tag} span={span} name="tag" value={tag} />)],
  ];
  return (
    <dl className="facts">
      {facts.filter(([, value]) => value).map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
    </dl>
  );
}

/** A value that leads to the traces that have it, this one among them. */
function Filter({ span, name, value }: { span: Span; name: string; value: string }) {
  return <Anchor component={Link} to={`/traces?${new URLSearchParams({ range: rangeBackTo(span.start_time), [name]: value })}`} inherit underline="always" mr={6}>{value}</Anchor>;
}

function Payloads({ span }: { span: Span }) {
  const attributes = Object.keys(span.attributes ?? {}).length > 0;
  const nothing = span.input == null && span.output == null;
  return (
    <>
      {nothing && <Text size="sm" c="dimmed" my="xs">Neither input nor output was recorded with this span.</Text>}
      {span.input != null && <Payload key={`in ${span.span_id}`} title="Input" value={span.input} role="user" cut={span.input_cut} />}
      {span.output != null && <Payload key={`out ${span.span_id}`} title="Output" value={span.output} role="assistant" cut={span.output_cut} />}
      {span.parameters != null && <Section title="Parameters"><JsonTree value={span.parameters} label="Parameters" /></Section>}
      {attributes && <Section title="Attributes"><JsonTree value={span.attributes} label="Attributes" /></Section>}
    </>
  );
}

function Section({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  return (
    <div className="span-section">
      <Group justify="space-between" mb={4}><Title order={3} size="h3">{title}</Title>{aside}</Group>
      {children}
    </div>
  );
}

function Payload({ title, value, role, cut }: { title: string; value: unknown; role: "user" | "assistant"; cut: boolean }) {
  const messages = useMemo(() => messagesOf(value, role), [value, role]);
  const [form, setForm] = useState("chat");
  const choice = messages !== null && (
    <SegmentedControl size="xs" data={[{ value: "chat", label: "Chat" }, { value: "json", label: "JSON" }]} value={form} onChange={setForm} aria-label={`How ${title.toLowerCase()} is shown`} />
  );
  return (
    <Section title={title} aside={choice}>
      {cut && <Cut what={title.toLowerCase()} />}
      {messages !== null && form === "chat" ? <Chat messages={messages} /> : <JsonTree value={value} label={title} />}
    </Section>
  );
}
