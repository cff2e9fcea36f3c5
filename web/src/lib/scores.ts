/** Scores of spans: which belong to which, and what they come to. */

/** What is needed of a score here. */
export interface Scored {
  id: string;
  trace_id: string;
  span_id?: string | null;
  name: string;
  value: number | boolean | string;
  source: string;
}

/** The name of the score that the thumbs give. */
export const HELPFUL = "helpful";

/** The scores of a span: those about it, and those about its trace as a whole. */
export function scoresOf<T extends Scored>(scores: readonly T[], trace: string, span: string): T[] {
  return scores.filter((score) => score.trace_id === trace && (score.span_id == null || score.span_id === span));
}

/** What a person said with the thumbs about just this span. */
export function thumbOf<T extends Scored>(scores: readonly T[], span: string): T | undefined {
  return scores.find((score) => score.name === HELPFUL && score.source === "human" && score.span_id === span);
}

/** The mean of each name's numbers, with how many there are, by name. */
export function meansOf(scores: readonly Scored[]): { name: string; mean: number; count: number }[] {
  const sums = new Map<string, { sum: number; count: number }>();
  for (const { name, value } of scores) {
    if (typeof value !== "number") continue;
    const { sum, count } = sums.get(name) ?? { sum: 0, count: 0 };
    sums.set(name, { sum: sum + value, count: count + 1 });
  }
  return [...sums].map(([name, { sum, count }]) => ({ name, mean: sum / count, count })).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** A score's value in few characters. */
export function valueText(value: number | boolean | string): string {
  return typeof value === "number" ? String(Number(value.toPrecision(3))) : String(value);
}
