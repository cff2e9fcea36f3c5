import { expect, test } from "vitest";
import { type Block, type Inline, isInlineImage, parseInline, parseMarkdown, safeHref } from "./markdown";

/** What CommonMark's dingus shows for the same text, in a short notation. */
function shown(parts: Inline[]): string {
  return parts
    .map((part) => {
      if (part.kind === "text") return part.text;
      if (part.kind === "code") return `<code>${part.text}</code>`;
      if (part.kind === "break") return "<br>";
      if (part.kind === "image") return `<img ${part.src} ${part.alt}>`;
      if (part.kind === "link") return `<a ${part.href}>${shown(part.children)}</a>`;
      const tag = { strong: "b", emphasis: "i", struck: "s" }[part.kind];
      return `<${tag}>${shown(part.children)}</${tag}>`;
    })
    .join("");
}

function shownBlock(block: Block): string {
  if (block.kind === "heading") return `<h${block.level}>${shown(block.children)}</h${block.level}>`;
  if (block.kind === "paragraph") return `<p>${shown(block.children)}</p>`;
  if (block.kind === "code") return `<pre ${block.language}>${block.text}</pre>`;
  if (block.kind === "quote") return `<q>${block.children.map(shownBlock).join("")}</q>`;
  if (block.kind === "rule") return "<hr>";
  if (block.kind === "list") return `<${block.start === null ? "ul" : `ol ${block.start}`}>${block.items.map((item) => `<li>${item.map(shownBlock).join("")}</li>`).join("")}</l>`;
  return `<table>${[block.head, ...block.rows].map((row) => row.map(shown).join("|")).join("/")}</table>`;
}

const check = (text: string, expected: string) => expect(parseMarkdown(text).map(shownBlock).join("")).toBe(expected);
const checkInline = (text: string, expected: string) => expect(shown(parseInline(text))).toBe(expected);

test("inline marks", () => {
  checkInline("a **bold** and *slanted* and ~~gone~~ `x*y*`", "a <b>bold</b> and <i>slanted</i> and <s>gone</s> <code>x*y*</code>");
  checkInline("***both***", "<b><i>both</i></b>");
  checkInline("snake_case_name and 2 * 3 * 4", "snake_case_name and 2 * 3 * 4");
  checkInline("**never closed", "**never closed");
  checkInline("\\*not\\*", "*not*");
  checkInline("``a ` b``", "<code>a ` b</code>");
});

test("links and images", () => {
  checkInline("[a *b*](https://x.org/a_(b))", "<a https://x.org/a_(b)>a <i>b</i></a>");
  checkInline("see https://x.org/a.", "see <a https://x.org/a>https://x.org/a</a>.");
  checkInline("![alt](https://x.org/p.png)", "<img https://x.org/p.png alt>");
  checkInline("[not a link] (x)", "[not a link] (x)");
});

test("blocks", () => {
  check("# One\n\ntext\nmore\n\n---\n> said\n> so", "<h1>One</h1><p>text\nmore</p><hr><q><p>said\nso</p></q>");
  check("```py\nx = [1](2)\n```\nafter", "<pre py>x = [1](2)</pre><p>after</p>");
  check("```\nstill coming", "<pre >still coming</pre>");
  check("3. a\n4. b\n   - c\n\n   d\n\nend", "<ol 3><li><p>a</p></li><li><p>b</p><ul><li><p>c</p></li></l><p>d</p></li></l><p>end</p>");
  check("- a\n- b\n\n- c", "<ul><li><p>a</p></li><li><p>b</p></li><li><p>c</p></li></l>");
  check("| a | b |\n|---|:-:|\n| 1 | **2** |\n| 3 |", "<table>a|b/1|<b>2</b>/3|</table>");
});

test("HTML stays text", () => {
  check("<img src=x onerror=alert(1)>", "<p><img src=x onerror=alert(1)></p>");
});

test("only http and https are followed, only raster images that came along are shown", () => {
  expect(safeHref("https://x.org/a?b#c")).toBe("https://x.org/a?b#c");
  for (const bad of ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "/relative", "//host/x", "vbscript:x", "file:///etc/passwd"]) expect(safeHref(bad)).toBeNull();
  expect(isInlineImage("data:image/png;base64,iVBORw0KGgo=")).toBe(true);
  for (const bad of ["data:image/svg+xml;base64,PHN2Zz4=", "https://x.org/p.png", "data:text/html;base64,AAAA"]) expect(isInlineImage(bad)).toBe(false);
});

test("hostile texts take no longer than their length allows", () => {
  const started = performance.now();
  for (const seed of ["*a ", "[", "`", "![](", "**_", "> ", "- ", "[a](", "<", "_a*b "]) parseMarkdown(seed.repeat(6_000));
  for (const seed of ["> ", "- ", "  "]) parseMarkdown(Array.from({ length: 2_000 }, (_, n) => seed.repeat(n % 200) + "x").join("\n"));
  // A quadratic pass over these takes minutes; the bound only tells the two apart.
  expect(performance.now() - started).toBeLessThan(10_000);
});
