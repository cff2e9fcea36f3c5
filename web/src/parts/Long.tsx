/** A text of which much is shown only when asked for. */

import { Button } from "@mantine/core";
import { useState } from "react";
import { count } from "../lib/format";
import { cut, type DiffPart } from "../lib/wordDiff";
import "./long.css";

/** So much of a text is shown before one asks for all of it. */
const SHORT_CHARS = 300;

export function Long({ parts, short = SHORT_CHARS }: { parts: readonly DiffPart[]; short?: number }) {
  const [all, showAll] = useState(false);
  const length = parts.reduce((sum, part) => sum + part.text.length, 0);
  const shown = all ? parts : cut(parts, short);
  return (
    <div className="item-text">
      {shown.map((part, at) => (part.kind === "same" ? <span key={at}>{part.text}</span> : part.kind === "missing" ? <del key={at}>{part.text}</del> : <ins key={at}>{part.text}</ins>))}
      {length > short && <>{all ? " " : "… "}<Button variant="subtle" size="compact-xs" onClick={() => showAll(!all)} aria-expanded={all}>{all ? "Less" : `All ${count(length)} characters`}</Button></>}
    </div>
  );
}

/** The same of a plain text. */
export const LongText = ({ text, short }: { text: string; short?: number }) => <Long parts={[{ kind: "same", text }]} short={short} />;
