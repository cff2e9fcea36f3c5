/** What an answer has of a reference, word by word. */

import { common } from "./lineDiff";

export interface DiffPart {
  /** `missing` words are the reference's alone, `more` the answer's. */
  kind: "same" | "missing" | "more";
  text: string;
}

/** A word or one other character, with the white space after it. */
const PIECE = /(?:[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_])\s*/gu;

/** The answer with what it lacks of the reference. Upper and lower case differ, white space does not. */
export function wordDiff(reference: string, answer: string): DiffPart[] {
  const [wanted, said] = [piecesOf(reference), piecesOf(answer)];
  const places = common(wanted.map(word), said.map(word));
  const parts: DiffPart[] = [];
  let [i, j] = [0, 0];
  for (const [sameA, sameB] of [...places, [wanted.length, said.length] as const]) {
    put(parts, "missing", wanted.slice(i, sameA).join(""));
    put(parts, "more", said.slice(j, sameB).join(""));
    put(parts, "same", said[sameB] ?? "");
    [i, j] = [sameA + 1, sameB + 1];
  }
  return parts;
}

/** Texts with more pieces than this together are only worth marking where they are alike: else every other word is struck out. */
const SHORT_PIECES = 30;
/** Of the reference, so much stands in an answer that is like it. */
const LEAST_SHARE = 0.5;

/** Whether marks help to read a difference. */
export function isWorthMarking(parts: readonly DiffPart[]): boolean {
  const pieces = (...kinds: DiffPart["kind"][]) => parts.filter((part) => kinds.includes(part.kind)).reduce((sum, part) => sum + piecesOf(part.text).length, 0);
  return pieces("same", "missing", "more") <= SHORT_PIECES || pieces("same") >= LEAST_SHARE * pieces("same", "missing");
}

/** Of several references the one that shares most with the answer; the first of those that share the same. */
export function nearestReference(references: readonly string[], answer: string): string | null {
  const said = new Set(piecesOf(answer).map(word));
  let [best, most] = [null as string | null, -1];
  for (const reference of references) {
    const words = piecesOf(reference).map(word);
    const share = words.length === 0 ? 0 : words.filter((one) => said.has(one)).length / words.length;
    if (share > most) [best, most] = [reference, share];
  }
  return best;
}

/** The answer against the nearest reference; as it is where marks would only hinder. */
export function markedAgainst(text: string, references: readonly string[]): DiffPart[] {
  const nearest = nearestReference(references, text);
  const parts = nearest === null ? [] : wordDiff(nearest, text);
  return parts.length > 0 && isWorthMarking(parts) ? parts : [{ kind: "same", text }];
}

/** The parts of which the texts have `limit` characters together. */
export function cut(parts: readonly DiffPart[], limit: number): DiffPart[] {
  const kept: DiffPart[] = [];
  let left = limit;
  for (const part of parts) {
    if (left <= 0) break;
    kept.push({ ...part, text: part.text.slice(0, left) });
    left -= part.text.length;
  }
  return kept;
}

const piecesOf = (text: string): string[] => text.match(PIECE) ?? [];
const word = (piece: string): string => piece.trimEnd();

function put(parts: DiffPart[], kind: DiffPart["kind"], text: string): void {
  const last = parts.at(-1);
  if (text === "") return;
  if (last?.kind === kind) last.text += text;
  else parts.push({ kind, text });
}
