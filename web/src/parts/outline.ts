/** The spans of a trace without what they carry, as a tree. */

import { queryOptions } from "@tanstack/react-query";
import { getJson, type Schemas } from "../api/client";
import { buildTree } from "../lib/spanTree";

export type Span = Schemas["OutlineSpan"];

export function outlineQuery(id: string) {
  return queryOptions({
    queryKey: ["trace", id],
    queryFn: async ({ signal }) => buildTree((await getJson<Schemas["TraceOutline"]>(`/api/v1/traces/${id}/outline`, signal)).spans),
    // 30,000 spans need not be compared one by one with what was there before.
    structuralSharing: false,
    gcTime: 60_000,
  });
}
