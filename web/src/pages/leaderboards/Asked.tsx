/** The very words in which a task asks about a document. */

import { Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type Ask, askTold } from "../../lib/leaderboards";
import { CodeBlock } from "../../parts/Code";
import { JsonTree } from "../../parts/JsonTree";
import { Failed, Waiting } from "../../parts/states";
import { askedQuery } from "./ask";

/** Requests of one document that are shown. */
const MOST_ASKS = 20;

export function Asked({ task, document, shots }: { task: string; document: number; shots: number | undefined }) {
  const asked = useQuery(askedQuery(task, document, shots));
  if (asked.isPending) return <Waiting what="Loading what is asked" />;
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  const { asks, fields } = asked.data;
  return (
    <Stack gap="sm">
      {(asks as unknown as Ask[]).slice(0, MOST_ASKS).map((ask, at) => <One key={at} ask={ask} />)}
      {asks.length > MOST_ASKS && <Text size="xs" c="dimmed">and {asks.length - MOST_ASKS} more requests</Text>}
      <section><Text size="xs" c="dimmed">The document’s fields</Text><JsonTree value={fields} label="Fields of the document" /></section>
    </Stack>
  );
}

function One({ ask }: { ask: Ask }) {
  const { prompt, asked } = askTold(ask);
  return (
    <div>
      <CodeBlock code={prompt} label="Copy the prompt" />
      <Text size="sm" mt={4}>{asked}</Text>
      {ask.kind === "choices" && <ol>{ask.continuations.map((text, at) => <li key={at}><code>{text}</code></li>)}</ol>}
    </div>
  );
}
