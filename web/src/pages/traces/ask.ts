/** What the list of traces asks the server. */

import { infiniteQueryOptions } from "@tanstack/react-query";
import { getJson, type Schemas } from "../../api/client";
import { questionKey, serverQuery } from "../../lib/traceFilter";

const PAGE_ROWS = 200;
/** More rows than these nobody reads by scrolling: a filter or a narrower time range finds them. */
export const MOST_ROWS = 50_000;

export function tracesQuery(params: URLSearchParams) {
  return infiniteQueryOptions({
    queryKey: ["traces", questionKey(params)],
    queryFn: ({ pageParam, signal }) => {
      const query = serverQuery(params);
      query.set("limit", String(PAGE_ROWS));
      if (pageParam !== null) query.set("cursor", pageParam);
      return getJson<Schemas["TraceList"]>(`/api/v1/traces?${query}`, signal);
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page, pages) => (pages.length * PAGE_ROWS < MOST_ROWS ? (page.next_cursor ?? null) : null),
  });
}
