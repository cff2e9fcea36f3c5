import { expect, test } from "vitest";
import { lineDiff } from "./lineDiff";

const shown = (before: string, after: string) => lineDiff(before, after).map((row) => `${row.kind} ${row.old ?? "-"} ${row.new ?? "-"}`);

test("lines that stay, change, come and go", () => {
  expect(shown("a\nb\nc\n", "a\nB\nc\n")).toEqual(["same a a", "changed b B", "same c c"]);
  expect(shown("a\nc", "a\nb\nc")).toEqual(["same a a", "added - b", "same c c"]);
  expect(shown("a\nb\nc", "c")).toEqual(["removed a -", "removed b -", "same c c"]);
  expect(shown("", "a")).toEqual(["added - a"]);
  expect(shown("a", "a")).toEqual(["same a a"]);
});

test("both sides put together are the two texts", () => {
  const [before, after] = ["x\ny\nz\ny\nx", "y\nx\ny\nw\nx"];
  const rows = lineDiff(before, after);
  expect(rows.flatMap((row) => row.old ?? []).join("\n")).toBe(before);
  expect(rows.flatMap((row) => row.new ?? []).join("\n")).toBe(after);
  expect(rows.filter((row) => row.kind === "same")).toHaveLength(3);
});
