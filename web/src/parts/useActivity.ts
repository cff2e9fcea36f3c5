/** Pages of sessions or users, those active last first, in the page's time range. */

import { type InfiniteData, useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback } from "react";
import { getJson } from "../api/client";
import { questionKey, serverQuery } from "../lib/traceFilter";

const PAGE_ROWS = 200;
/** More rows than these nobody reads by scrolling. */
const MOST_ROWS = 20_000;

interface Paged<T> {
  data: T[];
  next_cursor?: string | null;
}

export function useActivity<T>(noun: "sessions" | "users", params: URLSearchParams) {
  const queries = useQueryClient();
  const queryKey = [noun, questionKey(params, ["user"])];
  const asked = useInfiniteQuery({
    queryKey,
    queryFn: ({ pageParam, signal }) => {
      const query = serverQuery(params, ["user"]);
      query.set("limit", String(PAGE_ROWS));
      if (pageParam !== null) query.set("cursor", pageParam);
      return getJson<Paged<T>>(`/api/v1/${noun}?${query}`, signal);
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page, pages) => (pages.length * PAGE_ROWS < MOST_ROWS ? (page.next_cursor ?? null) : null),
  });
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = asked;
  const more = useCallback(() => void (hasNextPage && !isFetchingNextPage && fetchNextPage()), [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const again = () => {
    // The pages after the first would be asked for again, too, one after the other.
    queries.setQueryData<InfiniteData<Paged<T>, string | null>>(queryKey, (old) => old && { pages: old.pages.slice(0, 1), pageParams: old.pageParams.slice(0, 1) });
    void asked.refetch();
  };
  return { asked, more, again, rows: asked.data?.pages.flatMap((page) => page.data) ?? [] };
}
