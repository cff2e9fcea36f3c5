/** The question of how much of the inbox of alerts is unread. */

import { queryOptions } from "@tanstack/react-query";
import { api, take } from "../api/client";

const EVERY_MS = 30_000;

export const INBOX_COUNT = queryOptions({
  queryKey: ["alerts", "count"],
  queryFn: () => take(api.GET("/api/v1/alerts/inbox/unread")),
  refetchInterval: EVERY_MS,
});
