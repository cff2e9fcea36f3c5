/** What the overview asks the server. */

import { queryOptions } from "@tanstack/react-query";
import { getJson, type Schemas } from "../../api/client";
import { type GroupName, GROUPS, OVERVIEW_FILTERS, questionKey, serverQuery } from "../../lib/traceFilter";

export type Overview = Schemas["Overview"];

export function groupOf(params: URLSearchParams): GroupName | null {
  return GROUPS.find((name) => name === params.get("group_by")) ?? null;
}

export function overviewQuery(params: URLSearchParams) {
  const by = groupOf(params);
  return queryOptions({
    queryKey: ["overview", questionKey(params, OVERVIEW_FILTERS), by],
    queryFn: ({ signal }) => {
      const query = serverQuery(params, OVERVIEW_FILTERS);
      if (by !== null) query.set("group_by", by);
      return getJson<Overview>(`/api/v1/overview?${query}`, signal);
    },
  });
}
