/** What a chart draws besides its lines: points that no line reaches, and the marks of its axis. */

type Values = readonly (number | null | undefined)[];

/** Values without a neighbour: a line needs two, so a single call in an hour would not be seen. */
export function lonely(values: Values): number[] {
  return values.flatMap((value, at) => (value != null && values[at - 1] == null && values[at + 1] == null ? [at] : []));
}

/** Whether there is nothing above zero; an axis of such values has no scale worth telling. */
export function isFlat(lines: readonly Values[]): boolean {
  return lines.every((values) => values.every((value) => value == null || value === 0));
}

/** The marks of an axis. One that reads like the mark before it says nothing and stays away. */
export function marksOf(splits: readonly number[], format: (value: number) => string, flat: boolean): string[] {
  const marks = splits.map((value) => (flat && value !== 0 ? "" : format(value)));
  return marks.map((mark, at) => (mark === marks[at - 1] ? "" : mark));
}

/** Digits of the axis' type are so wide. */
const DIGIT_PX = 6.6;
const MARGIN_PX = 16;
/** Charts above each other line up as long as their marks are of usual length. */
const LEAST_PX = 58;

/** How wide an axis is that has room for its longest mark. */
export function axisWidthPx(marks: readonly string[]): number {
  return Math.max(LEAST_PX, Math.ceil(Math.max(0, ...marks.map((mark) => mark.length)) * DIGIT_PX) + MARGIN_PX);
}

/** The time that a selection means: buckets are drawn at their starts, and the last one chosen lasts for a step more. */
export function chosenTime(times: ArrayLike<number>, from_s: number, to_s: number): [Date, Date] {
  const step_s = times.length > 1 ? times[1]! - times[0]! : 0;
  return [new Date(from_s * 1000), new Date((to_s + step_s) * 1000)];
}
