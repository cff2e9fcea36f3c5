/** Pages of sessions or users, as they are scrolled. */

import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback } from "react";
import { type ActivityNoun, activityQuery } from "./activity";

export function useActivity<T>(noun: ActivityNoun, params: URLSearchParams) {
  const queries = useQueryClient();
  const query = activityQuery<T>(noun, params);
  const asked = useInfiniteQuery(query);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = asked;
  const more = useCallback(() => void (hasNextPage && !isFetchingNextPage && fetchNextPage()), [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const again = () => {
    // The pages after the first would be asked for again, too, one after the other.
    queries.setQueryData(query.queryKey, (old) => old && { pages: old.pages.slice(0, 1), pageParams: old.pageParams.slice(0, 1) });
    void asked.refetch();
  };
  return { asked, more, again, rows: asked.data?.pages.flatMap((page) => page.data) ?? [] };
}
