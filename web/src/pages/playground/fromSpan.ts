/** A call that was made, as a column to try again. */

import { type Schemas, ApiError, getJson } from "../../api/client";
import { type ChatMessage, type ChatPart, messagesOf } from "../../lib/chat";
import { type Column, MAX_MESSAGES, type Message, newColumn, newId, newMessage, type Parameters, PARAMETERS, type Role, ROLES } from "./conversation";
import { isObject } from "./request";

export type Span = Schemas["Span"];

/** The span with its whole payloads; without a span's id, the first call of the trace. */
export async function fetchSpan(trace: string, span: string | null, signal?: AbortSignal): Promise<Span> {
  const path = `/api/v1/traces/${encodeURIComponent(trace)}`;
  if (span !== null) {
    try {
      return await getJson<Span>(`${path}/spans/${encodeURIComponent(span)}`, signal);
    } catch (error) {
      // The trace may still show it.
      if (!(error instanceof ApiError && (error.status === 404 || error.status === 405))) throw error;
    }
  }
  const { spans } = await getJson<{ spans: Span[] }>(path, signal);
  const found = span === null ? spans.find((known) => known.kind === "llm") : spans.find((known) => known.span_id === span);
  if (found === undefined) throw new Error(span === null ? "This trace has no call of a model." : "This trace has no such span.");
  return found;
}

/** The column that makes the same call. */
export function columnOf(span: Span): Column {
  const all = (messagesOf(span.input, "user") ?? unknownInput(span.input)).flatMap(messagesFrom).slice(0, MAX_MESSAGES);
  const first = all[0];
  const system = first?.role === "system" && !first.json ? first.content : "";
  const messages = system === "" ? all : all.slice(1);
  const told = isObject(span.parameters) ? span.parameters : {};
  return {
    ...newColumn(span.model_requested ?? span.model ?? null),
    system,
    messages: messages.length === 0 ? [newMessage("user")] : messages,
    parameters: parametersOf(told),
    tools: jsonText(told.tools),
    schema: jsonText(told.response_format),
    logprobs: told.logprobs === true,
  };
}

function unknownInput(input: unknown): ChatMessage[] {
  return input === null || input === undefined ? [] : [{ role: "user", parts: [{ kind: "text", text: JSON.stringify(input, null, 2) }] }];
}

function parametersOf(told: Record<string, unknown>): Parameters {
  const number = (...names: string[]) => names.map((name) => told[name]).find((value) => typeof value === "number") ?? "";
  const stops = typeof told.stop === "string" ? [told.stop] : Array.isArray(told.stop) ? told.stop.filter((stop) => typeof stop === "string") : [];
  return {
    temperature: number("temperature"),
    top_p: number("top_p"),
    max_tokens: number("max_tokens", "max_completion_tokens") || PARAMETERS.max_tokens,
    seed: number("seed"),
    presence_penalty: number("presence_penalty"),
    frequency_penalty: number("frequency_penalty"),
    stop: stops.map((stop) => stop.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\t", "\\t")).join("\n"),
  };
}

/** One message, or several: the results of tools stand in messages of their own. */
function messagesFrom({ role, parts }: ChatMessage): Message[] {
  const results = parts.filter((part) => part.kind === "result").map((part): Message => ({ ...newMessage("tool", plain(part.output)), tool_call_id: part.id ?? "" }));
  const calls = parts.flatMap((part) => (part.kind === "call" ? [callOf(part)] : []));
  const rest = parts.filter((part) => !["result", "call", "reasoning"].includes(part.kind));
  if (rest.length === 0 && calls.length === 0) return results.length > 0 ? results : [newMessage(roleOf(role))];
  const pictured = rest.some((part) => part.kind === "image");
  const content = pictured ? JSON.stringify(rest.map(sentPart), null, 2) : rest.map(shownPart).join("\n");
  return [...results, { ...newMessage(roleOf(role), content), ...(pictured ? { json: true } : {}), ...(calls.length > 0 ? { tool_calls: calls } : {}) }];
}

function callOf(part: Extract<ChatPart, { kind: "call" }>): unknown {
  return { id: part.id ?? newId(), type: "function", function: { name: part.name, arguments: plain(part.input ?? {}) } };
}

function sentPart(part: ChatPart): unknown {
  return part.kind === "image" ? { type: "image_url", image_url: { url: part.src } } : { type: "text", text: shownPart(part) };
}

function shownPart(part: ChatPart): string {
  return part.kind === "text" ? part.text : part.kind === "other" ? plain(part.value) : "";
}

function roleOf(role: string): Role {
  return ROLES.find((known) => known === role) ?? (role === "model" || role === "ai" ? "assistant" : "user");
}

function plain(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

function jsonText(value: unknown): string {
  return value === undefined || value === null ? "" : JSON.stringify(value, null, 2);
}
