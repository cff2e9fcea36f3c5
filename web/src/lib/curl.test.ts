import { expect, test } from "vitest";
import { curlOf, quoted } from "./curl";

test("a shell takes the text as it is", () => {
  // POSIX: within single quotes nothing is special; a quote ends them, is escaped, and opens them again.
  expect(quoted("it's $HOME `id`")).toBe(`'it'\\''s $HOME \`id\`'`);
});

test("a call becomes the command that makes it", () => {
  const command = curlOf({ kind: "llm", model: "m-1", model_requested: "m", parameters: { temperature: 0 }, input: [{ role: "user", content: "it's" }] }, "http://host");
  expect(command).toContain("'http://host/v1/chat/completions'");
  expect(command).toContain('"model": "m"');
  expect(command).toContain('"temperature": 0');
  expect(command).toContain("it'\\''s");
  expect(curlOf({ kind: "llm", model: "m", input: "once" }, "")).toContain("/v1/completions");
  expect(curlOf({ kind: "embedding", model: "m", input: ["a"] }, "")).toContain("/v1/embeddings");
  expect(curlOf({ kind: "tool", model: "m", input: {} }, "")).toBeNull();
  expect(curlOf({ kind: "llm", model: "m", input: null }, "")).toBeNull();
});
