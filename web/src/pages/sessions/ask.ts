/** What the replay of a session asks the server. */

import { infiniteQueryOptions } from "@tanstack/react-query";
import { getJson, type Schemas } from "../../api/client";

const PAGE_TURNS = 50;

export function sessionQuery(id: string) {
  return infiniteQueryOptions({
    queryKey: ["session", id],
    queryFn: ({ pageParam, signal }) => {
      const query = new URLSearchParams({ limit: String(PAGE_TURNS), ...(pageParam === null ? {} : { cursor: pageParam }) });
      return getJson<Schemas["SessionDetail"]>(`/api/v1/sessions/${encodeURIComponent(id)}?${query}`, signal);
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor ?? null,
  });
}
