/** What the lists of sessions and of users ask the server: those active last first, in the page's time range. */

import { infiniteQueryOptions } from "@tanstack/react-query";
import { getJson } from "../api/client";
import { questionKey, serverQuery } from "../lib/traceFilter";

export type ActivityNoun = "sessions" | "users";

const PAGE_ROWS = 200;
/** More rows than these nobody reads by scrolling. */
const MOST_ROWS = 20_000;

interface Paged<T> {
  data: T[];
  next_cursor?: string | null;
}

export function activityQuery<T>(noun: ActivityNoun, params: URLSearchParams) {
  return infiniteQueryOptions({
    queryKey: [noun, questionKey(params, ["user"])],
    queryFn: ({ pageParam, signal }) => {
      const query = serverQuery(params, ["user"]);
      query.set("limit", String(PAGE_ROWS));
      if (pageParam !== null) query.set("cursor", pageParam);
      return getJson<Paged<T>>(`/api/v1/${noun}?${query}`, signal);
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page, pages) => (pages.length * PAGE_ROWS < MOST_ROWS ? (page.next_cursor ?? null) : null),
  });
}
