/** What the pages of prompts ask the server. */

import { queryOptions } from "@tanstack/react-query";
import { api, getJson, take, type Schemas } from "../../api/client";

export type Prompt = Schemas["Prompt"];
export type Version = Schemas["PromptVersion"];
export type Summary = Schemas["PromptVersionSummary"];
export type Label = Schemas["PromptLabel"];
export type Rendered = Schemas["RenderedPrompt"];
export type Stats = Schemas["Stats"];

export const PROMPTS = ["prompts"];
/** Over how long production is looked at. */
export const METRICS_DAYS = 7;
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

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
    queryFn: async ({ signal }) => {
      const query = new URLSearchParams({ prompt: name, group_by: "prompt_version", limit: "200", ...rangeOfMetrics() });
      const stats = await getJson<Stats>(`/api/v1/stats?${query}`, signal);
      return new Map(stats.groups.map((group) => [group.group ?? "", group]));
    },
  });

/** The last days, from a full hour on, so that one question is one question. */
export function rangeOfMetrics(): { from: string; to: string } {
  const to = (Math.floor(Date.now() / HOUR_MS) + 1) * HOUR_MS;
  return { from: new Date(to - METRICS_DAYS * DAY_MS).toISOString(), to: new Date(to).toISOString() };
}
