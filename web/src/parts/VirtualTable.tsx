/** A table of which only the rows in sight exist: a million of them scroll like a hundred. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { type CSSProperties, type ReactNode, useEffect, useRef } from "react";
import { useListKeys } from "../shell/keys";
import "./virtual.css";

export const ROW_HEIGHT_PX = 30;

export interface Column<T> {
  key: string;
  title: string;
  /** A CSS grid track: `90px`, `minmax(120px, 2fr)`. */
  width: string;
  numeric?: boolean;
  cell: (row: T) => ReactNode;
}

export interface VirtualTableProps<T> {
  label: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  rowKey: (row: T) => string;
  selected?: string | null;
  /** A row was clicked, or reached with `j` and `k`. */
  onSelect?: (row: T) => void;
  /** A row was opened with Enter or a double click. */
  onOpen?: (row: T) => void;
  /** The end of the rows is near: it may be asked several times. */
  onNearEnd?: () => void;
  /** Stands below the last row. */
  foot?: ReactNode;
}

/** So many rows before the end the next page is asked for. */
const NEAR_END = 60;

export function VirtualTable<T>({ label, columns, rows, rowKey, selected = null, onSelect, onOpen, onNearEnd, foot }: VirtualTableProps<T>) {
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => scroller.current, estimateSize: () => ROW_HEIGHT_PX, overscan: 12 });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  // Far down, browsers draw to the nearest two pixels; within a layer of its own a row is never far down.
  const begin = items[0]?.start ?? 0;
  useEffect(() => {
    if (rows.length > 0 && last >= rows.length - NEAR_END) onNearEnd?.();
  }, [last, rows.length, onNearEnd]);
  const at = selected === null ? -1 : rows.findIndex((row) => rowKey(row) === selected);
  // Keys may come faster than the page is drawn: each step starts where the last one led.
  const reached = useRef(at);
  useEffect(() => { reached.current = at; }, [at]);
  useListKeys(
    (step) => {
      const next = Math.max(0, Math.min(rows.length - 1, reached.current + step));
      if (rows[next] === undefined) return;
      reached.current = next;
      virtual.scrollToIndex(next, { align: "auto" });
      onSelect?.(rows[next]);
    },
    () => rows[at] !== undefined && onOpen?.(rows[at]),
  );
  const template = { "--columns": columns.map((column) => column.width).join(" ") } as CSSProperties;
  return (
    <div className="vt" ref={scroller} tabIndex={0} data-scroll style={template}>
      <div role="table" aria-label={label} aria-rowcount={rows.length + 1}>
        <div role="rowgroup" className="vt-head">
          <div role="row" className="vt-row">
            {columns.map((column) => <div key={column.key} role="columnheader" className={column.numeric ? "vt-cell num" : "vt-cell"}>{column.title}</div>)}
          </div>
        </div>
        <div role="rowgroup" className="vt-body" style={{ height: virtual.getTotalSize() }}>
          <div role="presentation" className="vt-window" style={{ transform: `translateY(${begin}px)` }}>
            {items.map((item) => {
              const row = rows[item.index]!;
              return (
                <div
                  key={rowKey(row)} role="row" className="vt-row vt-line" data-index={item.index} aria-rowindex={item.index + 2} aria-current={item.index === at ? "true" : undefined}
                  style={{ transform: `translateY(${item.start - begin}px)` }} onClick={() => onSelect?.(row)} onDoubleClick={() => onOpen?.(row)}
                >
                  {columns.map((column) => <div key={column.key} role="cell" className={column.numeric ? "vt-cell num" : "vt-cell"}>{column.cell(row)}</div>)}
                </div>
              );
            })}
          </div>
        </div>
      </div>
      {foot}
    </div>
  );
}
