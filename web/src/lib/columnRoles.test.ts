import { expect, test } from "vitest";
import { type Column, toldRoles, withRole } from "./columnRoles";

const GUESSED: Column[] = [
  { name: "question", type: "text", role: "input" },
  { name: "text", type: "text", role: "variables" },
  { name: "source", type: "text", role: "metadata" },
];
const roles = (columns: readonly Column[]) => columns.map((column) => column.role);

test("a role that only one column can have moves", () => {
  expect(roles(withRole(GUESSED, "text", "input"))).toEqual(["variables", "input", "metadata"]);
  expect(roles(withRole(GUESSED, "text", "metadata"))).toEqual(["input", "metadata", "metadata"]);
  expect(roles(withRole(GUESSED, "question", "input"))).toEqual(["input", "variables", "metadata"]);
});

test("a guess stays one, and everything else is told", () => {
  // To say that the question is the input would make rows without one bad.
  expect(toldRoles(GUESSED, GUESSED)).toEqual({ text: "variables", source: "metadata" });
  // Left untold, the text would be guessed to be the input.
  expect(toldRoles(GUESSED, withRole(GUESSED, "question", "context"))).toEqual({ question: "context", text: "variables", source: "metadata" });
  expect(toldRoles(GUESSED, withRole(GUESSED, "text", "input"))).toEqual({ question: "variables", text: "input", source: "metadata" });
});
