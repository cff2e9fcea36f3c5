/** Which traces are wanted, as the address bar and the server's parameters both say it. */

import { RANGE_PARAMS, rangeOf } from "./timeRange";

export const FILTERS = ["kind", "calls", "status", "model", "provider", "prompt", "session", "user", "tag", "experiments", "environment", "name", "failure", "min_latency_ms", "min_ttft_ms", "min_input_tokens", "min_output_tokens", "min_cost_picodollars", "text"] as const;
export type FilterName = (typeof FILTERS)[number];

export const GROUPS = ["model", "provider", "prompt", "prompt_version", "user", "session", "environment", "release", "name", "status"] as const;
export type GroupName = (typeof GROUPS)[number];
/** The calls that the overview counts under one name, which is empty where they tell none, or under any but some. */
export type GroupFilter = { by: GroupName } & ({ one: string } | { except: readonly string[] });
/** The parameters that together tell a group. */
const GROUP_PARAMS = ["group_by", "group", "except_groups"] as const;

export type Filters = Partial<Record<FilterName, string>> & { group?: GroupFilter | null };
/** A filter's place in a question. */
export type Asked = FilterName | "group";
const ALL: readonly Asked[] = [...FILTERS, "group"];
/** The changes that take every filter away. */
export const NO_FILTERS: Filters = { ...Object.fromEntries(FILTERS.map((name) => [name, ""])), group: null };

/** Those that are a number. */
const isLeast = (name: FilterName) => name.startsWith("min_");

/** The filters that statistics take too. */
export const STATS_FILTERS: readonly FilterName[] = FILTERS.filter((name) => !isLeast(name) && name !== "text");
/** Those that the overview takes. */
export const OVERVIEW_FILTERS: readonly FilterName[] = STATS_FILTERS.filter((name) => name !== "failure");

export const FILTER_LABELS: Record<FilterName, string> = {
  kind: "Kind", calls: "Only model calls", status: "Status", model: "Model", provider: "Provider", prompt: "Prompt", session: "Session", user: "User",
  tag: "Tag", experiments: "Of experiments", environment: "Environment", name: "Operation", failure: "Went wrong by", text: "Text", min_latency_ms: "Took at least (ms)", min_ttft_ms: "First token after (ms)",
  min_input_tokens: "Input tokens at least", min_output_tokens: "Output tokens at least", min_cost_picodollars: "Cost at least ($)",
};

/** What calls are told apart by, where it is shown. */
export const GROUP_LABELS: Record<GroupName, string> = { ...FILTER_LABELS, prompt_version: "Prompt version", release: "Release" };

export const KINDS = ["llm", "embedding", "retriever", "reranker", "tool", "chain", "agent", "guardrail", "evaluator", "prompt", "rollout"] as const;
export const STATUSES = ["ok", "error", "cancelled"] as const;

const PICODOLLARS = 1e12;

/** A filter's value as people read and type it: money in dollars. */
export function shownValue(name: FilterName, value: string): string {
  return name === "min_cost_picodollars" && value !== "" ? String(Number(value) / PICODOLLARS) : value;
}

/** The value of what was typed; one that is no number stays as it is, and is absent then. */
export function valueOf(name: FilterName, typed: string): string {
  const dollars = Number(typed);
  return name === "min_cost_picodollars" && typed.trim() !== "" && dollars >= 0 ? String(Math.round(dollars * PICODOLLARS)) : typed;
}

/** What a filter is called where it is shown. One that is only switched on has no value to tell. */
export function filterText(name: FilterName, value: string): string {
  if (name === "experiments") return value === "true" ? "Only experiments" : "Without experiments";
  return name === "calls" ? FILTER_LABELS[name] : `${FILTER_LABELS[name]}: ${shownValue(name, value)}`;
}

/** More names than these are counted and not told. */
const NAMED = 3;

/** What a group is called where it is shown, and what it means exactly. */
export function groupText(group: GroupFilter): { text: string; meaning: string } {
  const what = GROUP_LABELS[group.by];
  const counted = group.by === "model" ? "The model that answered, or was asked for when none did" : what;
  if ("except" in group) {
    const names = group.except.map((name) => (name === "" ? "(not told)" : name));
    const more = names.length - NAMED;
    return { text: `${what}: none of ${names.slice(0, NAMED).join(", ")}${more > 0 ? ` and ${more} more` : ""}`, meaning: `${counted}: none of ${names.join(", ")}` };
  }
  if (group.one === "") return { text: `${what}: (not told)`, meaning: `${counted}: not told` };
  return { text: group.by === "model" ? `Answered by: ${group.one}` : `${what}: ${group.one}`, meaning: `${counted}: ${group.one}` };
}

/** The group in an address; parts of one are none. */
function groupIn(params: URLSearchParams): GroupFilter | null {
  const by = GROUPS.find((name) => name === params.get("group_by"));
  const [one, except] = [params.get("group"), params.get("except_groups")];
  if (by === undefined || (one === null) === (except === null)) return null;
  if (one !== null) return { by, one };
  const names = textsIn(except!);
  return names === null ? null : { by, except: names };
}

function textsIn(json: string): string[] | null {
  try {
    const read: unknown = JSON.parse(json);
    return Array.isArray(read) && read.every((text) => typeof text === "string") ? read : null;
  } catch {
    return null;
  }
}

function setGroup(params: URLSearchParams, group: GroupFilter | null): void {
  GROUP_PARAMS.forEach((name) => params.delete(name));
  if (group === null) return;
  params.set("group_by", group.by);
  if ("one" in group) params.set("group", group.one);
  else params.set("except_groups", JSON.stringify(group.except));
}

/** The filters in an address; empty ones, a least that is no number and a switch that is not on count as absent. */
export function filtersOf(params: URLSearchParams): Filters {
  const found: Filters = {};
  for (const name of FILTERS) {
    const value = params.get(name)?.trim();
    if (!value || (isLeast(name) && !isNumber(name, value)) || (name === "calls" && value !== "true") || (name === "experiments" && !/^(true|false)$/.test(value))) continue;
    found[name] = value;
  }
  const group = groupIn(params);
  return group === null ? found : { ...found, group };
}

/** Times may be broken; tokens and picodollars are whole. */
function isNumber(name: FilterName, value: string): boolean {
  const number = Number(value);
  return number >= 0 && Number.isFinite(number) && (name.endsWith("_ms") || Number.isSafeInteger(number));
}

/** An address's parameters with some filters changed; an empty value takes one away. What does not belong to filters stays. */
export function withFilters(params: URLSearchParams, changes: Filters): URLSearchParams {
  const next = new URLSearchParams(params);
  const { group, ...named } = changes;
  for (const [name, value] of Object.entries(named)) {
    if (value?.trim()) next.set(name, value.trim());
    else next.delete(name);
  }
  if (group !== undefined) setGroup(next, group);
  return next;
}

/** Only what tells the time range, to take it along to another page. */
export function rangeParams(params: URLSearchParams): URLSearchParams {
  return new URLSearchParams(RANGE_PARAMS.flatMap((name) => (params.has(name) ? [[name, params.get(name)!]] : [])));
}

/** Where the traces behind a number are listed: the same range and filters, and what the number narrows. */
export function tracesLink(params: URLSearchParams, narrowed: Filters = {}): string {
  const query = withFilters(withFilters(rangeParams(params), filtersOf(params)), narrowed).toString();
  return query === "" ? "/traces" : `/traces?${query}`;
}

/** The same for a number of the overview, which counts calls of models unless a kind is asked for. */
export function callsLink(params: URLSearchParams, narrowed: Filters = {}): string {
  return tracesLink(params, filtersOf(params).kind === undefined ? { calls: "true", ...narrowed } : narrowed);
}

/** What the server is asked for a page's address. A relative range has no end: what came since belongs to it. */
export function serverQuery(params: URLSearchParams, names: readonly Asked[] = ALL, now = Date.now()): URLSearchParams {
  const query = new URLSearchParams();
  const range = rangeOf(params, now);
  query.set("from", range.from.toISOString());
  if (range.key === null) query.set("to", range.to.toISOString());
  const { group, ...filters } = filtersOf(params);
  for (const name of names) if (name !== "group" && filters[name] !== undefined) query.set(name, filters[name]);
  if (group != null && names.includes("group")) setGroup(query, group);
  return query;
}

/** What tells one question from another, for a cache: the range as written, and the filters. */
export function questionKey(params: URLSearchParams, names: readonly string[] = ALL): string {
  const parts = names.flatMap((name) => (name === "group" ? GROUP_PARAMS : [name]));
  // An empty group is one, and no group is none.
  return JSON.stringify([...RANGE_PARAMS, ...parts].map((name) => params.get(name)));
}

/** The same question as an object of the server's own types, for requests that take it in their body. */
export function callFilter(params: URLSearchParams, now = Date.now()): Record<string, string | number | boolean> {
  const typed = ([name, value]: [string, string]): [string, string | number | boolean] =>
    (isLeast(name as FilterName) ? [name, Number(value)] : name === "calls" || name === "experiments" ? [name, value === "true"] : [name, value]);
  return Object.fromEntries([...serverQuery(params, ALL, now)].map(typed));
}
