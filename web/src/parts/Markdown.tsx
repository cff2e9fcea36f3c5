/** Model output is untrusted text: it becomes elements, never HTML. Images from elsewhere are not loaded, links open apart and tell nothing of us. */

import { Anchor, Blockquote, Code, Divider, List, Table, Text, Title, type TitleOrder } from "@mantine/core";
import { Fragment, memo, type ReactNode, useMemo } from "react";
import { type Block, type Inline, isInlineImage, parseMarkdown, safeHref } from "../lib/markdown";
import { CodeBlock } from "./Code";
import "./markdown.css";

/** Longer texts are shown as they are: nobody reads so much, and it must not hold up the page. */
const LIMIT = 200_000;

export const Markdown = memo(function Markdown({ text }: { text: string }) {
  const blocks = useMemo(() => (text.length > LIMIT ? null : parseMarkdown(text)), [text]);
  return <div className="markdown">{blocks === null ? <Text size="sm" className="as-written">{text}</Text> : blocks.map(block)}</div>;
});

function block(found: Block, key: number): ReactNode {
  switch (found.kind) {
    case "heading":
      // The page has its own headings: those of an answer stand below them.
      return <Title key={key} order={Math.min(found.level + 2, 6) as TitleOrder} size={found.level === 1 ? "h2" : found.level === 2 ? "h3" : "sm"}>{inlines(found.children)}</Title>;
    case "paragraph":
      return <Text key={key} size="sm" className="as-written">{inlines(found.children)}</Text>;
    case "code":
      return <CodeBlock key={key} code={found.text} />;
    case "quote":
      return <Blockquote key={key} p="xs" my={4} color="gray">{found.children.map(block)}</Blockquote>;
    case "rule":
      return <Divider key={key} my="xs" />;
    case "list":
      return (
        <List key={key} size="sm" type={found.start === null ? "unordered" : "ordered"} start={found.start ?? undefined} withPadding>
          {found.items.map((item, index) => <List.Item key={index}>{item.map(block)}</List.Item>)}
        </List>
      );
    case "table":
      return <Rows key={key} head={found.head} rows={found.rows} />;
  }
}

function Rows({ head, rows }: { head: Inline[][]; rows: Inline[][][] }) {
  return (
    <Table.ScrollContainer minWidth={0}>
      <Table withTableBorder withColumnBorders>
        <Table.Thead><Table.Tr>{head.map((cell, index) => <Table.Th key={index}>{inlines(cell)}</Table.Th>)}</Table.Tr></Table.Thead>
        <Table.Tbody>{rows.map((row, index) => <Table.Tr key={index}>{row.map((cell, column) => <Table.Td key={column}>{inlines(cell)}</Table.Td>)}</Table.Tr>)}</Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function inlines(found: Inline[]): ReactNode[] {
  return found.map((part, key) => <Fragment key={key}>{inline(part)}</Fragment>);
}

function inline(part: Inline): ReactNode {
  switch (part.kind) {
    case "text":
      return part.text;
    case "code":
      return <Code>{part.text}</Code>;
    case "strong":
      return <strong>{inlines(part.children)}</strong>;
    case "emphasis":
      return <em>{inlines(part.children)}</em>;
    case "struck":
      return <s>{inlines(part.children)}</s>;
    case "break":
      return <br />;
    case "link":
      return <SafeLink href={part.href}>{inlines(part.children)}</SafeLink>;
    case "image":
      return <SafeImage src={part.src} alt={part.alt} />;
  }
}

/** A link to http or https; any other address is only text. */
export function SafeLink({ href, children }: { href: string; children: ReactNode }) {
  const safe = safeHref(href);
  if (safe === null) return <>{children}</>;
  return <Anchor href={safe} target="_blank" rel="noopener noreferrer nofollow" inherit underline="always">{children}</Anchor>;
}

/** An image that came along as data; one from elsewhere would tell its host who reads this, so it is only named. */
export function SafeImage({ src, alt }: { src: string; alt: string }) {
  if (isInlineImage(src)) return <img src={src} alt={alt || "Image"} className="inline-image" />;
  return <Text span c="dimmed" size="xs">[image not loaded: <SafeLink href={src}>{alt || src.slice(0, 80)}</SafeLink>]</Text>;
}
