/** What the pages of leaderboards and tasks ask the server. */

import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api, type Schemas, take } from "../../api/client";
import { isGoing } from "../../lib/jobEvents";
import type { Filter } from "../../lib/leaderboards";

export type Leaderboard = Schemas["Leaderboard"];
export type Opened = Schemas["LeaderboardWithReport"];
export type Document = Schemas["LeaderboardDocument"];

export const LEADERBOARDS = "leaderboards";

/** Documents of one question. */
const PAGE_DOCUMENTS = 200;
/** How often a report is made anew while answers come in. */
const REPORT_MS = 5_000;

export const leaderboardsQuery = queryOptions({ queryKey: [LEADERBOARDS, "all"], queryFn: () => take(api.GET("/api/v1/leaderboards")) });

/** A version with its report of the models that pass; the latest version without a number. */
export const leaderboardQuery = (name: string, version: number | undefined, filter: Filter = {}) =>
  queryOptions({
    queryKey: [LEADERBOARDS, "one", name, version ?? "latest", filter],
    queryFn: ({ signal }) => take(api.GET("/api/v1/leaderboards/{name}", { params: { path: { name }, query: { version, ...filter } }, signal })),
    refetchInterval: ({ state }) => (state.data !== undefined && isGoing(state.data) ? REPORT_MS : false),
    placeholderData: keepPreviousData,
  });

export const documentsQuery = ({ name, version, report }: Opened, model: string, task: string) =>
  infiniteQueryOptions({
    queryKey: [LEADERBOARDS, "documents", name, version, model, task, report.models.find((one) => one.model === model)?.documents],
    queryFn: ({ pageParam, signal }) =>
      take(api.GET("/api/v1/leaderboards/{name}/documents", { params: { path: { name }, query: { model, task, version, limit: PAGE_DOCUMENTS, cursor: pageParam } }, signal })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });

export const tasksQuery = queryOptions({ queryKey: ["tasks", "all"], queryFn: () => take(api.GET("/api/v1/tasks")), staleTime: Infinity });

export const taskQuery = (name: string) =>
  queryOptions({ queryKey: ["tasks", "one", name], queryFn: () => take(api.GET("/api/v1/tasks/{name}", { params: { path: { name } } })), staleTime: Infinity });

/** The very words in which a document is asked about. */
export const askedQuery = (name: string, document: number, shots: number | undefined) =>
  queryOptions({
    queryKey: ["tasks", "document", name, document, shots ?? "own"],
    queryFn: ({ signal }) => take(api.GET("/api/v1/tasks/{name}/documents/{document}", { params: { path: { name, document: String(document) }, query: { num_fewshot: shots } }, signal })),
    placeholderData: keepPreviousData,
    retry: false,
  });
