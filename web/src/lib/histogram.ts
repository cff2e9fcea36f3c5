/** How scores lie, as bars. */

export interface Distribution {
  /** Where the first bin begins, and each ends. */
  edges: readonly number[];
  counts: readonly number[];
}

export interface Bin {
  low: number;
  high: number;
  /** The highest score that belongs to it: an edge belongs to the bin that begins there, but for the last one. */
  most: number;
  count: number;
  /** Of the highest bar, from 0 to 1. A bin with anything in it is seen. */
  height: number;
}

/** The least height of a bar that is not empty. */
const LEAST = 0.04;
/** Less than any two scores are apart, as a share of a bin. */
const APART = 1e-6;

export function binsOf({ edges, counts }: Distribution): Bin[] {
  const most = Math.max(...counts, 1);
  return counts.flatMap((count, at) => {
    const [low, high] = [edges[at], edges[at + 1]];
    if (low === undefined || high === undefined) return [];
    const last = at === counts.length - 1;
    return [{ low, high, most: last ? high : high - (high - low) * APART, count, height: count === 0 ? 0 : Math.max(LEAST, count / most) }];
  });
}
