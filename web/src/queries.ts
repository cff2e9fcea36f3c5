/** What the server answered, and for how long it holds. */

import { QueryClient } from "@tanstack/react-query";
import { ApiError } from "./api/client";

// What a page shows does not change by itself: live feeds tell of changes, so nothing is asked again behind the reader's back.
export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      refetchOnWindowFocus: false,
      retry: (failures, error) => failures < 2 && !(error instanceof ApiError && error.status < 500),
    },
  },
});
