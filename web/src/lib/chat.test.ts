import { expect, test } from "vitest";
import { messagesOf, newMessages } from "./chat";

test("OpenAI's messages, with tools and images", () => {
  const messages = messagesOf(
    [
      { role: "system", content: "Be brief." },
      { role: "user", content: [{ type: "text", text: "What is it?" }, { type: "image_url", image_url: { url: "data:image/png;base64,AA==" } }] },
      { role: "assistant", content: null, tool_calls: [{ id: "c1", type: "function", function: { name: "look", arguments: '{"deep":true}' } }] },
      { role: "tool", tool_call_id: "c1", content: "a ship" },
    ],
    "user",
  );
  expect(messages).toEqual([
    { role: "system", parts: [{ kind: "text", text: "Be brief." }] },
    { role: "user", parts: [{ kind: "text", text: "What is it?" }, { kind: "image", src: "data:image/png;base64,AA==" }] },
    { role: "assistant", parts: [{ kind: "call", id: "c1", name: "look", input: { deep: true } }] },
    { role: "tool", parts: [{ kind: "result", id: "c1", output: "a ship" }] },
  ]);
});

test("Anthropic's content blocks", () => {
  const value = { system: "Be brief.", messages: [{ role: "assistant", content: [{ type: "thinking", thinking: "hm" }, { type: "tool_use", id: "t", name: "look", input: {} }] }] };
  expect(messagesOf(value, "user")).toEqual([
    { role: "system", parts: [{ kind: "text", text: "Be brief." }] },
    { role: "assistant", parts: [{ kind: "reasoning", text: "hm" }, { kind: "call", id: "t", name: "look", input: {} }] },
  ]);
});

test("answers, texts, and what is no chat", () => {
  expect(messagesOf({ choices: [{ message: { role: "assistant", content: "hi" } }] }, "assistant")).toEqual([{ role: "assistant", parts: [{ kind: "text", text: "hi" }] }]);
  expect(messagesOf("hi", "assistant")).toEqual([{ role: "assistant", parts: [{ kind: "text", text: "hi" }] }]);
  for (const other of [{ query: "x" }, [1, 2], [], null, "", [{ role: "user" }]]) expect(messagesOf(other, "user")).toBeNull();
});

test("a turn adds what the conversation did not have yet", () => {
  const said = (...texts: string[]) => messagesOf(texts, "user")!;
  const shown = (before: string[], now: string[]) => newMessages(before.length ? said(...before) : [], said(...now)).map((message) => (message.parts[0] as { text: string }).text);
  expect(shown([], ["a"])).toEqual(["a"]);
  expect(shown(["a", "b"], ["a", "b", "c"])).toEqual(["c"]);
  expect(shown(["a", "b"], ["a", "x", "c"])).toEqual(["x", "c"]);
  expect(shown(["a"], ["a"])).toEqual(["a"]);
});
