import { expect, test } from "vitest";
import { requestOf } from "./splitForm";

const PARTS = [{ name: "train", percent: "80" }, { name: " test ", percent: "12,5" }];

test("what was typed becomes a request", () => {
  const asked = requestOf(PARTS, "7", "stratify", "label");
  expect(asked).toEqual({ request: { parts: [{ name: "train", fraction: 0.8 }, { name: "test", fraction: 0.125 }], seed: 7, stratify: "label" }, problem: null });
  expect(requestOf(PARTS, "7", "alone", "label").request).not.toHaveProperty("group");
  expect(requestOf(PARTS, "7", "group", "user").request.group).toBe("user");
  expect(requestOf(["70", "20", "10"].map((percent, at) => ({ name: String(at), percent })), "0", "alone", null).problem).toBeNull();
});

test("what cannot be is told before it is asked", () => {
  const problem = (parts: { name: string; percent: string }[], seed = "0") => requestOf(parts, seed, "alone", null).problem;
  expect(problem([{ name: "", percent: "5" }])).toMatch(/name/);
  expect(problem([{ name: "a", percent: "5" }, { name: "a", percent: "5" }])).toMatch(/same name/);
  expect(problem([{ name: "a", percent: "" }])).toMatch(/more than 0/);
  expect(problem([{ name: "a", percent: "60" }, { name: "b", percent: "50" }])).toMatch(/more than 100/);
  expect(problem([{ name: "a", percent: "5" }], "x")).toMatch(/seed/);
  expect(requestOf(PARTS, "0", "stratify", null).problem).toMatch(/column/);
});
