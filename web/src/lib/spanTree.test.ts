import { expect, test } from "vitest";
import { ancestors, buildTree, millis, searchRows, type SpanLike, ticks, visibleRows } from "./spanTree";

const span = (span_id: string, parent_id: string | null, at_ms = 0, latency_ms = 1): SpanLike => ({
  span_id, parent_id, start_time: new Date(1_700_000_000_000 + at_ms).toISOString(), latency_ms, name: `op ${span_id}`, kind: "llm", status: "ok",
});
const shape = (spans: SpanLike[]) => buildTree(spans).rows.map((row) => `${"-".repeat(row.depth)}${row.span.span_id}${row.descendants}`).join(" ");

test("children stand below their parents in the order in which they came", () => {
  expect(shape([span("a", null), span("b", "a"), span("c", "a"), span("d", "b"), span("e", null)])).toBe("a3 -b1 --d0 -c0 e0");
  expect(shape([span("d", "b"), span("b", "a"), span("a", null)])).toBe("a2 -b1 --d0");
});

test("orphans and circles stand at the top, each span once", () => {
  expect(shape([span("a", "gone"), span("b", "a")])).toBe("a1 -b0");
  expect(shape([span("a", "c"), span("b", "a"), span("c", "b"), span("d", "d")])).toBe("a2 -b1 --c0 d0");
});

test("a span that an exporter sent twice is shown once, as it was told last", () => {
  const tree = buildTree([span("a", null), span("b", "a", 0, 1), span("b", "a", 0, 2)]);
  expect(tree.rows.map((row) => [row.span.span_id, row.span.latency_ms])).toEqual([["a", 1], ["b", 2]]);
});

test("a chain of 30,000 does not exhaust the stack", () => {
  const tree = buildTree(Array.from({ length: 30_000 }, (_, i) => span(String(i), i === 0 ? null : String(i - 1))));
  expect(tree.rows[0]!.descendants).toBe(29_999);
  expect(tree.rows.at(-1)!.depth).toBe(29_999);
  expect(ancestors(tree, 3)).toEqual(["0", "1", "2"]);
});

test("times are relative to the first start, to the microsecond", () => {
  expect(millis("2026-01-01T00:00:00.123456Z") - millis("2026-01-01T00:00:00Z")).toBeCloseTo(123.456, 3);
  expect(millis("2026-01-01T01:00:00.5+01:00")).toBe(millis("2026-01-01T00:00:00.5Z"));
  const tree = buildTree([span("b", "a", 40, 100), span("a", null, 10, 50)]);
  expect([tree.length_ms, tree.rows.map((row) => row.offset_ms)]).toEqual([130, [0, 30]]);
});

test("collapsed rows hide what is below them", () => {
  const tree = buildTree([span("a", null), span("b", "a"), span("d", "b"), span("c", "a"), span("e", null)]);
  const seen = (...collapsed: string[]) => visibleRows(tree, new Set(collapsed)).map((at) => tree.rows[at]!.span.span_id).join("");
  expect([seen(), seen("b"), seen("a"), seen("a", "b")]).toEqual(["abdce", "abce", "ae", "ae"]);
});

test("searching and the axis", () => {
  const tree = buildTree([span("a", null), span("b", "a")]);
  expect([searchRows(tree, "OP B"), searchRows(tree, " "), searchRows(tree, "none")]).toEqual([[1], [], []]);
  expect(ticks(1234, 5)).toEqual([0, 500, 1000]);
  expect(ticks(0, 5)).toEqual([0]);
  expect(ticks(10, 5)).toEqual([0, 2, 4, 6, 8, 10]);
});
