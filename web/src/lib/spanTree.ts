/** A trace's spans as the rows of a tree: built in one pass, however many and however deep. */

export interface SpanLike {
  span_id: string;
  parent_id?: string | null;
  start_time: string;
  latency_ms: number;
  name: string;
  kind: string;
  model?: string | null;
  status: string;
}

export interface SpanTree<S extends SpanLike> {
  /** Rows in reading order: every span after its parent. */
  rows: TreeRow<S>[];
  /** When the first span began, in milliseconds since 1970 with fractions. */
  start_ms: number;
  /** From the first start to the last end. */
  length_ms: number;
}

export interface TreeRow<S extends SpanLike> {
  span: S;
  depth: number;
  /** Rows right after this one that stand below it. */
  descendants: number;
  children: number;
  /** When it began, after the trace's start. */
  offset_ms: number;
}

/** Milliseconds since 1970, with the fractions that `Date` does not keep. */
export function millis(time: string): number {
  const fraction = /\.(\d+)/.exec(time);
  if (fraction === null) return Date.parse(time);
  return Date.parse(time.replace(fraction[0], "")) + Number(`0${fraction[0]}`) * 1000;
}

/** Spans whose parent is not there, or that are their own ancestors, stand at the top; one that was reported twice is one. */
export function buildTree<S extends SpanLike>(reported: readonly S[]): SpanTree<S> {
  const spans = [...new Map(reported.map((span) => [span.span_id, span])).values()];
  const starts = spans.map((span) => millis(span.start_time));
  const children = childrenOf(spans);
  const start_ms = starts.reduce((least, start) => Math.min(least, start), Infinity);
  const end_ms = spans.reduce((most, span, at) => Math.max(most, starts[at]! + span.latency_ms), -Infinity);
  const rows: TreeRow<S>[] = [];
  const seen = new Uint8Array(spans.length);
  const descend = (root: number) => {
    const stack: { at: number; depth: number }[] = [{ at: root, depth: 0 }];
    // Which rows are still open, to be told how many came below them.
    const open: number[] = [];
    const close = (depth: number) => {
      while (open.length > depth) {
        const row = open.pop()!;
        rows[row]!.descendants = rows.length - row - 1;
      }
    };
    while (stack.length > 0) {
      const { at, depth } = stack.pop()!;
      if (seen[at] === 1) continue;
      seen[at] = 1;
      close(depth);
      open.push(rows.length);
      const below = children.get(at) ?? [];
      rows.push({ span: spans[at]!, depth, descendants: 0, children: below.length, offset_ms: starts[at]! - start_ms });
      for (let i = below.length - 1; i >= 0; i -= 1) stack.push({ at: below[i]!, depth: depth + 1 });
    }
    close(0);
  };
  (children.get(-1) ?? []).forEach(descend);
  // What is left is below itself: each such circle is entered at its first span.
  spans.forEach((_, at) => { if (seen[at] === 0) descend(at); });
  return { rows, start_ms: spans.length === 0 ? 0 : start_ms, length_ms: spans.length === 0 ? 0 : Math.max(end_ms - start_ms, 0) };
}

/** The children of each span by its place, in the order in which they came; those of nobody at -1. */
function childrenOf(spans: readonly SpanLike[]): Map<number, number[]> {
  const places = new Map(spans.map((span, at) => [span.span_id, at]));
  const children = new Map<number, number[]>();
  spans.forEach((span, at) => {
    const parent = span.parent_id ? (places.get(span.parent_id) ?? -1) : -1;
    const known = children.get(parent);
    if (known) known.push(at);
    else children.set(parent, [at]);
  });
  return children;
}

/** The rows that are seen when those in `collapsed` hide what is below them, by their place in the tree. */
export function visibleRows<S extends SpanLike>(tree: SpanTree<S>, collapsed: ReadonlySet<string>): number[] {
  const visible: number[] = [];
  for (let at = 0; at < tree.rows.length; at += 1) {
    visible.push(at);
    const row = tree.rows[at]!;
    if (collapsed.has(row.span.span_id)) at += row.descendants;
  }
  return visible;
}

/** The places of rows whose operation, model, kind, status or id has the text. */
export function searchRows<S extends SpanLike>(tree: SpanTree<S>, text: string): number[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return [];
  return tree.rows.flatMap((row, at) => {
    const { name, model, kind, status, span_id } = row.span;
    return [name, model ?? "", kind, status, span_id].some((field) => field.toLowerCase().includes(wanted)) ? [at] : [];
  });
}

/** Those above a row, from the outermost. */
export function ancestors<S extends SpanLike>(tree: SpanTree<S>, at: number): string[] {
  const found: string[] = [];
  let depth = tree.rows[at]?.depth ?? 0;
  for (let i = at - 1; i >= 0 && depth > 0; i -= 1) {
    const row = tree.rows[i]!;
    if (row.depth < depth) {
      depth = row.depth;
      found.unshift(row.span.span_id);
    }
  }
  return found;
}

/** Round times for the axis: at most `count` of them, from zero. */
export function ticks(length_ms: number, count: number): number[] {
  if (length_ms <= 0) return [0];
  const rough = length_ms / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((wide) => wide >= rough) ?? 10 * power;
  const last = Math.floor(length_ms / step + 1e-9);
  return Array.from({ length: last + 1 }, (_, i) => i * step);
}
