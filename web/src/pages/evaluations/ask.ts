/** What the pages of evaluations ask the server. */

import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api, type Schemas, take } from "../../api/client";
import type { Filter } from "../../lib/evaluations";
import { isGoing } from "../../lib/jobEvents";

export type Evaluation = Schemas["Evaluation"];
export type Opened = Schemas["EvaluationWithReport"];
export type Item = Schemas["EvaluationItem"];

export const EVALUATIONS = "evaluations";

/** Items of one question: a screen and what is next to it. */
const PAGE_ITEMS = 100;
/** Items of two runs beside each other, of which each is asked for by itself. */
export const BESIDE_ITEMS = 10;
/** How often a report is made anew while answers come in. */
const REPORT_MS = 5_000;

export const evaluationsQuery = queryOptions({ queryKey: [EVALUATIONS, "all"], queryFn: () => take(api.GET("/api/v1/evaluations")) });

/** A version with its report; the latest version without a number. */
export const evaluationQuery = (name: string, version: number | undefined) =>
  queryOptions({
    queryKey: [EVALUATIONS, "one", name, version ?? "latest"],
    queryFn: ({ signal }) => take(api.GET("/api/v1/evaluations/{name}", { params: { path: { name }, query: { version } }, signal })),
    refetchInterval: ({ state }) => (state.data !== undefined && isGoing(state.data) ? REPORT_MS : false),
  });

/** How much is known: what came in since makes it another question. */
const known = ({ report }: Opened): string => report.targets.map((target) => `${target.answers}:${target.scores.map((score) => score.items).join(",")}`).join(";");

export const itemsQuery = (evaluation: Opened, filter: Filter) =>
  infiniteQueryOptions({
    queryKey: [EVALUATIONS, "items", evaluation.name, evaluation.version, filter, known(evaluation)],
    queryFn: ({ pageParam, signal }) =>
      take(api.GET("/api/v1/evaluations/{name}/items", { params: { path: { name: evaluation.name }, query: { ...filter, limit: PAGE_ITEMS, cursor: pageParam, version: evaluation.version } }, signal })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
  });

/** One item with the answers of all targets. */
export const itemQuery = ({ name, version }: Pick<Evaluation, "name" | "version">, item: number) =>
  queryOptions({
    queryKey: [EVALUATIONS, "item", name, version, item],
    queryFn: ({ signal }) => take(api.GET("/api/v1/evaluations/{name}/items/{item}", { params: { path: { name, item: String(item) }, query: { version } }, signal })),
  });

/** A target of one run held against one of another, item by item. */
export const acrossQuery = (one: Opened, other: Opened, target: string, withTarget: string) =>
  queryOptions({
    queryKey: [EVALUATIONS, "across", one.name, one.version, target, known(one), other.name, other.version, withTarget, known(other)],
    queryFn: ({ signal }) =>
      take(api.GET("/api/v1/evaluations/{name}/comparison", { params: { path: { name: one.name }, query: { version: one.version, target, with: other.name, with_version: other.version, with_target: withTarget } }, signal })),
  });

/** A few items on which something is seen beside another run. */
export const someItemsQuery = ({ name, version }: Evaluation, from: number) =>
  queryOptions({
    queryKey: [EVALUATIONS, "some", name, version, from],
    queryFn: ({ signal }) => take(api.GET("/api/v1/evaluations/{name}/items", { params: { path: { name }, query: { limit: BESIDE_ITEMS, cursor: String(from), version } }, signal })),
    placeholderData: keepPreviousData,
  });
