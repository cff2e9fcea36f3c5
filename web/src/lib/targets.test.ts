import { expect, test } from "vitest";
import { readTargets, writeTargets } from "./targets";

test("targets survive being written and read", () => {
  const targets = [{ provider: "openai", model: "gpt-4o-mini" }, { provider: "hub", model: "org/model" }];
  expect(readTargets(writeTargets(targets))).toEqual(targets);
});

test("spaces and empty lines do not count", () => {
  expect(readTargets("  local/a \n\n local/b\n")).toEqual([{ provider: "local", model: "a" }, { provider: "local", model: "b" }]);
});

test("a line without a provider or a model is refused", () => {
  for (const line of ["nameless", "/model", "provider/"]) expect(() => readTargets(line)).toThrow(line);
});
