import { expect, test } from "vitest";
import { fold, newAnswer, speedOf, stepOf, tokensOf, visible, type Answer } from "./answer";
import { change, type Column, isPristine, MAX_COLUMNS, newColumn, newConversation, newMessage } from "./conversation";
import { columnOf, type Span } from "./fromSpan";
import { load, save } from "./kept";
import { promptOf, requestOf } from "./request";
import { fill, namesIn, namesOf } from "./variables";

const column = (fields: Partial<Column> = {}): Column => ({ ...newColumn("m"), messages: [newMessage("user", "Hi")], ...fields });
const problem = (fields: Partial<Column>, words: string) => expect(() => requestOf(column(fields), {})).toThrow(words);

test("variables are found once each and filled where there is a value", () => {
  expect(namesIn("{{a}} {{ b_1 }} {{a}} {{}} {{1x}} {x} {{größe}}")).toEqual(["a", "b_1", "größe"]);
  expect(namesOf([column({ system: "{{tone}}" }), column({ messages: [newMessage("user", "{{city}} {{tone}}")] })])).toEqual(["tone", "city"]);
  expect(fill("{{a}} {{ b }} {{toString}}", { a: "{{b}} $&" })).toBe("{{b}} $& {{ b }} {{toString}}");
});

test("a request holds what was set and nothing else", () => {
  const plain = { model: "m", messages: [{ role: "user", content: "Hi" }], max_tokens: 256, stream: true, stream_options: { include_usage: true } };
  expect(requestOf(column(), {})).toEqual(plain);
  expect(requestOf(column({ messages: [newMessage("user", "Hi"), newMessage("user", " ")] }), {})).toEqual(plain);
  const { parameters } = newColumn();
  const set = column({ system: "Be {{tone}}", logprobs: true, parameters: { ...parameters, temperature: 0, max_tokens: "", stop: "END\n\\n\\n" } });
  expect(requestOf(set, { tone: "brief" })).toEqual({
    ...plain, max_tokens: undefined, temperature: 0, stop: ["END", "\n\n"], logprobs: true, top_logprobs: 5,
    messages: [{ role: "system", content: "Be brief" }, { role: "user", content: "Hi" }],
  });
});

test("tools and schemas are taken bare or in full", () => {
  const full = { type: "function", function: { name: "f" } };
  expect(requestOf(column({ tools: '{"name":"f"}' }), {}).tools).toEqual([full]);
  expect(requestOf(column({ tools: JSON.stringify([full]) }), {}).tools).toEqual([full]);
  expect(requestOf(column({ tools: "[]" }), {})).not.toHaveProperty("tools");
  const format = (schema: string) => requestOf(column({ schema }), {}).response_format;
  expect(format('{"type":"object"}')).toEqual({ type: "json_schema", json_schema: { name: "answer", strict: true, schema: { type: "object" } } });
  expect(format('{"name":"n","schema":{}}')).toEqual({ type: "json_schema", json_schema: { name: "n", schema: {} } });
  expect(format('{"type":"json_object"}')).toEqual({ type: "json_object" });
});

test("what cannot be sent says why", () => {
  problem({ model: null }, "Choose a model");
  problem({ messages: [newMessage("user", "  ")] }, "Write a message");
  problem({ messages: [newMessage("user", "{{who}}")] }, "{{who}} has no value");
  problem({ tools: "{" }, "tools is not JSON");
  problem({ tools: "[1]" }, "list of objects");
  problem({ schema: "[]" }, "is an object");
});

test("messages with parts and calls are sent as they are", () => {
  const messages = [
    { ...newMessage("user", '[{"type":"text","text":"{{q}}"}]'), json: true },
    { ...newMessage("assistant"), tool_calls: [{ id: "1" }] },
    { ...newMessage("tool", "4"), tool_call_id: "1" },
  ];
  expect(requestOf(column({ messages }), { q: 'a "b"' }).messages).toEqual([
    { role: "user", content: [{ type: "text", text: 'a "b"' }] },
    { role: "assistant", content: null, tool_calls: [{ id: "1" }] },
    { role: "tool", content: "4", tool_call_id: "1" },
  ]);
});

const folded = (...events: unknown[]): Answer => events.reduce<Answer>((answer, event, index) => fold(answer, typeof event === "string" ? event : JSON.stringify(event), 100 * (index + 1)), newAnswer());
const piece = (delta: unknown, more = {}) => ({ choices: [{ index: 0, delta, ...more }] });

test("a stream is folded into an answer", () => {
  const answer = folded(
    piece({ role: "assistant", content: "" }), piece({ content: "He" }), piece({ content: "llo" }), { choices: [{ index: 1, delta: { content: "no" } }] }, "no JSON", "[]",
    piece({}, { finish_reason: "length" }), { choices: [], usage: { prompt_tokens: 7, completion_tokens: 3 } }, "[DONE]",
  );
  expect(answer).toMatchObject({ status: "streaming", text: "Hello", pieces: 2, firstMs: 200, lastMs: 300, inputTokens: 7, outputTokens: 3, finishReason: "length" });
  expect(speedOf(answer)).toBe(20);
  expect(speedOf(newAnswer())).toBeNull();
  expect(folded(piece({ content: "He" }), { error: { message: "gone" } })).toMatchObject({ status: "failed", text: "He", error: "gone" });
});

test("calls are put together by index", () => {
  const call = (index: number, id: string | undefined, name: string | undefined, args: string) => piece({ tool_calls: [{ index, id, function: { name, arguments: args } }] });
  const { toolCalls } = folded(call(0, "a", "f", '{"x'), call(0, undefined, undefined, '":1}'), call(1, "b", "g", "{}"), call(9_000_000, "c", "h", ""));
  expect(toolCalls.map((made) => [made.id, made.function.name, made.function.arguments])).toEqual([["a", "f", '{"x":1}'], ["b", "g", "{}"]]);
});

test("log-probabilities come with alternatives, likeliest first", () => {
  const content = [{ token: "a", logprob: -2, top_logprobs: [{ token: "a", logprob: -2 }, { token: "b", logprob: -1 }, { token: 3 }] }, { token: "c" }, null];
  expect(tokensOf({ content })).toEqual([{ token: "a", logprob: -2, alternatives: [{ token: "b", logprob: -1 }, { token: "a", logprob: -2 }] }]);
  expect(tokensOf(null)).toEqual([]);
  expect([0.05, 0.2, 0.5, 0.8, 0.95].map((p) => stepOf(Math.log(p)))).toEqual([0, 1, 2, 3, 4]);
  expect([visible(" a\n"), visible("")]).toEqual(["␣a↵", "∅"]);
});

test("a span becomes the column that asks the same", () => {
  const input = [{ role: "system", content: "S" }, { role: "user", content: "U" }, { role: "assistant", content: null, tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: "{}" } }] }, { role: "tool", tool_call_id: "1", content: "R" }];
  const parameters = { temperature: 0.5, max_completion_tokens: 9, stop: "\n", tools: [{ name: "f" }], response_format: { type: "json_object" }, logprobs: true };
  const made = columnOf({ model: "answered", model_requested: "asked", input, parameters } as Span);
  expect(made).toMatchObject({ model: "asked", system: "S", logprobs: true, parameters: { temperature: 0.5, max_tokens: 9, stop: "\\n", top_p: "" } });
  const sent = requestOf(made, {});
  expect(sent.messages).toEqual([input[0], input[1], { ...input[2], content: null }, { role: "tool", tool_call_id: "1", content: "R" }]);
  expect([sent.stop, sent.response_format]).toEqual([["\n"], { type: "json_object" }]);
  expect(columnOf({ input: "just text" } as Span).messages[0]).toMatchObject({ role: "user", content: "just text" });
});

test("columns are limited, and the last one stays", () => {
  let state = newConversation();
  expect(isPristine(state)).toBe(true);
  for (let i = 0; i < 20; i += 1) state = change(state, { kind: "duplicate", column: state.columns[0]!.id });
  expect(state.columns.length).toBe(MAX_COLUMNS);
  expect(new Set(state.columns.flatMap((each) => [each.id, ...each.messages.map((message) => message.id)])).size).toBe(2 * MAX_COLUMNS);
  for (const { id } of state.columns) state = change(state, { kind: "remove", column: id });
  expect(state.columns.length).toBe(1);
  const [only] = state.columns;
  state = change(state, { kind: "append", column: only!.id, messages: [newMessage("assistant", "A"), newMessage("user")] });
  expect(state.columns[0]!.messages.map((message) => message.role)).toEqual(["assistant", "user"]);
});

test("a reload loses nothing, and nobody else finds it", () => {
  let room = 10_000;
  const kept = new Map<string, string>();
  const storage = {
    getItem: (name: string) => kept.get(name) ?? null,
    setItem: (name: string, value: string) => {
      if (value.length > room) throw new Error("full");
      kept.set(name, value);
    },
  } as Storage;
  const conversation = { columns: [column()], values: { a: "b" } };
  const id = conversation.columns[0]!.id;
  const answers = { [id]: { ...newAnswer(), status: "streaming" as const, text: "half" } };
  save("ada", { conversation, answers }, storage);
  expect(load("ada", storage)).toEqual({ conversation, answers: { [id]: { ...answers[id], status: "stopped" } } });
  expect(isPristine(load("bob", storage).conversation)).toBe(true);
  room = 700;
  save("ada", { conversation, answers: { [id]: { ...newAnswer(), text: "x".repeat(1000) } } }, storage);
  expect(load("ada", storage)).toEqual({ conversation, answers: {} });
  kept.set("quarterdeck.playground", '{"who":"ada","conversation":{"columns":[]}}');
  expect(load("ada", storage).conversation.columns.length).toBe(1);
});

test("a column becomes a prompt whose words stay templates", () => {
  const kept = promptOf(column({ system: "Be {{tone}}.", messages: [newMessage("user", "Greet {{ name }}.")], schema: '{"type":"object"}' }));
  expect(kept).toMatchObject({
    messages: [{ role: "system", content: "Be {{tone}}." }, { role: "user", content: "Greet {{ name }}." }],
    variables: [{ name: "tone", type: "string" }, { name: "name", type: "string" }],
    response_format: { type: "json_schema" },
  });
  expect(kept).not.toHaveProperty("stream");
  expect(() => promptOf(column({ messages: [newMessage("user", "{{a.b}}")] }))).toThrow("rename {{a.b}}");
  expect(() => promptOf(column({ messages: [{ ...newMessage("user", "[]"), json: true }] }))).toThrow("made of texts");
});
