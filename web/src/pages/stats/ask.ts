/** What the page of statistics asks the server. */

import { queryOptions } from "@tanstack/react-query";
import { api, getJson, take, type Schemas } from "../../api/client";
import { type GroupName, GROUPS, questionKey, serverQuery, STATS_FILTERS } from "../../lib/traceFilter";

export type Stats = Schemas["Stats"];
export type LengthFits = Schemas["LengthFits"];
export type ErrorStats = Schemas["ErrorStats"];
export type RetryStats = Schemas["RetryStats"];
export type Budget = Schemas["Budget"];

/** What calls are told apart by; by model when nobody says. */
export function groupOf(params: URLSearchParams): GroupName {
  return GROUPS.find((name) => name === params.get("by")) ?? "model";
}

/** A question under the page's range and filters. */
function asked<T>(path: string, params: URLSearchParams, by: GroupName | null) {
  return queryOptions({
    queryKey: ["stats", path, questionKey(params, STATS_FILTERS), by],
    queryFn: ({ signal }) => {
      const query = serverQuery(params, STATS_FILTERS);
      if (by !== null) query.set("group_by", by);
      return getJson<T>(`/api/v1/stats${path}?${query}`, signal);
    },
  });
}

export const statsQuery = (params: URLSearchParams) => asked<Stats>("", params, groupOf(params));
export const lengthQuery = (params: URLSearchParams) => asked<LengthFits>("/length", params, groupOf(params));
export const errorsQuery = (params: URLSearchParams) => asked<ErrorStats>("/errors", params, groupOf(params));
export const retriesQuery = (params: URLSearchParams) => asked<RetryStats>("/retries", params, null);

export const BUDGETS = ["budgets"];
export const budgetsQuery = queryOptions({ queryKey: BUDGETS, queryFn: () => take(api.GET("/api/v1/budgets")) });
