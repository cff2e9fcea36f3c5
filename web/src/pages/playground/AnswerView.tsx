/** What came back: the answer as it grows, how fast it was, and what can be done with it. */

import { Alert, Anchor, Badge, Button, Group, SegmentedControl, Text } from "@mantine/core";
import { memo, useState } from "react";
import { Link } from "react-router";
import { count, duration } from "../../lib/format";
import { CodeBlock, CopyIcon } from "../../parts/Code";
import { Markdown } from "../../parts/Markdown";
import { type Answer, speedOf, type Status } from "./answer";
import { Tokens } from "./Tokens";
import { isRunning } from "./useRuns";

const STATUS: Record<Status, { label: string; color: string }> = {
  waiting: { label: "Waiting", color: "gray" },
  streaming: { label: "Streaming", color: "cyan" },
  done: { label: "Done", color: "teal" },
  stopped: { label: "Stopped", color: "gray" },
  failed: { label: "Failed", color: "red" },
};

type View = "rendered" | "raw" | "tokens";

interface Props {
  answer: Answer;
  place: string;
  adopt: () => void;
}

export const AnswerView = memo(function AnswerView({ answer, place, adopt }: Props) {
  // Whoever asked for log-probabilities wants to see them, until they choose otherwise.
  const [chosen, setChosen] = useState<View | null>(null);
  const scored = answer.tokens.length > 0;
  const view = chosen === null || (chosen === "tokens" && !scored) ? (scored ? "tokens" : "rendered") : chosen;
  const said = answer.text !== "" || answer.toolCalls.length > 0 || answer.refusal !== "";
  const views: View[] = scored ? ["rendered", "raw", "tokens"] : ["rendered", "raw"];
  return (
    <section className="playground-answer" aria-label={`Answer, ${place}`}>
      <Group gap={6} justify="space-between">
        <Badge variant="dot" color={STATUS[answer.status].color} role="status" className="playground-status">{STATUS[answer.status].label}</Badge>
        {said && (
          <SegmentedControl
            size="xs" value={view} onChange={(next) => setChosen(next as View)} aria-label={`How the answer is shown, ${place}`}
            data={views.map((value) => ({ value, label: value.charAt(0).toUpperCase() + value.slice(1) }))}
          />
        )}
      </Group>
      <Numbers answer={answer} />
      {answer.error !== null && <Alert color="red" role="alert" py={6} className="playground-error">{answer.error}</Alert>}
      {answer.reasoning !== "" && <details open={answer.text === ""}><summary>Reasoning</summary><div className="playground-raw">{answer.reasoning}</div></details>}
      <div data-testid="answer" aria-busy={isRunning(answer)}>
        {view === "tokens" ? <Tokens tokens={answer.tokens} place={place} /> : view === "raw" ? <div className="playground-raw">{answer.text}</div> : <Markdown text={answer.text} />}
        {answer.refusal !== "" && <Text size="sm" fs="italic">{answer.refusal}</Text>}
        {answer.toolCalls.map((call, index) => <CodeBlock key={index} code={`${call.function.name}(${call.function.arguments})`} label="Copy the call" />)}
      </div>
      {said && !isRunning(answer) && (
        <Group gap={6}>
          <Button variant="light" size="compact-xs" onClick={adopt}>Add to conversation</Button>
          <CopyIcon value={answer.text} label="Copy the answer" />
        </Group>
      )}
    </section>
  );
});

/** Tokens, times and the way to the trace, in a line. */
function Numbers({ answer }: { answer: Answer }) {
  const speed = speedOf(answer);
  const tokens = answer.outputTokens ?? answer.pieces;
  return (
    <Group gap="4px 12px" className="playground-numbers">
      {answer.inputTokens !== null && <span>{count(answer.inputTokens)} in</span>}
      <span>{count(tokens)} {tokens === 1 ? "token" : "tokens"}</span>
      <span title="Time to the first token">first {duration(answer.firstMs)}</span>
      <span>{speed === null ? "–" : speed.toFixed(1)} tokens/s</span>
      {answer.finishReason !== null && answer.finishReason !== "stop" && <span>ended by {answer.finishReason}</span>}
      {answer.traceId !== null && !isRunning(answer) && <Anchor component={Link} to={`/traces/${answer.traceId}`} size="xs">Trace</Anchor>}
    </Group>
  );
}
