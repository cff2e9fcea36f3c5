/** What the pages of prompts ask the server. */

import { queryOptions } from "@tanstack/react-query";
import { api, take, type Schemas } from "../../api/client";

export type Prompt = Schemas["Prompt"];
export type Version = Schemas["PromptVersion"];
export type Summary = Schemas["PromptVersionSummary"];
export type Label = Schemas["PromptLabel"];
export type Rendered = Schemas["RenderedPrompt"];
export type Metrics = Schemas["PromptVersionMetrics"];

export const PROMPTS = ["prompts"];
/** Over how long production is looked at. */
export const METRICS_DAYS = 7;

export const promptsQuery = queryOptions({ queryKey: PROMPTS, queryFn: () => take(api.GET("/api/v1/prompts")) });

export const versionsQuery = (name: string) =>
  queryOptions({ queryKey: [...PROMPTS, name, "versions"], queryFn: () => take(api.GET("/api/v1/prompts/{name}/versions", { params: { path: { name }, query: { limit: 1000 } } })) });

/** A version never changes. */
export const versionQuery = (name: string, version: number) =>
  queryOptions({
    queryKey: [...PROMPTS, name, "version", version], staleTime: Infinity,
    queryFn: () => take(api.GET("/api/v1/prompts/{name}", { params: { path: { name }, query: { version } } })),
  });

export const diffQuery = (name: string, from: number, to: number) =>
  queryOptions({
    queryKey: [...PROMPTS, name, "diff", from, to], staleTime: Infinity,
    queryFn: () => take(api.GET("/api/v1/prompts/{name}/diff", { params: { path: { name }, query: { from: String(from), to: String(to) } } })),
  });

export const commentsQuery = (name: string) =>
  queryOptions({ queryKey: [...PROMPTS, name, "comments"], queryFn: () => take(api.GET("/api/v1/prompts/{name}/comments", { params: { path: { name } } })) });

/** How the versions of a prompt fare, by their number. */
export const metricsQuery = (name: string) =>
  queryOptions({
    queryKey: [...PROMPTS, name, "metrics"],
    queryFn: async () => {
      const { from, to, data } = await take(api.GET("/api/v1/prompts/{name}/metrics", { params: { path: { name }, query: { days: METRICS_DAYS } } }));
      return { range: { from, to }, versions: new Map(data.map((version) => [version.version, version])) };
    },
  });

/** What experiments and production know of the difference between two versions. */
export const evidenceQuery = (name: string, from: number, to: number) =>
  queryOptions({
    queryKey: [...PROMPTS, name, "evidence", from, to],
    queryFn: () => take(api.GET("/api/v1/prompts/{name}/evidence", { params: { path: { name }, query: { from: String(from), to: String(to), days: METRICS_DAYS } } })),
  });
