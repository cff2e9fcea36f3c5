/** The pages by noun, in the order of the navigation. Each is loaded when it is first opened. */

import type { QueryClient } from "@tanstack/react-query";
import type { ComponentType } from "react";
import { rangeParams } from "../lib/traceFilter";
import { activityQuery } from "../parts/activity";
import { outlineQuery } from "../parts/outline";
import { datasetQuery, datasetsQuery } from "./datasets/ask";
import { overviewQuery } from "./overview/ask";
import { sessionQuery } from "./sessions/ask";
import { statsQuery } from "./stats/ask";
import { tracesQuery } from "./traces/ask";

export interface Page {
  /** Where it lives: `/traces`. */
  path: string;
  /** Sub-paths that it answers too: `/traces/:id`. */
  also?: string[];
  title: string;
  group: "Observe" | "Try" | "Operate";
  /** The second key after `g`. */
  key: string;
  /** The scope without which it would only show an error. */
  scope: "read" | "infer" | "admin";
  /** Whether the global time range means something here. */
  timed?: boolean;
  code: Code;
  /** Begins to ask for what it shows first; worth it where the server has much to read. */
  ahead?: (queries: QueryClient, address: URL) => Promise<void>;
}

/** The code of a page. */
export interface Code {
  load: () => Promise<ComponentType>;
  /** The page itself, as soon as its code has come. */
  here?: ComponentType;
}

function code(bring: () => Promise<{ default: ComponentType }>): Code {
  let coming: Promise<ComponentType> | undefined;
  const known: Code = {
    load: () => (coming ??= bring().then((module) => (known.here = module.default))),
  };
  return known;
}

export const PAGES: readonly Page[] = [
  { path: "/", title: "Overview", group: "Observe", key: "o", scope: "read", timed: true, code: code(() => import("./overview")), ahead: (queries, { searchParams }) => queries.prefetchQuery(overviewQuery(searchParams)) },
  { path: "/stats", title: "Stats", group: "Observe", key: "x", scope: "read", timed: true, code: code(() => import("./stats")), ahead: (queries, { searchParams }) => queries.prefetchQuery(statsQuery(searchParams)) },
  {
    path: "/traces", also: ["/traces/:id"], title: "Traces", group: "Observe", key: "t", scope: "read", timed: true, code: code(() => import("./traces")),
    ahead: (queries, address) => (idIn(address) ? queries.prefetchQuery(outlineQuery(idIn(address))) : queries.prefetchInfiniteQuery(tracesQuery(address.searchParams))),
  },
  {
    path: "/sessions", also: ["/sessions/:id"], title: "Sessions", group: "Observe", key: "s", scope: "read", timed: true, code: code(() => import("./sessions")),
    ahead: (queries, address) => (idIn(address) ? queries.prefetchInfiniteQuery(sessionQuery(idIn(address))) : queries.prefetchInfiniteQuery(activityQuery("sessions", address.searchParams))),
  },
  { path: "/users", title: "Users", group: "Observe", key: "u", scope: "read", timed: true, code: code(() => import("./users")), ahead: (queries, { searchParams }) => queries.prefetchInfiniteQuery(activityQuery("users", searchParams)) },
  { path: "/alerts", title: "Alerts", group: "Observe", key: "l", scope: "read", code: code(() => import("./alerts")) },
  { path: "/sql", title: "SQL", group: "Observe", key: "q", scope: "admin", code: code(() => import("./sql")) },
  { path: "/playground", title: "Playground", group: "Try", key: "p", scope: "infer", code: code(() => import("./playground")) },
  { path: "/prompts", also: ["/prompts/:id"], title: "Prompts", group: "Try", key: "r", scope: "read", code: code(() => import("./prompts")) },
  { path: "/datasets", also: ["/datasets/:id"], title: "Datasets", group: "Try", key: "d", scope: "read", code: code(() => import("./datasets")), ahead: (queries, address) => (idIn(address) ? queries.prefetchQuery(datasetQuery(idIn(address))) : queries.prefetchQuery(datasetsQuery)) },
  { path: "/experiments", also: ["/experiments/:id"], title: "Experiments", group: "Try", key: "c", scope: "read", code: code(() => import("./experiments")) },
  { path: "/evaluations", also: ["/evaluations/:id"], title: "Evaluations", group: "Try", key: "i", scope: "read", code: code(() => import("./evaluations")) },
  { path: "/judges", also: ["/judges/:id"], title: "Judges", group: "Try", key: "h", scope: "read", code: code(() => import("./judges")) },
  { path: "/leaderboards", also: ["/leaderboards/:id"], title: "Leaderboards", group: "Try", key: "b", scope: "read", code: code(() => import("./leaderboards")) },
  { path: "/models", title: "Models", group: "Try", key: "m", scope: "read", code: code(() => import("./models")) },
  { path: "/providers", title: "Providers", group: "Operate", key: "v", scope: "read", code: code(() => import("./providers")) },
  { path: "/keys", title: "Keys", group: "Operate", key: "k", scope: "admin", code: code(() => import("./keys")) },
  { path: "/jobs", title: "Jobs", group: "Operate", key: "j", scope: "read", code: code(() => import("./jobs")) },
  { path: "/audit", title: "Audit", group: "Operate", key: "a", scope: "admin", code: code(() => import("./audit")) },
  { path: "/settings", title: "Settings", group: "Operate", key: "e", scope: "read", code: code(() => import("./settings")) },
];

/** Where a link to a page leads from an address: it keeps the time range where that means something. */
export function placeOf(page: Page, params: URLSearchParams): { pathname: string; search: string } {
  return { pathname: page.path, search: page.timed ? rangeParams(params).toString() : "" };
}

export function pageAt(pathname: string): Page | undefined {
  return PAGES.find((page) => (page.path === "/" ? pathname === "/" : pathname === page.path || pathname.startsWith(page.path + "/")));
}

/** The id after a page's path, or nothing. */
function idIn({ pathname }: URL): string {
  return decodeURIComponent(pathname.split("/")[2] ?? "");
}
