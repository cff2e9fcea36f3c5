import { expect, test } from "vitest";
import { callsLink, filterText, filtersOf, questionKey, serverQuery, tracesLink, withFilters } from "./traceFilter";

const params = (text: string) => new URLSearchParams(text);

test("filters are read from the address, empty and wrong ones are absent", () => {
  expect(filtersOf(params("model=gpt&status=&min_latency_ms=fast&text=+a+&other=1"))).toEqual({ model: "gpt", text: "a" });
  expect(filtersOf(params("min_latency_ms=12.5"))).toEqual({ min_latency_ms: "12.5" });
  expect([filtersOf(params("calls=true&prompt=p")), filtersOf(params("calls=no"))]).toEqual([{ calls: "true", prompt: "p" }, {}]);
});

test("a filter says its name and value, a switch only its name", () => {
  expect([filterText("prompt", "greeting"), filterText("calls", "true")]).toEqual(["Prompt: greeting", "Only model calls"]);
});

test("changing a filter keeps the rest of the address", () => {
  expect(withFilters(params("range=7d&model=a&selected=1"), { model: "", user: " u " }).toString()).toBe("range=7d&selected=1&user=u");
});

test("a number links to the traces behind it", () => {
  expect(tracesLink(params("range=7d&model=a&group_by=user"), { status: "error" })).toBe("/traces?range=7d&model=a&status=error");
  expect(tracesLink(params(""))).toBe("/traces");
});

test("a number of the overview links to calls of models, unless it is one of another kind", () => {
  expect(callsLink(params("range=7d&prompt=p"), { status: "error" })).toBe("/traces?range=7d&prompt=p&calls=true&status=error");
  expect(callsLink(params("kind=tool"), { user: "u" })).toBe("/traces?kind=tool&user=u");
});

test("the server is asked for the range's beginning, and for its end only after a zoom", () => {
  const now = Date.UTC(2026, 0, 2);
  expect(serverQuery(params("range=24h&model=a"), undefined, now).toString()).toBe("from=2026-01-01T00%3A00%3A00.000Z&model=a");
  const zoomed = "from=2026-01-01T00%3A00%3A00.000Z&to=2026-01-01T01%3A00%3A00.000Z";
  expect(serverQuery(params(zoomed), [], now).toString()).toBe(zoomed);
});

test("a question is told by range and filters, not by what is selected", () => {
  expect(questionKey(params("model=a&selected=1"))).toBe(questionKey(params("selected=2&model=a")));
  expect(questionKey(params("model=a"))).not.toBe(questionKey(params("model=a&range=1h")));
});
