/** `{{name}}` in a message stands for a value that all columns share. */

import type { Column } from "./conversation";

const VARIABLE = /\{\{\s*([\p{L}_][\p{L}\p{N}_.-]{0,63})\s*\}\}/gu;

/** No page shows more fields than this. */
export const MAX_VARIABLES = 50;

/** The names in a text, each once, in the order in which they come. */
export function namesIn(text: string): string[] {
  return [...new Set(Array.from(text.matchAll(VARIABLE), (match) => match[1]!))];
}

/** The names in all messages of all columns. */
export function namesOf(columns: readonly Column[]): string[] {
  const texts = columns.flatMap((column) => [column.system, ...column.messages.map((message) => message.content)]);
  return [...new Set(texts.flatMap(namesIn))].slice(0, MAX_VARIABLES);
}

/** The text with values in place of names; a name without a value stays as it is. Values are not searched for names again. */
export function fill(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(VARIABLE, (whole, name: string) => (Object.hasOwn(values, name) ? values[name]! : whole));
}

/** Fills every string inside a JSON value. */
export function fillDeep(value: unknown, values: Readonly<Record<string, string>>): unknown {
  if (typeof value === "string") return fill(value, values);
  if (Array.isArray(value)) return value.map((item) => fillDeep(item, values));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fillDeep(item, values)]));
}
