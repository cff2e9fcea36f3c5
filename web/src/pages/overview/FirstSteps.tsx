/** What to do when nothing was recorded yet. */

import { Anchor, List, Stack, Tabs, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { getJson } from "../../api/client";
import { CodeBlock } from "../../parts/Code";
import { useSession } from "../../signin/session";

/** Stands in the code when no model is here yet. */
const SOME_MODEL = "smollm2-135m-instruct";

export function FirstSteps() {
  const { may } = useSession();
  const models = useQuery({ queryKey: ["v1-models"], queryFn: ({ signal }) => getJson<{ data: { id: string }[] }>("/v1/models", signal), retry: false, enabled: may("infer") });
  const examples = examplesOf(window.location.origin, models.data?.data[0]?.id ?? SOME_MODEL);
  return (
    <Stack maw={860} gap="sm">
      <div>
        <Title order={1}>Nothing was recorded yet</Title>
        <Text c="dimmed" size="sm">Send a call through Quarterdeck, and its cost, speed and contents appear here.</Text>
      </div>
      <List size="sm" type="ordered" spacing={2}>
        {may("infer") && <List.Item>Try a model in the <Anchor component={Link} to="/playground" inherit underline="always">playground</Anchor>: nothing to install.</List.Item>}
        <List.Item>{may("admin") ? <>Make a <Anchor component={Link} to="/keys" inherit underline="always">key</Anchor> for your program</> : "Ask an admin for a key for your program"} and put it in the environment as <code>QUARTERDECK_API_KEY</code>.</List.Item>
        <List.Item>Point any OpenAI client at this address, or report calls that were made elsewhere.</List.Item>
      </List>
      <Tabs defaultValue={examples[0]!.name} keepMounted={false}>
        <Tabs.List aria-label="Code">{examples.map(({ name }) => <Tabs.Tab key={name} value={name}>{name}</Tabs.Tab>)}</Tabs.List>
        {examples.map(({ name, code, hint }) => (
          <Tabs.Panel key={name} value={name} pt="xs">
            <CodeBlock code={code} label={`Copy the code for ${name}`} />
            <Text size="xs" c="dimmed" mt={6}>{hint}</Text>
          </Tabs.Panel>
        ))}
      </Tabs>
    </Stack>
  );
}

function examplesOf(origin: string, model: string): { name: string; code: string; hint: string }[] {
  return [
    { name: "Python", hint: "pip install openai", code: python(origin, model) },
    { name: "TypeScript", hint: "npm install openai", code: typescript(origin, model) },
    { name: "curl", hint: "The headers x-quarterdeck-session and x-quarterdeck-user group calls into sessions and users.", code: curl(origin, model) },
    { name: "OpenTelemetry", hint: "Any OpenTelemetry SDK can send here, with instrumentations of OpenInference, Traceloop, Langfuse, the Vercel AI SDK or MLflow; docs/otlp.md shows how.", code: telemetry(origin) },
  ];
}

const python = (origin: string, model: string) => `import os
from openai import OpenAI

client = OpenAI(base_url="${origin}/v1", api_key=os.environ["QUARTERDECK_API_KEY"])
answer = client.chat.completions.create(
    model="${model}",
    messages=[{"role": "user", "content": "Say hello."}],
    max_tokens=64,
)
print(answer.choices[0].message.content)`;

const typescript = (origin: string, model: string) => `import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${origin}/v1", apiKey: process.env.QUARTERDECK_API_KEY });
const answer = await client.chat.completions.create({
  model: "${model}",
  messages: [{ role: "user", content: "Say hello." }],
  max_tokens: 64,
});
console.log(answer.choices[0].message.content);`;

const curl = (origin: string, model: string) => `curl ${origin}/v1/chat/completions \\
  -H "Authorization: Bearer $QUARTERDECK_API_KEY" \\
  -H 'Content-Type: application/json' \\
  -d '{"model": "${model}", "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 64}'`;

const telemetry = (origin: string) => `# Your program stays as it is; its calls of models are recorded from outside.
pip install opentelemetry-distro opentelemetry-exporter-otlp-proto-http opentelemetry-instrumentation-openai
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
export OTEL_EXPORTER_OTLP_ENDPOINT=${origin}
export OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20$QUARTERDECK_API_KEY"
opentelemetry-instrument python app.py`;
