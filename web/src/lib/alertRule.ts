/** A rule as a form has it: texts and numbers as typed, and what they come to. */

export const MEASURES = [
  { value: "calls", label: "Calls" },
  { value: "errors", label: "Failed calls" },
  { value: "error_rate", label: "Error rate, %" },
  { value: "latency_p50", label: "Latency, median, ms" },
  { value: "latency_p95", label: "Latency, 95th percentile, ms" },
  { value: "latency_p99", label: "Latency, 99th percentile, ms" },
  { value: "ttft_p50", label: "Time to first token, median, ms" },
  { value: "ttft_p95", label: "Time to first token, 95th percentile, ms" },
  { value: "cost", label: "Cost, dollars" },
  { value: "tokens", label: "Tokens" },
  { value: "input_tokens", label: "Input tokens" },
  { value: "output_tokens", label: "Output tokens" },
  { value: "output_tokens_per_s", label: "Output tokens per second" },
  { value: "score", label: "Mean of a score" },
] as const;

export const KINDS = [
  { value: "threshold", label: "is beyond a limit" },
  { value: "change", label: "differs from before" },
  { value: "budget", label: "uses up a budget too fast" },
  { value: "absence", label: "there are no calls" },
] as const;

export const WINDOWS = [
  { value: "60", label: "1 minute" },
  { value: "300", label: "5 minutes" },
  { value: "900", label: "15 minutes" },
  { value: "3600", label: "1 hour" },
  { value: "21600", label: "6 hours" },
  { value: "86400", label: "1 day" },
  { value: "259200", label: "3 days" },
  { value: "604800", label: "7 days" },
  { value: "2592000", label: "30 days" },
];

/** Fields of a query that a form has one field for. */
export const FILTERS = ["model", "provider", "environment", "user", "tag"] as const;
type FilterName = (typeof FILTERS)[number];

/** What was typed; an empty text is nothing. */
export interface RuleForm {
  name: string;
  severity: string;
  enabled: boolean;
  description: string;
  receivers: string[];
  source: "measure" | "sql";
  measure: string;
  score: string;
  sql: string;
  filters: Record<FilterName, string>;
  window: string;
  kind: string;
  direction: string;
  value: number | string;
  clear: number | string;
  against: string;
  unit: string;
  limit: number | string;
  periodDays: number | string;
  factor: number | string;
  holdMinutes: number | string;
  keepMinutes: number | string;
  onNoData: string;
}

/** What the server says of a rule, as far as a form shows it. */
export interface KnownRule {
  name: string;
  severity: string;
  enabled: boolean;
  description?: string | null;
  receivers?: string[] | null;
  query: Record<string, unknown>;
  window_s: number;
  condition: Record<string, unknown>;
  for_s: number;
  keep_firing_for_s: number;
  on_no_data: string;
  [more: string]: unknown;
}

const DAY_S = 86_400;

export const NEW_RULE: RuleForm = {
  name: "", severity: "warning", enabled: true, description: "", receivers: [],
  source: "measure", measure: "error_rate", score: "", sql: "", filters: { model: "", provider: "", environment: "", user: "", tag: "" }, window: "300",
  kind: "threshold", direction: "above", value: 5, clear: "", against: "previous", unit: "percent", limit: "", periodDays: 30, factor: 14.4,
  holdMinutes: 0, keepMinutes: 0, onNoData: "quiet",
};

/** The form of a rule that there is. */
export function formOf(rule: KnownRule): RuleForm {
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  const number = (value: unknown) => (typeof value === "number" ? value : "");
  const { query, condition } = rule;
  const kind = text(condition.kind);
  return {
    ...NEW_RULE,
    name: rule.name, severity: rule.severity, enabled: rule.enabled, description: rule.description ?? "", receivers: rule.receivers ?? [],
    source: typeof query.sql === "string" ? "sql" : "measure",
    measure: text(query.measure) || NEW_RULE.measure, score: text(query.score), sql: text(query.sql),
    filters: Object.fromEntries(FILTERS.map((name) => [name, text(query[name])])) as Record<FilterName, string>,
    window: String(rule.window_s),
    kind, direction: text(condition.direction) || "above", value: number(condition.value), clear: number(kind === "budget" ? condition.clear_factor : condition.clear),
    against: text(condition.against) || "previous", unit: text(condition.unit) || "percent",
    limit: number(condition.limit), periodDays: typeof condition.period_s === "number" ? condition.period_s / DAY_S : 30, factor: kind === "budget" ? number(condition.factor) : 14.4,
    holdMinutes: rule.for_s / 60, keepMinutes: rule.keep_firing_for_s / 60, onNoData: rule.on_no_data,
  };
}

const optional = (value: number | string) => (value === "" ? undefined : Number(value));

function conditionOf(form: RuleForm): Record<string, unknown> {
  switch (form.kind) {
    case "change":
      return { kind: "change", direction: form.direction, value: Number(form.value), clear: optional(form.clear), unit: form.unit, against: form.against };
    case "budget":
      return { kind: "budget", limit: Number(form.limit), period_s: Math.round(Number(form.periodDays) * DAY_S), factor: Number(form.factor), clear_factor: optional(form.clear) };
    case "absence":
      return { kind: "absence" };
    default:
      return { kind: "threshold", direction: form.direction, value: Number(form.value), clear: optional(form.clear) };
  }
}

function queryOf(form: RuleForm, known: KnownRule | null): Record<string, unknown> {
  if (form.source === "sql") return { sql: form.sql };
  if (form.kind !== "absence" && form.measure === "score") return { measure: "score", score: form.score.trim() };
  const told = Object.fromEntries(FILTERS.flatMap((name) => (form.filters[name].trim() === "" ? [] : [[name, form.filters[name].trim()]])));
  // What the form has no field for stays: the command line can say more.
  const kept = Object.fromEntries(Object.entries(known?.query ?? {}).filter(([name]) => ["kind", "status", "session", "name", "prompt"].includes(name)));
  return { ...kept, measure: form.kind === "absence" ? "calls" : form.measure, ...told };
}

/** What of a rule has no field in the form, and stays as it is. */
const KEPT = ["everywhere", "every_s", "delay_s", "for_evaluations", "on_error"] as const;

/** The rule that the form says. */
export function ruleOf(form: RuleForm, known: KnownRule | null): Record<string, unknown> {
  const kept = Object.fromEntries(KEPT.flatMap((name) => (known !== null && known[name] != null ? [[name, known[name]]] : [])));
  const short = known !== null && form.kind === known.condition.kind ? pick(known.condition, ["short_window_s", "grace_s"]) : {};
  return {
    ...kept,
    name: form.name.trim(), severity: form.severity, enabled: form.enabled, description: form.description.trim() || undefined,
    receivers: form.receivers.length === 0 ? undefined : form.receivers,
    query: queryOf(form, known), window_s: Number(form.window), condition: { ...conditionOf(form), ...short },
    for_s: Math.round(Number(form.holdMinutes) * 60), keep_firing_for_s: Math.round(Number(form.keepMinutes) * 60), on_no_data: form.onNoData,
  };
}

function pick(from: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.flatMap((name) => (from[name] == null ? [] : [[name, from[name]]])));
}

/** Whether enough was typed to try the rule out. */
export function isWhole(form: RuleForm): boolean {
  if (form.source === "sql" ? form.sql.trim() === "" : form.kind !== "absence" && form.measure === "score" && form.score.trim() === "") return false;
  if (form.kind === "budget") return Number(form.limit) > 0 && Number(form.periodDays) > 0 && Number(form.factor) > 0;
  return form.kind === "absence" || form.value !== "";
}
