/** Any JSON as a tree that opens and closes. Nothing below a closed branch is rendered, and of long branches only the beginning. */

import { Button } from "@mantine/core";
import { type ReactNode, useState } from "react";
import "./json.css";

/** So many entries of a branch, and so many characters of a text, are shown before somebody asks for more. */
const ENTRIES = 100;
const CHARACTERS = 2_000;
/** Branches with so few entries are open from the beginning, this deep. */
const OPEN_ENTRIES = 20;
const OPEN_DEPTH = 2;

export function JsonTree({ value, label }: { value: unknown; label?: string }) {
  return <div className="json" role="group" aria-label={label ?? "JSON"}><Node name={null} value={value} depth={0} /></div>;
}

function Node({ name, value, depth }: { name: string | null; value: unknown; depth: number }) {
  if (typeof value === "object" && value !== null) return <Branch name={name} value={value} depth={depth} />;
  return <div className="json-row"><Name name={name} />{leaf(value)}</div>;
}

function Branch({ name, value, depth }: { name: string | null; value: object; depth: number }) {
  const entries = Array.isArray(value) ? value.length : Object.keys(value).length;
  const [open, setOpen] = useState(depth < OPEN_DEPTH && entries <= OPEN_ENTRIES);
  const size = Array.isArray(value) ? `[${entries}]` : `{${entries}}`;
  if (entries === 0) return <div className="json-row"><Name name={name} /><span className="json-note">{Array.isArray(value) ? "[ ]" : "{ }"}</span></div>;
  return (
    <div>
      <button type="button" className="json-row json-toggle" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span aria-hidden className="json-arrow">{open ? "▾" : "▸"}</span><Name name={name} /><span className="json-note">{size}</span>
      </button>
      {open && <div className="json-below"><Entries value={value} depth={depth + 1} /></div>}
    </div>
  );
}

function Entries({ value, depth }: { value: object; depth: number }) {
  const [most, setMost] = useState(ENTRIES);
  const all: [string, unknown][] = Object.entries(value);
  return (
    <>
      {all.slice(0, most).map(([name, below]) => <Node key={name} name={name} value={below} depth={depth} />)}
      {all.length > most && <More onClick={() => setMost(most * 10)}>{`${all.length - most} more entries`}</More>}
    </>
  );
}

function Name({ name }: { name: string | null }) {
  return name === null ? null : <span className="json-name">{name}: </span>;
}

function leaf(value: unknown): ReactNode {
  if (typeof value === "string") return <LongText text={value} />;
  if (typeof value === "number" || typeof value === "boolean") return <span className="json-number">{String(value)}</span>;
  return <span className="json-note">{String(value)}</span>;
}

/** A text of which only the beginning is shown at first. */
function LongText({ text }: { text: string }) {
  const [whole, setWhole] = useState(text.length <= CHARACTERS);
  return (
    <>
      <span className="json-text">{whole ? text : text.slice(0, CHARACTERS) + "…"}</span>
      {!whole && <More onClick={() => setWhole(true)}>{`${text.length - CHARACTERS} more characters`}</More>}
    </>
  );
}

function More({ onClick, children }: { onClick: () => void; children: ReactNode }) {
  return <Button variant="subtle" size="compact-xs" onClick={onClick}>{children}</Button>;
}
