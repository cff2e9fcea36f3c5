/** The spans of a trace as tree and waterfall: flat rows of which only those in sight exist. */

import { ActionIcon, Button, Group, Text, TextInput, Tooltip } from "@mantine/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type CSSProperties, type KeyboardEvent, memo, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { count, duration, money } from "../lib/format";
import { ancestors, searchRows, type SpanTree, ticks, type TreeRow, visibleRows } from "../lib/spanTree";
import { useListKeys } from "../shell/keys";
import type { Span } from "./outline";
import "./virtual.css";
import "./waterfall.css";

const ROW_PX = 24;
/** Deeper rows are not moved further in: their names would leave the column. */
const DEEPEST = 18;
/** The part of the axis that has room for a mark's words after it. */
const LAST_MARK = 0.8;

interface Props {
  tree: SpanTree<Span>;
  selected: string | null;
  select: (span: string) => void;
  /** In a side panel: fewer columns, and `j` and `k` belong to the list beside it. */
  compact?: boolean;
}

export function Waterfall({ tree, selected, select, compact = false }: Props) {
  const [collapsed, setCollapsed] = useState<ReadonlySet<string>>(() => new Set());
  const visible = useMemo(() => visibleRows(tree, collapsed), [tree, collapsed]);
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({ count: visible.length, getScrollElement: () => scroller.current, estimateSize: () => ROW_PX, overscan: 10 });
  const at = useMemo(() => visible.findIndex((place) => tree.rows[place]!.span.span_id === selected), [visible, tree, selected]);
  const toggle = useCallback((span: string) => setCollapsed((old) => flipped(old, span)), []);
  const go = useCallback(
    (place: number) => {
      const row = tree.rows[place];
      if (row === undefined) return;
      const above = ancestors(tree, place);
      setCollapsed((old) => (above.some((id) => old.has(id)) ? new Set([...old].filter((id) => !above.includes(id))) : old));
      select(row.span.span_id);
    },
    [tree, select],
  );
  // Keys may come faster than the page is drawn: each step starts where the last one led.
  const reached = useRef(at);
  useEffect(() => { reached.current = at; }, [at]);
  const step = (by: number) => {
    const next = Math.max(0, Math.min(visible.length - 1, reached.current + by));
    if (visible[next] === undefined) return;
    reached.current = next;
    go(visible[next]);
  };
  useEffect(() => {
    if (at >= 0) virtual.scrollToIndex(at, { align: "auto" });
  }, [at, virtual]);
  useListKeys((by) => !compact && step(by), () => !compact && selected !== null && toggle(selected));
  return (
    <div className={compact ? "wf wf-compact" : "wf"} data-testid="waterfall">
      <Tools tree={tree} go={go} compact={compact} collapseAll={() => setCollapsed(new Set(tree.rows.filter((row) => row.depth > 0 && row.children > 0).map((row) => row.span.span_id)))} expandAll={() => setCollapsed(new Set())} />
      <Axis length_ms={tree.length_ms} compact={compact} />
      <div
        className="wf-scroll" data-scroll ref={scroller} role="tree" aria-label="Spans" tabIndex={0} aria-activedescendant={at >= 0 ? `span-${selected}` : undefined}
        onKeyDown={(event) => press(event, { step, toggle, row: tree.rows[visible[at] ?? -1], collapsed })}
      >
        <div role="presentation" className="wf-rows" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const row = tree.rows[visible[item.index]!]!;
            return (
              <Row
                key={row.span.span_id} row={row} top={item.start} length_ms={tree.length_ms} open={!collapsed.has(row.span.span_id)}
                selected={row.span.span_id === selected} compact={compact} select={select} toggle={toggle}
              />
            );
          })}
        </div>
      </div>
    </div>
  );
}

function flipped(old: ReadonlySet<string>, span: string): ReadonlySet<string> {
  const next = new Set(old);
  if (!next.delete(span)) next.add(span);
  return next;
}

interface Pressed {
  step: (by: number) => void;
  toggle: (span: string) => void;
  row: TreeRow<Span> | undefined;
  collapsed: ReadonlySet<string>;
}

/** The arrow keys, as trees are used: right opens, left closes. */
function press(event: KeyboardEvent, { step, toggle, row, collapsed }: Pressed) {
  const open = row !== undefined && row.children > 0 && !collapsed.has(row.span.span_id);
  if (event.key === "ArrowDown") step(1);
  else if (event.key === "ArrowUp") step(-1);
  else if (event.key === "ArrowRight" && row && row.children > 0 && !open) toggle(row.span.span_id);
  else if (event.key === "ArrowLeft" && row && open) toggle(row.span.span_id);
  else return;
  event.preventDefault();
}

interface RowProps {
  row: TreeRow<Span>;
  top: number;
  length_ms: number;
  open: boolean;
  selected: boolean;
  compact: boolean;
  select: (span: string) => void;
  toggle: (span: string) => void;
}

const Row = memo(function Row({ row, top, length_ms, open, selected, compact, select, toggle }: RowProps) {
  const { span } = row;
  const indent = { "--indent": `${Math.min(row.depth, DEEPEST) * 12}px` } as CSSProperties;
  return (
    <div
      id={`span-${span.span_id}`} role="treeitem" aria-level={row.depth + 1} aria-selected={selected} aria-expanded={row.children > 0 ? open : undefined} className="wf-row"
      style={{ transform: `translateY(${top}px)` }} onClick={() => select(span.span_id)}
    >
      <div className="wf-name" style={indent}>
        <span className="wf-fold" aria-hidden onClick={(event) => { if (row.children > 0) { event.stopPropagation(); toggle(span.span_id); } }}>{row.children > 0 ? (open ? "▾" : "▸") : ""}</span>
        <span className={`dot kind-${span.kind}`} title={span.kind} />
        <span className={span.status === "error" ? "failed" : undefined}>{span.name}</span>
        <span className="wf-dim"> {span.model ?? span.kind}</span>
        {!open && <span className="wf-dim"> +{row.descendants}</span>}
      </div>
      <Bar row={row} length_ms={length_ms} />
      <div className="num">{duration(span.latency_ms)}</div>
      {!compact && <div className="num wf-dim">{span.input_tokens == null && span.output_tokens == null ? "" : `${count(span.input_tokens ?? 0)} → ${count(span.output_tokens ?? 0)}`}</div>}
      {!compact && <div className="num wf-dim">{span.cost_picodollars == null ? "" : money(span.cost_picodollars)}</div>}
    </div>
  );
});

/** The part before the first token is lighter: that is what a reader waited for. */
function Bar({ row, length_ms }: { row: TreeRow<Span>; length_ms: number }) {
  const share = (ms: number) => (length_ms > 0 ? Math.min(Math.max(ms / length_ms, 0), 1) * 100 : 0);
  const { span } = row;
  const waited = span.ttft_ms != null && span.latency_ms > 0 ? Math.min(span.ttft_ms / span.latency_ms, 1) * 100 : 0;
  return (
    <div className="wf-lane">
      <div className={`wf-bar kind-${span.status === "error" ? "failed" : span.kind}`} style={{ left: `${Math.min(share(row.offset_ms), 99.5)}%`, width: `${share(span.latency_ms)}%` }}>
        {waited > 0 && <div className="wf-wait" style={{ width: `${waited}%` }} />}
      </div>
    </div>
  );
}

function Axis({ length_ms, compact }: { length_ms: number; compact: boolean }) {
  // A mark near the end would run into the next column.
  const marks = ticks(length_ms, compact ? 2 : 3).filter((ms) => ms <= length_ms * LAST_MARK);
  return (
    <div className="wf-row wf-axis" aria-hidden>
      <div />
      <div className="wf-lane">{marks.map((ms) => <span key={ms} className="wf-tick" style={{ left: `${length_ms > 0 ? (ms / length_ms) * 100 : 0}%` }}>{ms === 0 ? "0" : duration(ms)}</span>)}</div>
      <div className="num">took</div>
      {!compact && <><div className="num">tokens</div><div className="num">cost</div></>}
    </div>
  );
}

interface ToolsProps {
  tree: SpanTree<Span>;
  go: (place: number) => void;
  compact: boolean;
  collapseAll: () => void;
  expandAll: () => void;
}

/** Search goes from find to find, so that what stands around them stays in sight. */
function Tools({ tree, go, compact, collapseAll, expandAll }: ToolsProps) {
  const [text, setText] = useState("");
  const [nth, setNth] = useState(-1);
  const found = useMemo(() => searchRows(tree, text), [tree, text]);
  if (compact && tree.rows.length < 12) return null;
  const jump = (by: number) => {
    if (found.length === 0) return;
    const next = (nth + by + found.length) % found.length;
    setNth(next);
    go(found[next]!);
  };
  return (
    <Group gap={6} wrap="nowrap" className="wf-tools">
      <TextInput
        data-search={compact ? undefined : true} size="xs" placeholder="Find a span by name, model, kind, status" aria-label="Find a span" value={text} flex={1} maw={360}
        onChange={(event) => { setText(event.currentTarget.value); setNth(-1); }}
        onKeyDown={(event) => { if (event.key === "Enter") jump(event.shiftKey ? -1 : 1); if (event.key === "Escape") event.currentTarget.blur(); }}
      />
      {text.trim() !== "" && <Text size="xs" c="dimmed" role="status">{found.length === 0 ? "none" : nth < 0 ? `${count(found.length)} found` : `${nth + 1} of ${count(found.length)}`}</Text>}
      {found.length > 0 && <Tooltip label="Next (Enter)"><ActionIcon variant="default" size="sm" onClick={() => jump(1)} aria-label="Next find">↓</ActionIcon></Tooltip>}
      <Text size="xs" c="dimmed" ml="auto">{count(tree.rows.length)} {tree.rows.length === 1 ? "span" : "spans"}</Text>
      {tree.rows.length > 2 && <><Button variant="default" size="compact-xs" onClick={collapseAll}>Fold</Button><Button variant="default" size="compact-xs" onClick={expandAll}>Unfold</Button></>}
    </Group>
  );
}
