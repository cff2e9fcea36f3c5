/** Two texts side by side, line by line. */

export interface DiffRow {
  kind: "same" | "changed" | "removed" | "added";
  /** The line of the old text, and of the new one. */
  old: string | null;
  new: string | null;
}

/** More lines than this are compared as one block: the table of the comparison grows with the square. */
const MAX_LINES = 2000;

/** The rows of a comparison: a removed and an added line next to each other are one changed row. */
export function lineDiff(before: string, after: string): DiffRow[] {
  const [a, b] = [linesOf(before), linesOf(after)];
  const rows: DiffRow[] = [];
  let [i, j] = [0, 0];
  for (const [sameA, sameB] of [...common(a, b), [a.length, b.length] as const]) {
    rows.push(...between(a.slice(i, sameA), b.slice(j, sameB)));
    if (sameA < a.length) rows.push({ kind: "same", old: a[sameA]!, new: b[sameB]! });
    [i, j] = [sameA + 1, sameB + 1];
  }
  return rows;
}

function linesOf(text: string): string[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

function between(removed: readonly string[], added: readonly string[]): DiffRow[] {
  return Array.from({ length: Math.max(removed.length, added.length) }, (_, at): DiffRow => {
    const [before, after] = [removed[at] ?? null, added[at] ?? null];
    return { kind: before === null ? "added" : after === null ? "removed" : "changed", old: before, new: after };
  });
}

/** The places of a longest common subsequence of lines, or of any other pieces. */
export function common(a: readonly string[], b: readonly string[]): (readonly [number, number])[] {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const [n, m] = [a.length - start - end, b.length - start - end];
  const places: (readonly [number, number])[] = Array.from({ length: start }, (_, at) => [at, at] as const);
  if (n > 0 && m > 0 && n <= MAX_LINES && m <= MAX_LINES) {
    const width = m + 1;
    const longest = new Uint16Array((n + 1) * width);
    for (let i = n - 1; i >= 0; i -= 1) {
      for (let j = m - 1; j >= 0; j -= 1) {
        longest[i * width + j] = a[start + i] === b[start + j] ? longest[(i + 1) * width + j + 1]! + 1 : Math.max(longest[(i + 1) * width + j]!, longest[i * width + j + 1]!);
      }
    }
    for (let i = 0, j = 0; i < n && j < m; ) {
      if (a[start + i] === b[start + j]) places.push([start + i++, start + j++] as const);
      else if (longest[(i + 1) * width + j]! >= longest[i * width + j + 1]!) i += 1;
      else j += 1;
    }
  }
  for (let at = end; at > 0; at -= 1) places.push([a.length - at, b.length - at] as const);
  return places;
}
