/** Follows the spans as they finish, and keeps their traces as rows. */

import { useEffect, useState } from "react";
import type { Schemas } from "../../api/client";
import { follow } from "../../api/events";
import { type TraceRow, withSpan } from "../../lib/liveTail";

/** Spans that come within this time are shown at once: a busy server would redraw the list for each. */
const GATHER_MS = 200;
/** More than these between two drawings are counted and not shown. */
const GATHER_MOST = 1_000;

export interface Live {
  rows: readonly TraceRow[];
  /** Spans that came faster than they could be shown. */
  missed: number;
  error: unknown;
}

const NOTHING: Live = { rows: [], missed: 0, error: null };

export function useLiveTail(query: string | null): Live {
  const [live, setLive] = useState<Live>(NOTHING);
  useEffect(() => {
    setLive(NOTHING);
    if (query === null) return;
    const stop = new AbortController();
    let gathered: Schemas["Span"][] = [];
    let missed = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = () => {
      const [spans, lost] = [gathered, missed];
      [gathered, missed, timer] = [[], 0, undefined];
      setLive((old) => ({ rows: spans.reduce<readonly TraceRow[]>(withSpan, old.rows), missed: old.missed + lost, error: null }));
    };
    const listen = async () => {
      for await (const { event, data } of follow(`/api/v1/traces/tail?${query}`, stop.signal)) {
        if (event === "missed") missed += Number(data) || 0;
        else if (event === "span" && gathered.length < GATHER_MOST) gathered.push(JSON.parse(data) as Schemas["Span"]);
        else if (event === "span") missed += 1;
        timer ??= setTimeout(show, GATHER_MS);
      }
      throw new Error("The feed ended. Switch it on again to go on following.");
    };
    listen().catch((error: unknown) => { if (!stop.signal.aborted) setLive((old) => ({ ...old, error })); });
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [query]);
  return live;
}
