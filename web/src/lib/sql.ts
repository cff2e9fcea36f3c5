/** What the SQL page needs to know of statements and answers. */

export interface SqlColumn {
  name: string;
  /** Its Arrow type: `Int64`, `Timestamp(ns, "UTC")`, … */
  type: string;
}

export type SqlRow = Record<string, unknown>;

/** So many statements are remembered, the latest first. */
export const HISTORY_MAX = 50;
/** A longer statement is not remembered. */
export const STATEMENT_MAX = 10_000;
/** More lines than this nobody can tell apart. */
const SERIES_MAX = 6;
/** More points than this have no pixel of their own. */
const POINTS_MAX = 5_000;

export function isNumeric(column: SqlColumn): boolean {
  return /^(U?Int|Float|Decimal)/.test(column.type);
}

export function isTime(column: SqlColumn): boolean {
  return /^(Timestamp|Date)/.test(column.type);
}

/** How a cell reads: what has parts as JSON, null as nothing. */
export function cellText(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** RFC 4180: fields with commas, quotes or line breaks are quoted, lines end with CR and LF. */
export function toCsv(columns: readonly SqlColumn[], rows: readonly SqlRow[]): string {
  const field = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const line = (fields: readonly string[]) => fields.map(field).join(",") + "\r\n";
  return line(columns.map((column) => column.name)) + rows.map((row) => line(columns.map((column) => cellText(row[column.name])))).join("");
}

/** The history with a statement that was just run: at the top, and there only. */
export function remembered(history: readonly string[], statement: string): string[] {
  const text = statement.trim();
  if (text === "" || text.length > STATEMENT_MAX) return [...history];
  return [text, ...history.filter((old) => old !== text)].slice(0, HISTORY_MAX);
}

/** The history that a stored text tells; anything else is none. */
export function parseHistory(stored: string | null): string[] {
  try {
    const known: unknown = JSON.parse(stored ?? "[]");
    return Array.isArray(known) ? known.filter((entry) => typeof entry === "string").slice(0, HISTORY_MAX) : [];
  } catch {
    return [];
  }
}

export interface ChartData {
  /** Seconds since 1970 when `labels` is null, else positions of the labels. */
  x: number[];
  labels: string[] | null;
  series: { name: string; values: (number | null)[] }[];
}

/** An answer as a chart: lines over its first column of times, or bars over its first other column. Null without a number to draw. */
export function toChart(columns: readonly SqlColumn[], rows: readonly SqlRow[]): ChartData | null {
  const time = columns.find(isTime);
  const base = time ?? columns.find((column) => !isNumeric(column)) ?? (columns.length > 1 ? columns[0] : undefined);
  const drawn = columns.filter((column) => column !== base && isNumeric(column)).slice(0, SERIES_MAX);
  if (drawn.length === 0 || rows.length === 0) return null;
  const points = rows.slice(0, POINTS_MAX).map((row, index) => ({ row, x: time ? new Date(String(row[time.name])).getTime() / 1000 : index }));
  const placed = points.filter((point) => !Number.isNaN(point.x)).sort((a, b) => a.x - b.x);
  const number = (value: unknown) => (value === null || value === undefined || Number.isNaN(Number(value)) ? null : Number(value));
  return {
    x: placed.map((point) => point.x),
    labels: time ? null : placed.map((point) => (base ? cellText(point.row[base.name]) : String(point.x + 1))),
    series: drawn.map((column) => ({ name: column.name, values: placed.map((point) => number(point.row[column.name])) })),
  };
}
