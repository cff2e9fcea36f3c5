/** A streamed chat answer, folded from its events. */

import { isObject } from "./request";

export interface Alternative {
  token: string;
  logprob: number;
}

export interface Token extends Alternative {
  alternatives: Alternative[];
}

export interface ToolCall {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
}

export type Status = "waiting" | "streaming" | "done" | "stopped" | "failed";

export interface Answer {
  status: Status;
  text: string;
  reasoning: string;
  refusal: string;
  toolCalls: ToolCall[];
  tokens: Token[];
  /** Events with output so far: what is counted until the server tells the usage. */
  pieces: number;
  inputTokens: number | null;
  outputTokens: number | null;
  finishReason: string | null;
  traceId: string | null;
  error: string | null;
  /** Milliseconds since the request was sent. */
  firstMs: number | null;
  lastMs: number | null;
}

/** An answer that goes on for ever does not take the page with it. */
const MAX_TEXT = 1_000_000;
const MAX_TOKENS = 20_000;
const MAX_CALLS = 128;

export function newAnswer(): Answer {
  return {
    status: "waiting", text: "", reasoning: "", refusal: "", toolCalls: [], tokens: [], pieces: 0, inputTokens: null, outputTokens: null,
    finishReason: null, traceId: null, error: null, firstMs: null, lastMs: null,
  };
}

/** The answer after one more event, `ms` after the request was sent. Events that mean nothing change nothing. */
export function fold(answer: Answer, data: string, ms: number): Answer {
  if (data === "[DONE]") return answer;
  const event = objectOf(data);
  if (event === null) return answer;
  if (isObject(event.error)) return { ...answer, status: "failed", error: textOf(event.error.message) || "The server broke off the answer." };
  const next = { ...answer, ...usageOf(event.usage) };
  const choice = Array.isArray(event.choices) ? (event.choices as unknown[]).find((found) => isObject(found) && (found.index ?? 0) === 0) : undefined;
  if (!isObject(choice)) return next;
  if (typeof choice.finish_reason === "string") next.finishReason = choice.finish_reason;
  return isObject(choice.delta) ? withDelta(next, choice.delta, choice.logprobs, ms) : next;
}

function withDelta(answer: Answer, delta: Record<string, unknown>, logprobs: unknown, ms: number): Answer {
  const [text, reasoning, refusal] = [textOf(delta.content), textOf(delta.reasoning_content) || textOf(delta.reasoning), textOf(delta.refusal)];
  const calls = Array.isArray(delta.tool_calls) ? (delta.tool_calls as unknown[]) : [];
  const tokens = tokensOf(logprobs);
  if (text === "" && reasoning === "" && refusal === "" && calls.length === 0 && tokens.length === 0) return answer;
  return {
    ...answer,
    status: "streaming",
    text: (answer.text + text).slice(0, MAX_TEXT),
    reasoning: (answer.reasoning + reasoning).slice(0, MAX_TEXT),
    refusal: (answer.refusal + refusal).slice(0, MAX_TEXT),
    toolCalls: calls.reduce(withCall, answer.toolCalls),
    tokens: tokens.length === 0 ? answer.tokens : [...answer.tokens, ...tokens].slice(0, MAX_TOKENS),
    pieces: answer.pieces + 1,
    firstMs: answer.firstMs ?? ms,
    lastMs: ms,
  };
}

/** Calls come in pieces too: the name first, then the arguments, by index. */
function withCall(calls: ToolCall[], piece: unknown): ToolCall[] {
  if (!isObject(piece)) return calls;
  const index = typeof piece.index === "number" ? piece.index : calls.length;
  if (!Number.isInteger(index) || index < 0 || index > Math.min(calls.length, MAX_CALLS - 1)) return calls;
  const told = isObject(piece.function) ? piece.function : {};
  const before: ToolCall = calls[index] ?? { id: "", type: "function", function: { name: "", arguments: "" } };
  const after: ToolCall = {
    id: textOf(piece.id) || before.id,
    type: "function",
    function: { name: before.function.name + textOf(told.name), arguments: (before.function.arguments + textOf(told.arguments)).slice(0, MAX_TEXT) },
  };
  return [...calls.slice(0, index), after, ...calls.slice(index + 1)];
}

/** The tokens of `logprobs.content`, each with its alternatives, likeliest first. */
export function tokensOf(logprobs: unknown): Token[] {
  if (!isObject(logprobs) || !Array.isArray(logprobs.content)) return [];
  return logprobs.content.flatMap((entry: unknown) => {
    const token = alternativeOf(entry);
    if (token === null) return [];
    const top: unknown = (entry as { top_logprobs?: unknown }).top_logprobs;
    const alternatives = (Array.isArray(top) ? (top as unknown[]) : []).map(alternativeOf).filter((found) => found !== null);
    return [{ ...token, alternatives: alternatives.sort((a, b) => b.logprob - a.logprob) }];
  });
}

function alternativeOf(entry: unknown): Alternative | null {
  if (!isObject(entry) || typeof entry.token !== "string" || typeof entry.logprob !== "number") return null;
  return { token: entry.token, logprob: entry.logprob };
}

function usageOf(usage: unknown): Partial<Answer> {
  if (!isObject(usage)) return {};
  const number = (value: unknown) => (typeof value === "number" ? value : null);
  return { inputTokens: number(usage.prompt_tokens), outputTokens: number(usage.completion_tokens) };
}

/** Tokens per second after the first one, as far as there is something to divide. */
export function speedOf(answer: Answer): number | null {
  const tokens = answer.outputTokens ?? answer.pieces;
  if (answer.firstMs === null || answer.lastMs === null || tokens < 2 || answer.lastMs <= answer.firstMs) return null;
  return ((tokens - 1) * 1000) / (answer.lastMs - answer.firstMs);
}

/** Five steps of colour, from "almost never" to "nearly sure". */
export function stepOf(logprob: number): 0 | 1 | 2 | 3 | 4 {
  const probability = Math.exp(logprob);
  return probability < 0.1 ? 0 : probability < 0.3 ? 1 : probability < 0.6 ? 2 : probability < 0.9 ? 3 : 4;
}

/** What cannot be seen, made visible. */
export function visible(token: string): string {
  return token === "" ? "∅" : token.replaceAll("\n", "↵").replaceAll("\t", "⇥").replaceAll(" ", "␣");
}

function objectOf(data: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(data);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
