/** A recorded call as a command to make it again. */

export interface CalledSpan {
  kind: string;
  model_requested?: string | null;
  model?: string | null;
  parameters?: unknown;
  input?: unknown;
}

/** For a POSIX shell: nothing within is expanded. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The key comes from the environment: a command that is passed on must not carry one. */
export function curlOf(span: CalledSpan, origin: string): string | null {
  const model = span.model_requested ?? span.model;
  if (!model || span.input === null || span.input === undefined) return null;
  const parameters = typeof span.parameters === "object" && span.parameters !== null ? span.parameters : {};
  const [path, input] = endpointOf(span.kind, span.input);
  if (path === null) return null;
  const body = JSON.stringify({ model, ...input, ...parameters }, null, 2);
  return `curl ${quoted(origin + path)} \\\n  -H "Authorization: Bearer $QUARTERDECK_API_KEY" \\\n  -H 'Content-Type: application/json' \\\n  -d ${quoted(body)}`;
}

function endpointOf(kind: string, input: unknown): [string | null, Record<string, unknown>] {
  if (kind === "embedding") return ["/v1/embeddings", { input }];
  if (kind !== "llm") return [null, {}];
  if (typeof input === "string") return ["/v1/completions", { prompt: input }];
  return Array.isArray(input) ? ["/v1/chat/completions", { messages: input }] : [null, {}];
}
