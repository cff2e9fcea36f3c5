/** A column as the body of a chat call. */

import { type Column, type Message, type Parameters, withoutEmptyEnd } from "./conversation";
import { fill, fillDeep, namesIn } from "./variables";

/** Alternatives asked for with each token. */
const TOP_LOGPROBS = 5;

export type Body = Record<string, unknown>;

/** What a person has to put right before a column can be sent. */
export class Problem extends Error {}

/** The request of a column. Throws [`Problem`] in words that tell where to look. */
export function requestOf(column: Column, values: Readonly<Record<string, string>>): Body {
  if (column.model === null) throw new Problem("Choose a model.");
  const missing = [column.system, ...column.messages.map((message) => message.content)].flatMap(namesIn).find((name) => !values[name]);
  if (missing !== undefined) throw new Problem(`The variable {{${missing}}} has no value.`);
  const system = fill(column.system, values);
  const messages = withoutEmptyEnd(column.messages).map((message) => messageOf(message, values));
  if (messages.length === 0) throw new Problem("Write a message first.");
  return {
    model: column.model,
    messages: system.trim() === "" ? messages : [{ role: "system", content: system }, ...messages],
    ...parametersOf(column.parameters),
    ...toolsOf(column.tools),
    ...formatOf(column.schema),
    ...(column.logprobs ? { logprobs: true, top_logprobs: TOP_LOGPROBS } : {}),
    stream: true,
    stream_options: { include_usage: true },
  };
}

/** What a column becomes as a prompt: its words stay templates. Throws [`Problem`] for what a prompt has no place for. */
export function promptOf(column: Column): Body {
  const said = withoutEmptyEnd(column.messages);
  if (said.some((message) => message.json || message.role === "tool" || (message.tool_calls?.length ?? 0) > 0)) throw new Problem("A prompt is made of texts: messages with parts or with calls of tools have no place in it.");
  const messages = [...(column.system.trim() === "" ? [] : [{ role: "system", content: column.system }]), ...said.map(({ role, content }) => ({ role, content }))];
  if (messages.length === 0) throw new Problem("Write a message first.");
  const names = [...new Set(messages.flatMap((message) => namesIn(message.content)))];
  const strange = names.find((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name));
  if (strange !== undefined) throw new Problem(`A variable of a prompt has letters, digits and _ only: rename {{${strange}}}.`);
  return {
    kind: "chat", messages, variables: names.map((name) => ({ name, type: "string" })),
    ...(column.model === null ? {} : { model: column.model }),
    parameters: { ...parametersOf(column.parameters), ...(column.logprobs ? { logprobs: true, top_logprobs: TOP_LOGPROBS } : {}) },
    ...toolsOf(column.tools), ...formatOf(column.schema),
  };
}

function messageOf(message: Message, values: Readonly<Record<string, string>>): Body {
  const content = message.json ? fillDeep(parsed(message.content, `The content of the ${message.role} message`), values) : fill(message.content, values);
  const called = message.role === "assistant" && message.tool_calls !== undefined && message.tool_calls.length > 0;
  return {
    role: message.role,
    content: called && content === "" ? null : content,
    ...(called ? { tool_calls: message.tool_calls } : {}),
    ...(message.role === "tool" ? { tool_call_id: message.tool_call_id ?? "" } : {}),
  };
}

function parametersOf({ stop, ...numbers }: Parameters): Body {
  const given = Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== ""));
  const stops = stop.split("\n").filter((line) => line !== "").map(unescaped);
  return stops.length === 0 ? given : { ...given, stop: stops };
}

/** `\n` and `\t` as they are written, since a line break ends the entry. */
function unescaped(text: string): string {
  return text.replace(/\\([nt\\])/g, (_, letter: string) => (letter === "n" ? "\n" : letter === "t" ? "\t" : "\\"));
}

function toolsOf(text: string): Body {
  if (text.trim() === "") return {};
  const tools = parsed(text, "The text of the tools");
  const list = Array.isArray(tools) ? tools : [tools];
  if (list.some((tool) => !isObject(tool))) throw new Problem("The tools are a JSON list of objects.");
  // A bare function is what most people have at hand.
  return list.length === 0 ? {} : { tools: list.map((tool: Body) => ("type" in tool && "function" in tool ? tool : { type: "function", function: tool })) };
}

/** A bare schema, a named one (`{"name", "schema"}`), or a whole response format. */
function formatOf(text: string): Body {
  if (text.trim() === "") return {};
  const given = parsed(text, "The text of the JSON schema");
  if (!isObject(given)) throw new Problem("The JSON schema is an object.");
  if (given.type === "json_schema" || given.type === "json_object") return { response_format: given };
  const named = typeof given.name === "string" && isObject(given.schema);
  return { response_format: { type: "json_schema", json_schema: named ? given : { name: "answer", strict: true, schema: given } } };
}

function parsed(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Problem(`${what} is not JSON: ${(error as Error).message}`);
  }
}

export function isObject(value: unknown): value is Body {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
