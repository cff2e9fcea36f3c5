/**
 * Markdown as models write it, parsed to a tree: CommonMark's everyday part with GitHub's tables and strikethrough.
 * Nothing in the text is ever HTML: what is not Markdown stays text.
 */

export type Inline =
  | { kind: "text"; text: string }
  | { kind: "code"; text: string }
  | { kind: "strong" | "emphasis" | "struck"; children: Inline[] }
  | { kind: "link"; href: string; children: Inline[] }
  | { kind: "image"; src: string; alt: string }
  | { kind: "break" };

export type Block =
  | { kind: "heading"; level: number; children: Inline[] }
  | { kind: "paragraph"; children: Inline[] }
  | { kind: "code"; language: string; text: string }
  | { kind: "quote"; children: Block[] }
  | { kind: "list"; start: number | null; items: Block[][] }
  | { kind: "table"; head: Inline[][]; rows: Inline[][][] }
  | { kind: "rule" };

/** Deeper nesting than this is shown as text: nobody means it, and it must not exhaust the stack. */
const DEPTH = 12;
/** A longer run of text than this is not searched for emphasis and links. */
const INLINE_LIMIT = 20_000;

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:\s+(.*?))?(?:\s+#+)?\s*$/;
const RULE = /^ {0,3}(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,})$/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(\s+|$)(.*)$/;
const DELIMITER_ROW = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

export function parseMarkdown(text: string): Block[] {
  return blocksOf(text.replaceAll("\r\n", "\n").replaceAll("\t", "    ").split("\n"), 0);
}

function blocksOf(lines: string[], depth: number): Block[] {
  const blocks: Block[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at]!;
    if (line.trim() === "") {
      at += 1;
      continue;
    }
    const [block, next] = blockAt(lines, at, depth);
    blocks.push(block);
    at = next;
  }
  return blocks;
}

/** The block that begins at a line, and the line after it. */
function blockAt(lines: string[], at: number, depth: number): [Block, number] {
  const line = lines[at]!;
  const fence = FENCE.exec(line);
  if (fence) return fenced(lines, at, fence[1]!, (fence[2] ?? "").trim());
  const heading = HEADING.exec(line);
  if (heading) return [{ kind: "heading", level: heading[1]!.length, children: parseInline(heading[2] ?? "") }, at + 1];
  if (RULE.test(line)) return [{ kind: "rule" }, at + 1];
  if (depth < DEPTH && /^ {0,3}>/.test(line)) return quoted(lines, at, depth);
  if (depth < DEPTH && ITEM.test(line)) return listed(lines, at, depth);
  if (line.includes("|") && at + 1 < lines.length && DELIMITER_ROW.test(lines[at + 1]!) && lines[at + 1]!.includes("-")) return tabled(lines, at);
  return paragraph(lines, at, depth);
}

function fenced(lines: string[], at: number, mark: string, language: string): [Block, number] {
  const indent = lines[at]!.length - lines[at]!.trimStart().length;
  const body: string[] = [];
  let next = at + 1;
  for (; next < lines.length; next += 1) {
    const bare = lines[next]!.trim();
    if (bare.length >= mark.length && bare === mark[0]!.repeat(bare.length)) return [{ kind: "code", language, text: body.join("\n") }, next + 1];
    body.push(lines[next]!.replace(new RegExp(`^ {0,${indent}}`), ""));
  }
  // An answer that is still coming has not closed its fence yet.
  return [{ kind: "code", language, text: body.join("\n") }, next];
}

function quoted(lines: string[], at: number, depth: number): [Block, number] {
  const inner: string[] = [];
  let next = at;
  for (; next < lines.length && /^ {0,3}>/.test(lines[next]!); next += 1) inner.push(lines[next]!.replace(/^ {0,3}> ?/, ""));
  return [{ kind: "quote", children: blocksOf(inner, depth + 1) }, next];
}

function listed(lines: string[], at: number, depth: number): [Block, number] {
  const first = ITEM.exec(lines[at]!)![2]!;
  const ordered = /\d/.test(first);
  const items: Block[][] = [];
  let next = at;
  while (next < lines.length) {
    const item = ITEM.exec(lines[next]!);
    if (!item || /\d/.test(item[2]!) !== ordered || RULE.test(lines[next]!)) break;
    const [inner, after] = itemLines(lines, next, item);
    items.push(blocksOf(inner, depth + 1));
    next = after;
  }
  return [{ kind: "list", start: ordered ? Number.parseInt(first, 10) : null, items }, next];
}

/** The lines of one item without their indent, and the line after it: what is indented under it belongs to it. */
function itemLines(lines: string[], at: number, item: RegExpExecArray): [string[], number] {
  const width = item[1]!.length + item[2]!.length + Math.min(item[3]!.length || 1, 4);
  const inner = [item[4]!];
  let next = at + 1;
  for (; next < lines.length; next += 1) {
    const line = lines[next]!;
    const indent = line.length - line.trimStart().length;
    if (line.trim() === "") {
      // A blank line ends the item unless something indented, or the next item, follows.
      const following = lines.slice(next + 1, next + 3).find((later) => later.trim() !== "");
      if (following === undefined || (following.length - following.trimStart().length < 2 && !ITEM.test(following))) break;
      inner.push("");
    } else if (indent >= Math.min(width, 2) && indent > item[1]!.length) inner.push(line.slice(Math.min(indent, width)));
    else if (ITEM.test(line) || startsBlock(line) || inner.at(-1) === "") break;
    else inner.push(line.trimStart());
  }
  return [inner, next];
}

function tabled(lines: string[], at: number): [Block, number] {
  const head = cells(lines[at]!);
  const rows: Inline[][][] = [];
  let next = at + 2;
  for (; next < lines.length && lines[next]!.includes("|"); next += 1) {
    const row = cells(lines[next]!);
    rows.push(head.map((_, column) => row[column] ?? []));
  }
  return [{ kind: "table", head, rows }, next];
}

function cells(line: string): Inline[][] {
  const bare = line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "");
  return bare.split(/(?<!\\)\|/).map((cell) => parseInline(cell.trim().replaceAll("\\|", "|")));
}

function startsBlock(line: string): boolean {
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || /^ {0,3}>/.test(line);
}

function paragraph(lines: string[], at: number, depth: number): [Block, number] {
  const inner = [lines[at]!];
  let next = at + 1;
  for (; next < lines.length; next += 1) {
    const line = lines[next]!;
    if (line.trim() === "" || (depth < DEPTH && (startsBlock(line) || ITEM.test(line)))) break;
    inner.push(line);
  }
  return [{ kind: "paragraph", children: parseInline(inner.map((line) => line.trimStart()).join("\n")) }, next];
}

const MARKS: readonly [string, "strong" | "emphasis" | "struck"][] = [["**", "strong"], ["__", "strong"], ["~~", "struck"], ["*", "emphasis"], ["_", "emphasis"]];

export function parseInline(text: string, depth = 0): Inline[] {
  if (text.length > INLINE_LIMIT || depth > DEPTH) return text === "" ? [] : [{ kind: "text", text }];
  const found: Inline[] = [];
  // Marks that were looked for and have no partner later are not looked for again: the whole stays linear.
  const hopeless = new Set<string>();
  let plain = "";
  const flush = () => {
    if (plain !== "") found.push({ kind: "text", text: plain });
    plain = "";
  };
  let at = 0;
  while (at < text.length) {
    const taken = inlineAt(text, at, depth, hopeless);
    if (taken === null) {
      plain += text[at];
      at += 1;
    } else if (typeof taken[0] === "string") {
      plain += taken[0];
      at = taken[1];
    } else {
      flush();
      found.push(taken[0]);
      at = taken[1];
    }
  }
  flush();
  return found;
}

/** What begins here if it is more than a character, and where it ends. */
function inlineAt(text: string, at: number, depth: number, hopeless: Set<string>): [Inline | string, number] | null {
  const letter = text[at]!;
  if (letter === "\\" && /[!-/:-@[-`{-~]/.test(text[at + 1] ?? "")) return [text[at + 1]!, at + 2];
  if (letter === "\n") return /(?: {2}|\\)$/.test(text.slice(Math.max(0, at - 2), at)) ? [{ kind: "break" }, at + 1] : null;
  if (letter === "`") return codeSpan(text, at, hopeless);
  if (letter === "!" || letter === "[") return linked(text, at, depth, hopeless);
  if (letter === "h" && !/\w/.test(text[at - 1] ?? "")) return bareLink(text, at);
  for (const [mark, kind] of MARKS) {
    if (text.startsWith(mark, at)) return marked(text, at, mark, kind, depth, hopeless);
  }
  return null;
}

function codeSpan(text: string, at: number, hopeless: Set<string>): [Inline | string, number] {
  const ticks = /^`+/.exec(text.slice(at, at + 100))![0];
  if (!hopeless.has(ticks)) {
    for (let end = text.indexOf(ticks, at + ticks.length); end !== -1; end = text.indexOf(ticks, end)) {
      if (text[end + ticks.length] !== "`" && text[end - 1] !== "`") return [{ kind: "code", text: text.slice(at + ticks.length, end).trim() }, end + ticks.length];
      while (text[end] === "`") end += 1;
    }
    hopeless.add(ticks);
  }
  return [ticks, at + ticks.length];
}

/** `[text](address)` or `![alt](address)`; brackets within the text must pair. */
function linked(text: string, at: number, depth: number, hopeless: Set<string>): [Inline, number] | null {
  const image = text[at] === "!";
  const open = image ? at + 1 : at;
  if (text[open] !== "[" || hopeless.has("](")) return null;
  if (!text.includes("](", open)) {
    hopeless.add("](");
    return null;
  }
  const close = closing(text, open);
  const target = close === -1 ? null : /^\(\s*<?([^\s<>()]*(?:\([^\s()]*\)[^\s<>()]*)*)>?(?:\s+"[^"]*")?\s*\)/.exec(text.slice(close + 1, close + 2100));
  if (target === null) return null;
  const label = text.slice(open + 1, close);
  const end = close + 1 + target[0].length;
  return image ? [{ kind: "image", src: target[1]!, alt: label }, end] : [{ kind: "link", href: target[1]!, children: parseInline(label, depth + 1) }, end];
}

/** Where the bracket that opens at `open` closes, within 2,000 characters. */
function closing(text: string, open: number): number {
  let level = 0;
  for (let at = open; at < Math.min(text.length, open + 2_000); at += 1) {
    if (text[at] === "\\") at += 1;
    else if (text[at] === "[") level += 1;
    else if (text[at] === "]" && --level === 0) return at;
  }
  return -1;
}

function bareLink(text: string, at: number): [Inline, number] | null {
  const address = /^https?:\/\/[^\s<>"'`\])*]+/.exec(text.slice(at, at + 2_000))?.[0].replace(/[.,;:!?]+$/, "");
  if (address === undefined) return null;
  return [{ kind: "link", href: address, children: [{ kind: "text", text: address }] }, at + address.length];
}

function marked(text: string, at: number, mark: string, kind: "strong" | "emphasis" | "struck", depth: number, hopeless: Set<string>): [Inline | string, number] {
  const start = at + mark.length;
  const intraword = mark[0] === "_" && /\w/.test(text[at - 1] ?? "");
  if (!intraword && !hopeless.has(mark) && /\S/.test(text[start] ?? "")) {
    const end = partner(text, start, mark);
    if (end !== -1) return [{ kind, children: parseInline(text.slice(start, end), depth + 1) }, end + mark.length];
    hopeless.add(mark);
  }
  return [mark, start];
}

/** Where the mark closes: not after a space, not within a code span, and an underscore not within a word. */
function partner(text: string, start: number, mark: string): number {
  for (let at = start; at < text.length; at += 1) {
    if (text[at] === "\\") at += 1;
    else if (text[at] === "`") {
      const end = text.indexOf("`", at + 1);
      if (end !== -1) at = end;
    } else if (text.startsWith(mark, at) && at > start && /\S/.test(text[at - 1]!)) {
      if (mark.length === 1 && text[at + 1] === mark) {
        at += 1;
        continue;
      }
      if (mark[0] === "_" && /\w/.test(text[at + mark.length] ?? "")) continue;
      // `***both***`: the inner mark closes first.
      return mark.length === 2 && text[at + 2] === mark[0] ? at + 1 : at;
    }
  }
  return -1;
}

/** The address a link may lead to: absolute, http or https; null for everything else. */
export function safeHref(href: string): string | null {
  try {
    const url = new URL(href);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}

/** An image that comes along in the text itself, in a format that cannot run anything. */
export function isInlineImage(src: string): boolean {
  return /^data:image\/(?:png|jpeg|gif|webp|avif);base64,[A-Za-z0-9+/=\s]+$/.test(src);
}
