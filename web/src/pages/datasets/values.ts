/** How a value of a row is shown in one line. */

import type { Row } from "./ask";

/** What a row has in a column; the schema knows no names of columns. */
export function valueOf(row: Row | null | undefined, column: string): unknown {
  return (row?.values as Record<string, unknown> | undefined)?.[column];
}

/** A text as it is, anything else as JSON, of which a line shows the beginning. */
export function line(value: unknown): string {
  if (value === null || value === undefined) return "";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

/** Columns of a table: as wide as what they hold needs. */
export function widthOf(type: string): string {
  if (type === "integer" || type === "number") return "110px";
  return type === "boolean" ? "80px" : "minmax(160px, 2fr)";
}
