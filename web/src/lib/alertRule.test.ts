import { expect, test } from "vitest";
import { formOf, isWhole, type KnownRule, NEW_RULE, ruleOf } from "./alertRule";

const known: KnownRule = {
  name: "slow", severity: "critical", enabled: true, description: null, receivers: ["ops"], everywhere: false, every_s: 30, delay_s: 9, for_evaluations: 2,
  query: { measure: "latency_p95", model: "m", session: "s" }, window_s: 900, condition: { kind: "threshold", direction: "above", value: 2000, clear: 1500 },
  for_s: 120, keep_firing_for_s: 0, on_no_data: "keep", on_error: "quiet", state: "ok",
};

test("a rule that is only looked at is saved as it was", () => {
  const { state: _state, description: _description, ...spec } = known;
  expect(ruleOf(formOf(known), known)).toEqual({ ...spec, description: undefined });
});

test("a new rule says no more than was typed", () => {
  const rule = ruleOf({ ...NEW_RULE, name: " x ", filters: { ...NEW_RULE.filters, model: " m " } }, null);
  expect(rule.name).toBe("x");
  expect(rule.query).toEqual({ measure: "error_rate", model: "m" });
  expect(rule.condition).toEqual({ kind: "threshold", direction: "above", value: 5, clear: undefined });
});

test("another condition brings nothing of the one before", () => {
  const rule = ruleOf({ ...formOf(known), kind: "budget", clear: "", limit: 100, measure: "cost" }, known);
  expect(rule.condition).toEqual({ kind: "budget", limit: 100, period_s: 2_592_000, factor: 14.4, clear_factor: undefined });
  expect(ruleOf({ ...formOf(known), kind: "absence" }, known).query).toEqual({ measure: "calls", model: "m", session: "s" });
  expect(ruleOf({ ...formOf(known), source: "sql", sql: "SELECT 1" }, known).query).toEqual({ sql: "SELECT 1" });
});

test("what is not whole is not tried out", () => {
  expect(isWhole(NEW_RULE)).toBe(true);
  expect(isWhole({ ...NEW_RULE, value: "" })).toBe(false);
  expect(isWhole({ ...NEW_RULE, measure: "score" })).toBe(false);
  expect(isWhole({ ...NEW_RULE, kind: "budget" })).toBe(false);
  expect(isWhole({ ...NEW_RULE, kind: "budget", limit: 5 })).toBe(true);
  expect(isWhole({ ...NEW_RULE, source: "sql" })).toBe(false);
});
