/** What the pages of judges ask the server. */

import { queryOptions } from "@tanstack/react-query";
import { api, getJson, type Schemas, take } from "../../api/client";
import { isGoing } from "../../lib/jobEvents";

export type Judge = Schemas["Judge"];
export type Ready = Schemas["ReadyJudge"];
export type Calibration = Schemas["Calibration"];
export type Judged = Schemas["JudgementBody"];

export const JUDGES = "judges";

/** How often calibrations are looked at while one runs. */
const RUNNING_MS = 5_000;

export const judgesQuery = queryOptions({ queryKey: [JUDGES, "all"], queryFn: () => take(api.GET("/api/v1/judges")) });
export const readyQuery = queryOptions({ queryKey: [JUDGES, "ready"], queryFn: () => take(api.GET("/api/v1/judges/ready")), staleTime: Infinity });

/** A version; the latest without a number. */
export const judgeQuery = (name: string, version?: number) =>
  queryOptions({ queryKey: [JUDGES, "one", name, version ?? "latest"], queryFn: () => take(api.GET("/api/v1/judges/{name}", { params: { path: { name }, query: { version } } })) });

export const versionsQuery = (name: string) =>
  queryOptions({ queryKey: [JUDGES, "versions", name], queryFn: () => take(api.GET("/api/v1/judges/{name}/versions", { params: { path: { name } } })) });

/** The card of a version's latest calibration, or of the one on a dataset. */
export const cardQuery = (name: string, version: number, dataset?: string) =>
  queryOptions({ queryKey: [JUDGES, "card", name, version, dataset ?? "latest"], queryFn: () => take(api.GET("/api/v1/judges/{name}/card", { params: { path: { name }, query: { version, dataset } } })) });

export const calibrationsQuery = (name: string, version: number) =>
  queryOptions({
    queryKey: [JUDGES, "calibrations", name, version],
    queryFn: () => take(api.GET("/api/v1/judges/{name}/calibrations", { params: { path: { name }, query: { version } } })),
    refetchInterval: ({ state }) => (state.data?.data.some(isGoing) ? RUNNING_MS : false),
  });

/** Models that may be asked, by their names. */
export const modelsQuery = queryOptions({ queryKey: ["v1-models"], queryFn: ({ signal }) => getJson<{ data: { id: string }[] }>("/v1/models", signal), retry: false });
