/** What the pages of experiments ask the server. */

import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api, type Schemas, take } from "../../api/client";
import { isGoing } from "../../lib/jobEvents";

export type Experiment = Schemas["Experiment"];
export type Opened = Schemas["ExperimentWithReport"];
export type Report = Schemas["ExperimentReport"];
export type Item = Schemas["ExperimentItem"];
export type Answer = Schemas["ExperimentAnswer"];
export type Comparison = Schemas["CellComparison"];
export type Preview = Schemas["ExperimentPreview"];

export const EXPERIMENTS = ["experiments"];

/** Items of one page: as many as one reads. */
export const PAGE_ITEMS = 20;
/** Cells side by side at most: more are too narrow to be read. */
export const MOST_BESIDE = 6;
/** How often a report is made anew while answers come in. */
const REPORT_MS = 5_000;

export const experimentsQuery = queryOptions({ queryKey: [...EXPERIMENTS, "all"], queryFn: () => take(api.GET("/api/v1/experiments")) });

/** A version with its report; the latest version without a number. */
export const experimentQuery = (name: string, version: number | undefined) =>
  queryOptions({
    queryKey: [...EXPERIMENTS, "one", name, version ?? "latest"],
    queryFn: ({ signal }) => take(api.GET("/api/v1/experiments/{name}", { params: { path: { name }, query: { version } }, signal })),
    refetchInterval: ({ state }) => (state.data !== undefined && isGoing(state.data) ? REPORT_MS : false),
  });

export const versionsQuery = (name: string) =>
  queryOptions({ queryKey: [...EXPERIMENTS, "versions", name], queryFn: () => take(api.GET("/api/v1/experiments/{name}/versions", { params: { path: { name } } })) });

/** What two cells differ in. Answers that came in since make it another question. */
export const comparisonQuery = ({ name, version, report }: Opened, [a, b]: readonly [string, string], planned: boolean) =>
  queryOptions({
    queryKey: [...EXPERIMENTS, "comparison", name, version, a, b, planned, report.answers],
    queryFn: ({ signal }) => take(api.GET("/api/v1/experiments/{name}/comparison", { params: { path: { name }, query: { a, b, planned, version } }, signal })),
    placeholderData: keepPreviousData,
  });

export interface WantedItems {
  cells: readonly string[];
  /** The score in which the cells differ; all items when null. */
  disagree: string | null;
  from: number;
}

export const itemsQuery = ({ name, version, report }: Opened, { cells, disagree, from }: WantedItems) =>
  queryOptions({
    queryKey: [...EXPERIMENTS, "items", name, version, cells.join(), disagree, from, report.answers],
    queryFn: ({ signal }) => {
      const query = { cells: cells.join(","), disagree: disagree ?? undefined, cursor: String(from), limit: PAGE_ITEMS, version };
      return take(api.GET("/api/v1/experiments/{name}/items", { params: { path: { name }, query }, signal }));
    },
    placeholderData: keepPreviousData,
  });
