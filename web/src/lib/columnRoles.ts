/** What the columns of files are for: as it was guessed, and as somebody chose. */

export interface Column {
  name: string;
  type: string;
  role: string;
}

/** All of them, as the server knows them, each with what it means. */
export const ROLES: readonly { value: string; label: string }[] = [
  { value: "id", label: "id – which row it is" },
  { value: "input", label: "input – what is asked" },
  { value: "messages", label: "messages – a conversation" },
  { value: "reference", label: "reference – a good answer" },
  { value: "context", label: "context – what to answer from" },
  { value: "label", label: "label – the class" },
  { value: "variables", label: "variables – for templates" },
  { value: "metadata", label: "metadata – about the row" },
];

/** A dataset has one column of each of these at most. */
const SINGLE: ReadonlySet<string> = new Set(["id", "input", "messages", "reference", "label"]);
/** When somebody says so, each row must have a value there; of a guess that is not asked. */
const DEMANDING: ReadonlySet<string> = new Set(["id", "input", "messages"]);

/** The columns when one has another role; who had a role that only one can have is for templates then. */
export function withRole(columns: readonly Column[], name: string, role: string): Column[] {
  return columns.map((column) => {
    if (column.name === name) return { ...column, role };
    return column.role === role && SINGLE.has(role) ? { ...column, role: "variables" } : column;
  });
}

/** The roles that an import has to be told, so that what is chosen is what comes to be. */
export function toldRoles(guessed: readonly Column[], chosen: readonly Column[]): Record<string, string> {
  const before = new Map(guessed.map((column) => [column.name, column.role]));
  const told = chosen.filter((column) => before.get(column.name) !== column.role || !DEMANDING.has(column.role));
  return Object.fromEntries(told.map((column) => [column.name, column.role]));
}
