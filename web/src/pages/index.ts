/** The pages by noun, in the order of the navigation. Each is loaded when it is first opened. */

import { type ComponentType, lazy, type LazyExoticComponent } from "react";

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
  view: LazyExoticComponent<ComponentType>;
}

export const PAGES: readonly Page[] = [
  { path: "/", title: "Overview", group: "Observe", key: "o", scope: "read", timed: true, view: lazy(() => import("./overview")) },
  { path: "/traces", also: ["/traces/:id"], title: "Traces", group: "Observe", key: "t", scope: "read", timed: true, view: lazy(() => import("./traces")) },
  { path: "/sessions", also: ["/sessions/:id"], title: "Sessions", group: "Observe", key: "s", scope: "read", timed: true, view: lazy(() => import("./sessions")) },
  { path: "/users", title: "Users", group: "Observe", key: "u", scope: "read", timed: true, view: lazy(() => import("./users")) },
  { path: "/sql", title: "SQL", group: "Observe", key: "q", scope: "admin", view: lazy(() => import("./sql")) },
  { path: "/playground", title: "Playground", group: "Try", key: "p", scope: "infer", view: lazy(() => import("./playground")) },
  { path: "/models", title: "Models", group: "Try", key: "m", scope: "read", view: lazy(() => import("./models")) },
  { path: "/providers", title: "Providers", group: "Operate", key: "v", scope: "read", view: lazy(() => import("./providers")) },
  { path: "/keys", title: "Keys", group: "Operate", key: "k", scope: "admin", view: lazy(() => import("./keys")) },
  { path: "/jobs", title: "Jobs", group: "Operate", key: "j", scope: "read", view: lazy(() => import("./jobs")) },
  { path: "/audit", title: "Audit", group: "Operate", key: "a", scope: "admin", view: lazy(() => import("./audit")) },
  { path: "/settings", title: "Settings", group: "Operate", key: "e", scope: "read", view: lazy(() => import("./settings")) },
];
