import { expect, test } from "vitest";
import { type Content, contentOf, draftOf, emptyDraft, lacking, newMessage, undeclared, valuesOf } from "./promptDraft";

const CONTENT = {
  kind: "chat",
  messages: [{ role: "system", content: "Be {{ tone }}." }, { placeholder: "history" }],
  variables: [{ name: "tone", type: "string", required: true, default: "brief", description: "How it is said." }, { name: "history", type: "messages", required: false }],
  model: "m", parameters: { temperature: 0.2 }, response_format: { type: "json_object" },
} as unknown as Content;

test("what is loaded into the editor is what it makes", () => {
  expect(contentOf(draftOf(CONTENT))).toEqual({ content: CONTENT });
});

test("texts that are no JSON are told by their place", () => {
  expect(contentOf({ ...emptyDraft(), parameters: "{" })).toHaveProperty("wrong", expect.stringMatching(/^Parameters: /));
  expect(contentOf({ ...emptyDraft(), rest: "[]" })).toHaveProperty("wrong", "Examples, tools, form of the answer: a JSON object is expected.");
});

test("values are text or JSON by their type, and what is empty is not given", () => {
  const variables = [{ name: "a" }, { name: "n", type: "integer" }, { name: "l", type: "list" }, { name: "x" }];
  expect(valuesOf(variables, { a: "3", n: "3", l: "[1]", x: "" })).toEqual({ values: { a: "3", n: 3, l: [1] } });
  expect(valuesOf(variables, { n: "three" })).toEqual({ wrong: "n: write it as JSON, such as 3." });
});

test("what must be given and is not is known", () => {
  const variables = [{ name: "a" }, { name: "b", default: "x" }, { name: "c", required: false }, { name: "d" }];
  expect(lacking(variables, { d: "" })).toEqual(["a"]);
});

test("names that nobody declared are offered", () => {
  const draft = { ...emptyDraft(), messages: [newMessage("user", "{{ name }} {{ tone | upper }} {{ name }} {{ a.b }} {% if c %}")] };
  expect(undeclared(draft)).toEqual(["name", "tone"]);
});
