import { expect, test } from "vitest";
import type { Schemas } from "../api/client";
import { turnsOf } from "./turns";

const say = (role: string, content: string) => ({ role, content });

test("a turn shows what it adds to the conversation", () => {
  const [system, one, first, two, second] = [say("system", "s"), say("user", "1"), say("assistant", "a"), say("user", "2"), say("assistant", "b")];
  const spans = [
    { input: [system, one], output: [first] },
    { input: [system, one, first, two], output: [second] },
    { input: { vector: [1] }, output: null },
    { input: [say("user", "elsewhere")], output: [first] },
  ].map((payload) => ({ input_cut: false, output_cut: false, ...payload }) as unknown as Schemas["Span"]);
  const texts = turnsOf(spans).map((turn) => [turn.asked, turn.answered].map((messages) => messages?.map((message) => (message.parts[0] as { text: string }).text).join(" ") ?? null));
  expect(texts).toEqual([["s 1", "a"], ["2", "b"], [null, null], ["elsewhere", "a"]]);
});
