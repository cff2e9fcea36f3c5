/** What the pages of datasets ask the server. */

import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, type Schemas, take } from "../../api/client";

export type Dataset = Schemas["DatasetSummary"];
export type Detail = Schemas["DatasetDetail"];
export type Version = Schemas["DatasetVersionDetail"];
export type Row = Schemas["DatasetRow"];
export type Difference = Schemas["DatasetDifference"];

export const DATASETS = ["datasets"];

/** Rows of one question: a screen and what is next to it. */
export const PAGE_ROWS = 100;
/** Rows of a table at most. Browsers draw nothing higher than 2^25 pixels, and a row takes 30 of them. */
export const MOST_ROWS = 1_100_000;

export const datasetsQuery = queryOptions({ queryKey: [...DATASETS, "all"], queryFn: () => take(api.GET("/api/v1/datasets")) });

export function datasetQuery(name: string) {
  return queryOptions({ queryKey: [...DATASETS, "one", name], queryFn: () => take(api.GET("/api/v1/datasets/{name}", { params: { path: { name } } })) });
}

export function versionQuery(name: string, version: string) {
  return queryOptions({
    queryKey: [...DATASETS, "version", name, version],
    queryFn: () => take(api.GET("/api/v1/datasets/{name}/versions/{version}", { params: { path: { name, version } } })),
  });
}

/** The page of rows that holds a place. A version never changes, so what was read once stays. */
export function rowsQuery(name: string, version: string, place: number) {
  const offset = place - (place % PAGE_ROWS);
  return queryOptions({
    queryKey: [...DATASETS, "rows", name, version, offset],
    queryFn: ({ signal }) =>
      take(api.GET("/api/v1/datasets/{name}/versions/{version}/rows", { params: { path: { name, version }, query: { offset, limit: PAGE_ROWS } }, signal })),
    staleTime: Infinity,
    gcTime: 60_000,
  });
}

/** Rows with a text, each page from where the search before it ended. */
export function searchQuery(name: string, version: string, search: string) {
  return infiniteQueryOptions({
    queryKey: [...DATASETS, "search", name, version, search],
    queryFn: ({ pageParam, signal }) =>
      take(api.GET("/api/v1/datasets/{name}/versions/{version}/rows", { params: { path: { name, version }, query: { search, offset: pageParam, limit: PAGE_ROWS } }, signal })),
    initialPageParam: 0,
    getNextPageParam: (page) => page.next ?? undefined,
    staleTime: Infinity,
  });
}

/** The rows in which two versions differ. */
export function diffQuery(name: string, from: string, to: string, change: string | null) {
  return infiniteQueryOptions({
    queryKey: [...DATASETS, "diff", name, from, to, change],
    queryFn: ({ pageParam, signal }) =>
      take(api.GET("/api/v1/datasets/{name}/diff", { params: { path: { name }, query: { from, to, change: change ?? undefined, offset: pageParam, limit: PAGE_ROWS } }, signal })),
    initialPageParam: 0,
    getNextPageParam: (page, pages) => (page.data.length < PAGE_ROWS ? undefined : pages.length * PAGE_ROWS),
    staleTime: Infinity,
  });
}
