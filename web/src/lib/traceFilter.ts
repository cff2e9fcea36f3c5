/** Which traces are wanted, as the address bar and the server's parameters both say it. */

import { RANGE_PARAMS, rangeOf } from "./timeRange";

export const FILTERS = ["kind", "calls", "status", "model", "provider", "prompt", "session", "user", "tag", "environment", "name", "min_latency_ms", "text"] as const;
export type FilterName = (typeof FILTERS)[number];
export type Filters = Partial<Record<FilterName, string>>;

/** The filters that the overview takes too. */
export const OVERVIEW_FILTERS: readonly FilterName[] = FILTERS.filter((name) => name !== "min_latency_ms" && name !== "text");

export const FILTER_LABELS: Record<FilterName, string> = {
  kind: "Kind", calls: "Only model calls", status: "Status", model: "Model", provider: "Provider", prompt: "Prompt", session: "Session", user: "User",
  tag: "Tag", environment: "Environment", name: "Operation", min_latency_ms: "At least (ms)", text: "Text",
};

export const KINDS = ["llm", "embedding", "retriever", "reranker", "tool", "chain", "agent", "guardrail", "evaluator", "prompt", "rollout"] as const;
export const STATUSES = ["ok", "error", "cancelled"] as const;

/** What a filter is called where it is shown. One that is only switched on has no value to tell. */
export function filterText(name: FilterName, value: string | undefined): string {
  return name === "calls" ? FILTER_LABELS[name] : `${FILTER_LABELS[name]}: ${value}`;
}

/** The filters in an address; empty ones, a latency that is no number and a switch that is not on count as absent. */
export function filtersOf(params: URLSearchParams): Filters {
  const found: Filters = {};
  for (const name of FILTERS) {
    const value = params.get(name)?.trim();
    if (!value || (name === "min_latency_ms" && !(Number(value) >= 0)) || (name === "calls" && value !== "true")) continue;
    found[name] = value;
  }
  return found;
}

/** An address's parameters with some filters changed; an empty value takes one away. What does not belong to filters stays. */
export function withFilters(params: URLSearchParams, changes: Filters): URLSearchParams {
  const next = new URLSearchParams(params);
  for (const [name, value] of Object.entries(changes)) {
    if (value?.trim()) next.set(name, value.trim());
    else next.delete(name);
  }
  return next;
}

/** Only what tells the time range, to take it along to another page. */
export function rangeParams(params: URLSearchParams): URLSearchParams {
  return new URLSearchParams(RANGE_PARAMS.flatMap((name) => (params.has(name) ? [[name, params.get(name)!]] : [])));
}

/** Where the traces behind a number are listed: the same range and filters, and what the number narrows. */
export function tracesLink(params: URLSearchParams, narrowed: Filters = {}): string {
  const kept = rangeParams(params);
  Object.entries(filtersOf(params)).forEach(([name, value]) => kept.set(name, value));
  const query = withFilters(kept, narrowed).toString();
  return query === "" ? "/traces" : `/traces?${query}`;
}

/** The same for a number of the overview, which counts calls of models unless a kind is asked for. */
export function callsLink(params: URLSearchParams, narrowed: Filters = {}): string {
  return tracesLink(params, filtersOf(params).kind === undefined ? { calls: "true", ...narrowed } : narrowed);
}

/** What the server is asked for a page's address. A relative range has no end: what came since belongs to it. */
export function serverQuery(params: URLSearchParams, names: readonly FilterName[] = FILTERS, now = Date.now()): URLSearchParams {
  const query = new URLSearchParams();
  const range = rangeOf(params, now);
  query.set("from", range.from.toISOString());
  if (range.key === null) query.set("to", range.to.toISOString());
  const filters = filtersOf(params);
  for (const name of names) if (filters[name] !== undefined) query.set(name, filters[name]);
  return query;
}

/** What tells one question from another, for a cache: the range as written, and the filters. */
export function questionKey(params: URLSearchParams, names: readonly string[] = FILTERS): string {
  return [...RANGE_PARAMS, ...names].map((name) => params.get(name) ?? "").join("\n");
}
