import { expect, test } from "vitest";
import { callFilter, callsLink, filterText, filtersOf, groupText, NO_FILTERS, questionKey, serverQuery, shownValue, tracesLink, valueOf, withFilters } from "./traceFilter";

const params = (text: string) => new URLSearchParams(text);

test("filters are read from the address, empty and wrong ones are absent", () => {
  expect(filtersOf(params("model=gpt&status=&min_latency_ms=fast&text=+a+&other=1"))).toEqual({ model: "gpt", text: "a" });
  expect(filtersOf(params("min_latency_ms=12.5"))).toEqual({ min_latency_ms: "12.5" });
  expect([filtersOf(params("calls=true&prompt=p")), filtersOf(params("calls=no"))]).toEqual([{ calls: "true", prompt: "p" }, {}]);
});

test("numbers are whole where they count, and money is typed and read in dollars", () => {
  expect(filtersOf(params("min_ttft_ms=1.5&min_input_tokens=1.5&min_output_tokens=7&min_cost_picodollars=-1"))).toEqual({ min_ttft_ms: "1.5", min_output_tokens: "7" });
  expect([valueOf("min_cost_picodollars", "0.002"), valueOf("min_cost_picodollars", " "), valueOf("min_cost_picodollars", "dear"), valueOf("min_input_tokens", "12")]).toEqual(["2000000000", " ", "dear", "12"]);
  expect([shownValue("min_cost_picodollars", ""), shownValue("min_cost_picodollars", "2000000000"), filterText("min_cost_picodollars", "2000000000")]).toEqual(["", "0.002", "Cost at least ($): 0.002"]);
});

test("a filter says its name and value, a switch only its name", () => {
  expect([filterText("prompt", "greeting"), filterText("calls", "true")]).toEqual(["Prompt: greeting", "Only model calls"]);
  expect([filterText("experiments", "false"), filtersOf(params("experiments=perhaps"))]).toEqual(["Without experiments", {}]);
});

test("a group is read from the address when it is whole", () => {
  expect(filtersOf(params("group_by=model&group=gpt")).group).toEqual({ by: "model", one: "gpt" });
  expect(filtersOf(params("group_by=user&group=")).group).toEqual({ by: "user", one: "" });
  expect(filtersOf(params('group_by=user&except_groups=["a",""]')).group).toEqual({ by: "user", except: ["a", ""] });
  for (const part of ["group_by=model", "group=a", "group_by=moon&group=a", "group_by=user&except_groups=a", "group_by=user&except_groups=[1]", 'group_by=user&group=a&except_groups=["b"]'])
    expect(filtersOf(params(part))).toEqual({});
});

test("a group says in words what it takes", () => {
  expect(groupText({ by: "model", one: "gpt" })).toEqual({ text: "Answered by: gpt", meaning: "The model that answered, or was asked for when none did: gpt" });
  expect(groupText({ by: "user", one: "" }).text).toBe("User: (not told)");
  expect(groupText({ by: "provider", except: ["a", "", "b"] }).text).toBe("Provider: none of a, (not told), b");
  expect(groupText({ by: "user", except: ["a", "b", "c", "d", "e"] })).toEqual({ text: "User: none of a, b, c and 2 more", meaning: "User: none of a, b, c, d, e" });
});

test("a group is put into the address as it is, and taken away whole", () => {
  const grouped = withFilters(params("range=7d"), { group: { by: "user", one: " a " } });
  expect(grouped.toString()).toBe("range=7d&group_by=user&group=+a+");
  expect(withFilters(grouped, { group: { by: "model", except: ["a,b", ""] } }).get("except_groups")).toBe('["a,b",""]');
  expect([withFilters(grouped, { group: null }).toString(), withFilters(grouped, NO_FILTERS).toString()]).toEqual(["range=7d", "range=7d"]);
  expect(withFilters(grouped, { model: "m" }).get("group")).toBe(" a ");
});

test("the list of traces is asked for a group, the overview is not", () => {
  const grouped = params("range=24h&model=a&group_by=user&group=");
  expect(serverQuery(grouped).toString()).toMatch(/&model=a&group_by=user&group=$/);
  expect(serverQuery(grouped, ["model"]).toString()).toMatch(/&model=a$/);
  expect(questionKey(grouped)).not.toBe(questionKey(params("range=24h&model=a&group_by=user")));
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

test("a question in a body has the server's own types", () => {
  const asked = callFilter(params("range=1h&status=error&min_latency_ms=12.5&calls=true&experiments=false&group_by=user&group="), Date.UTC(2026, 0, 31, 12));
  expect(asked).toEqual({ from: "2026-01-31T11:00:00.000Z", status: "error", min_latency_ms: 12.5, calls: true, experiments: false, group_by: "user", group: "" });
});
