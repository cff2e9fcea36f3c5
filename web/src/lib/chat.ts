/** Chat messages as several providers write them, in one form to be shown. */

export interface ChatMessage {
  role: string;
  parts: ChatPart[];
}

export type ChatPart =
  | { kind: "text"; text: string }
  | { kind: "reasoning"; text: string }
  | { kind: "image"; src: string }
  | { kind: "call"; id: string | null; name: string; input: unknown }
  | { kind: "result"; id: string | null; output: unknown }
  | { kind: "other"; value: unknown };

type Fields = Record<string, unknown>;

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value);
const textOf = (value: unknown): string | null => (typeof value === "string" ? value : null);

/** The messages in a span's input or output, or null when it is not a chat. A lone text is one message of `role`. */
export function messagesOf(value: unknown, role: "user" | "assistant"): ChatMessage[] | null {
  if (typeof value === "string") return value === "" ? null : [{ role, parts: [{ kind: "text", text: value }] }];
  if (Array.isArray(value)) return listed(value, role);
  if (!isFields(value)) return null;
  if (Array.isArray(value.messages)) return listed([...(value.system === undefined ? [] : [{ role: "system", content: value.system }]), ...value.messages], role);
  if (Array.isArray(value.choices)) return listed(value.choices.map((choice) => (isFields(choice) ? (choice.message ?? choice.text) : choice)), role);
  return looksLikeMessage(value) ? [message(value, role)] : null;
}

function listed(values: unknown[], role: string): ChatMessage[] | null {
  const fits = values.length > 0 && values.every((value) => typeof value === "string" || (isFields(value) && looksLikeMessage(value)));
  if (!fits) return null;
  return values.map((value) => (typeof value === "string" ? { role, parts: [{ kind: "text", text: value }] } : message(value as Fields, role)));
}

function looksLikeMessage(value: Fields): boolean {
  return typeof value.role === "string" && ("content" in value || "parts" in value || "tool_calls" in value || "refusal" in value);
}

function message(value: Fields, role: string): ChatMessage {
  const parts: ChatPart[] = [];
  const reasoning = textOf(value.reasoning_content) ?? textOf(value.reasoning);
  if (reasoning) parts.push({ kind: "reasoning", text: reasoning });
  if (value.role === "tool") parts.push({ kind: "result", id: textOf(value.tool_call_id), output: value.content });
  else parts.push(...contentParts(value.content ?? value.parts));
  const refusal = textOf(value.refusal);
  if (refusal) parts.push({ kind: "text", text: refusal });
  if (Array.isArray(value.tool_calls)) parts.push(...value.tool_calls.map(toolCall));
  return { role: textOf(value.role) ?? role, parts };
}

function contentParts(content: unknown): ChatPart[] {
  if (content === null || content === undefined || content === "") return [];
  if (typeof content === "string") return [{ kind: "text", text: content }];
  return Array.isArray(content) ? content.map(contentPart) : [{ kind: "other", value: content }];
}

function contentPart(part: unknown): ChatPart {
  if (typeof part === "string") return { kind: "text", text: part };
  if (!isFields(part)) return { kind: "other", value: part };
  const text = textOf(part.text) ?? textOf(part.input_text) ?? textOf(part.refusal);
  const image = imageOf(part);
  if (image !== null) return { kind: "image", src: image };
  if (part.type === "tool_use") return { kind: "call", id: textOf(part.id), name: textOf(part.name) ?? "tool", input: part.input };
  if (part.type === "tool_result") return { kind: "result", id: textOf(part.tool_use_id), output: part.content };
  if (part.type === "thinking") return { kind: "reasoning", text: textOf(part.thinking) ?? "" };
  return text === null ? { kind: "other", value: part } : { kind: "text", text };
}

/** OpenAI's `image_url`, Anthropic's `source`. */
function imageOf(part: Fields): string | null {
  if (part.type === "image_url" || part.type === "input_image") return isFields(part.image_url) ? textOf(part.image_url.url) : textOf(part.image_url);
  if (part.type !== "image" || !isFields(part.source)) return null;
  const { source } = part;
  return source.type === "base64" ? `data:${textOf(source.media_type) ?? ""};base64,${textOf(source.data) ?? ""}` : textOf(source.url);
}

function toolCall(call: unknown): ChatPart {
  const called = isFields(call) && isFields(call.function) ? call.function : null;
  if (!isFields(call) || called === null) return { kind: "other", value: call };
  return { kind: "call", id: textOf(call.id), name: textOf(called.name) ?? "tool", input: parsed(called.arguments) };
}

/** Arguments come as JSON in a text; what is none stays as it is. */
export function parsed(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/** What a turn adds to a conversation: its messages without those that the turn before had asked or answered already. */
export function newMessages(before: readonly ChatMessage[], now: readonly ChatMessage[]): ChatMessage[] {
  const told = (message: ChatMessage) => JSON.stringify(message);
  let same = 0;
  while (same < before.length && same < now.length && told(before[same]!) === told(now[same]!)) same += 1;
  // The question itself is new even when it was asked before, word for word.
  return now.slice(Math.min(same, Math.max(now.length - 1, 0)));
}
