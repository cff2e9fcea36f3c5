/** What a person types to split a dataset, as the server takes it. */

export interface Part {
  name: string;
  /** As it was typed. */
  percent: string;
}

/** By what rows fall into parts: each by itself, with all that share a value, or so that each value is shared out. */
export type Way = "alone" | "group" | "stratify";

export const WAYS: readonly { value: Way; label: string }[] = [
  { value: "alone", label: "Each by itself" },
  { value: "group", label: "Keep rows with the same value together" },
  { value: "stratify", label: "Give each part its share of every value" },
];

interface Request {
  parts: { name: string; fraction: number }[];
  seed: number;
  group?: string;
  stratify?: string;
}

/** The request, and what is still to be put right before it can be made. */
export function requestOf(parts: readonly Part[], seed: string, way: Way, column: string | null): { request: Request; problem: string | null } {
  const read = parts.map((part) => ({ name: part.name.trim(), fraction: Number(part.percent.replace(",", ".") || "x") / 100 }));
  const request: Request = { parts: read, seed: Number(seed || "x"), ...(way === "alone" || column === null ? {} : { [way]: column }) };
  return { request, problem: problemOf(request, way, column) };
}

function problemOf({ parts, seed }: Request, way: Way, column: string | null): string | null {
  const sum = parts.reduce((all, part) => all + part.fraction, 0);
  if (parts.some((part) => part.name === "")) return "Each part needs a name.";
  if (new Set(parts.map((part) => part.name)).size < parts.length) return "Two parts have the same name.";
  if (parts.some((part) => !(part.fraction > 0 && part.fraction <= 1))) return "Each part is more than 0 and at most 100 percent.";
  // Tenths are no binary fractions.
  if (sum > 1 + 1e-9) return "All parts together are more than 100 percent.";
  if (!Number.isSafeInteger(seed) || seed < 0) return "The seed is a whole number.";
  return way !== "alone" && column === null ? "Choose a column." : null;
}
