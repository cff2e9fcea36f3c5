import { expect, test } from "vitest";
import { HISTORY_MAX, parseHistory, remembered, STATEMENT_MAX, toChart, toCsv } from "./sql";

const text = (name: string) => ({ name, type: "Utf8View" });
const whole = (name: string) => ({ name, type: "Int64" });
const instant = (name: string) => ({ name, type: 'Timestamp(ns, "UTC")' });

test("CSV quotes what would break a line or a field", () => {
  const rows = [{ name: 'say "hi", twice', n: 1 }, { name: "two\nlines", n: null }, { name: "plain", n: { a: [1] } }];
  expect(toCsv([text("name"), whole("n")], rows)).toBe('name,n\r\n"say ""hi"", twice",1\r\n"two\nlines",\r\nplain,"{""a"":[1]}"\r\n');
});

test("a statement run again moves to the top", () => {
  expect(remembered(["a", "b", "c"], " b ")).toEqual(["b", "a", "c"]);
  expect(remembered(["a"], "  ")).toEqual(["a"]);
  expect(remembered(["a"], "x".repeat(STATEMENT_MAX + 1))).toEqual(["a"]);
  const full = Array.from({ length: HISTORY_MAX }, (_, n) => `select ${n}`);
  expect(remembered(full, "new")).toHaveLength(HISTORY_MAX);
});

test("a history that something else wrote is none", () => {
  expect(parseHistory(null)).toEqual([]);
  expect(parseHistory("{")).toEqual([]);
  expect(parseHistory('{"a":1}')).toEqual([]);
  expect(parseHistory('["select 1", 2]')).toEqual(["select 1"]);
});

test("times make lines in order", () => {
  const rows = [{ hour: "1970-01-01T00:02:00Z", calls: 2 }, { hour: "1970-01-01T00:01:00Z", calls: null }];
  expect(toChart([instant("hour"), whole("calls")], rows)).toEqual({ x: [60, 120], labels: null, series: [{ name: "calls", values: [null, 2] }] });
});

test("names make bars, and without numbers there is no chart", () => {
  expect(toChart([text("model"), whole("calls")], [{ model: "a", calls: 3 }])).toEqual({ x: [0], labels: ["a"], series: [{ name: "calls", values: [3] }] });
  expect(toChart([text("model")], [{ model: "a" }])).toBeNull();
  expect(toChart([whole("n")], [])).toBeNull();
  expect(toChart([whole("n")], [{ n: 4 }])?.labels).toEqual(["1"]);
});
