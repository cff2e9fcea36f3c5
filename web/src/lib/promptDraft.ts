/** A prompt as the editor holds it: texts that may not be right yet, and the content that they make. */

import type { Schemas } from "../api/client";

export type Content = Schemas["PromptContent"];
export type Variable = Schemas["PromptVariable"];

export interface DraftMessage {
  id: number;
  /** `placeholder` stands where messages of a variable, or examples, come. */
  role: string;
  content: string;
}

export interface DraftVariable {
  id: number;
  name: string;
  type: string;
  required: boolean;
  /** As JSON, or text for a string; empty without a default. */
  default: string;
  description: string;
}

export interface Draft {
  kind: "chat" | "text";
  messages: DraftMessage[];
  text: string;
  variables: DraftVariable[];
  model: string;
  /** A JSON object. */
  parameters: string;
  /** Examples, tools and the form of the answer, as one JSON object. */
  rest: string;
}

export const ROLES = ["system", "developer", "user", "assistant", "placeholder"] as const;
export const TYPES = ["string", "number", "integer", "boolean", "list", "object", "json", "messages"] as const;
const REST = ["examples", "tools", "tool_choice", "response_format"] as const;

let ids = 0;
const newId = () => (ids += 1);

export const newMessage = (role: string, content = ""): DraftMessage => ({ id: newId(), role, content });
export const newVariable = (name = ""): DraftVariable => ({ id: newId(), name, type: "string", required: true, default: "", description: "" });

export function emptyDraft(): Draft {
  return { kind: "chat", messages: [newMessage("system"), newMessage("user")], text: "", variables: [], model: "", parameters: "{}", rest: "{}" };
}

/** The draft of a version's content. */
export function draftOf(content: Content): Draft {
  const rest = Object.fromEntries(REST.flatMap((name) => (content[name] == null ? [] : [[name, content[name]]])));
  return {
    kind: content.kind === "text" ? "text" : "chat",
    messages: (content.messages ?? []).map((message) => (message.placeholder != null ? newMessage("placeholder", message.placeholder) : newMessage(message.role ?? "user", message.content ?? ""))),
    text: content.text ?? "",
    variables: (content.variables ?? []).map((variable) => ({ id: newId(), name: variable.name, type: variable.type ?? "string", required: variable.required ?? true, default: defaultText(variable), description: variable.description ?? "" })),
    model: content.model ?? "",
    parameters: JSON.stringify(content.parameters ?? {}, null, 2),
    rest: JSON.stringify(rest, null, 2),
  };
}

function defaultText({ default: value, type }: Variable): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" && (type ?? "string") === "string" ? value : JSON.stringify(value);
}

/** The content that a draft makes, or what is wrong with its texts. */
export function contentOf(draft: Draft): { content: Content } | { wrong: string } {
  try {
    const said = draft.kind === "text" ? { text: draft.text } : { messages: draft.messages.map(messageOf) };
    const content = {
      kind: draft.kind, ...said,
      variables: draft.variables.map(variableOf),
      ...(draft.model.trim() === "" ? {} : { model: draft.model.trim() }),
      parameters: object(draft.parameters, "Parameters"),
      ...object(draft.rest, "Examples, tools, form of the answer"),
    };
    return { content: content as Content };
  } catch (cause) {
    return { wrong: cause instanceof Error ? cause.message : String(cause) };
  }
}

function messageOf({ role, content }: DraftMessage) {
  return role === "placeholder" ? { placeholder: content.trim() } : { role, content };
}

function variableOf({ name, type, required, default: text, description }: DraftVariable) {
  const value = text === "" ? {} : { default: type === "string" ? text : json(text, `The default of ${name}`) };
  return { name: name.trim(), type, required, ...value, ...(description.trim() === "" ? {} : { description: description.trim() }) };
}

function object(text: string, what: string): Record<string, unknown> {
  const value = json(text.trim() === "" ? "{}" : text, what);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error(`${what}: a JSON object is expected.`);
  return value as Record<string, unknown>;
}

function json(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${what}: ${cause instanceof Error ? cause.message : "no JSON"}`);
  }
}

/** The values that were typed: text for strings, JSON for the others; what is empty is not given. */
export function valuesOf(variables: readonly Variable[], typed: Readonly<Record<string, string>>): { values: Record<string, unknown> } | { wrong: string } {
  const values: Record<string, unknown> = {};
  for (const { name, type } of variables) {
    const text = Object.hasOwn(typed, name) ? typed[name]! : "";
    if (text === "") continue;
    if ((type ?? "string") === "string") {
      values[name] = text;
      continue;
    }
    try {
      values[name] = JSON.parse(text);
    } catch {
      return { wrong: `${name}: write it as JSON, such as ${type === "list" || type === "messages" ? "[…]" : type === "object" ? "{…}" : type === "boolean" ? "true" : "3"}.` };
    }
  }
  return { values };
}

/** The values without which nothing can be rendered. */
export function lacking(variables: readonly Variable[], values: Readonly<Record<string, unknown>>): string[] {
  return variables.filter(({ name, required, default: usual }) => name !== "" && (required ?? true) && usual == null && !Object.hasOwn(values, name)).map((variable) => variable.name);
}

/** Names that templates say and nobody declared: `{{ name }}` without anything else in it. */
export function undeclared(draft: Draft): string[] {
  const texts = draft.kind === "text" ? [draft.text] : draft.messages.filter((message) => message.role !== "placeholder").map((message) => message.content);
  const said = texts.flatMap((text) => Array.from(text.matchAll(/\{\{\s*([A-Za-z_]\w{0,63})\s*(?:\|[^}]*)?\}\}/g), (match) => match[1]!));
  const known = new Set([...draft.variables.map((variable) => variable.name), "examples", "loop", "range"]);
  return [...new Set(said)].filter((name) => !known.has(name));
}
