/** The time range of the page that is shown. */

import { useCallback, useMemo } from "react";
import { useSearchParams } from "react-router";
import { RANGE_PARAMS, rangeOf, type TimeRange } from "./timeRange";

/** The range of the page and how to change it. */
export function useTimeRange(): { range: TimeRange; setRelative: (key: string) => void; setAbsolute: (from: Date, to: Date) => void } {
  const [params, setParams] = useSearchParams();
  const [key, from, to] = RANGE_PARAMS.map((name) => params.get(name));
  const range = useMemo(() => rangeOf(params), [key, from, to]);
  const change = useCallback(
    (next: Record<string, string>) =>
      setParams((old) => {
        const fresh = new URLSearchParams(old);
        RANGE_PARAMS.forEach((name) => fresh.delete(name));
        fresh.delete("cursor");
        Object.entries(next).forEach(([name, value]) => fresh.set(name, value));
        return fresh;
      }),
    [setParams],
  );
  const setRelative = useCallback((next: string) => change({ range: next }), [change]);
  const setAbsolute = useCallback((a: Date, b: Date) => change({ from: a.toISOString(), to: b.toISOString() }), [change]);
  return { range, setRelative, setAbsolute };
}
