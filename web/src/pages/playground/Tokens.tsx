/** An answer token by token, coloured by how sure the model was, with what it might have said instead. */

import { Tooltip } from "@mantine/core";
import { type KeyboardEvent, memo, type SyntheticEvent, useId, useRef, useState } from "react";
import { percent } from "../../lib/format";
import { stepOf, type Token, visible } from "./answer";

/** Elements beyond this make the page slow; the text has the rest. */
const MAX_SHOWN = 4000;
const STEPS = ["< 10 %", "< 30 %", "< 60 %", "< 90 %", "≥ 90 %"];

export function Tokens({ tokens, place }: { tokens: Token[]; place: string }) {
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState(0);
  const [shown, setShown] = useState<HTMLElement | null>(null);
  const token = tokens[at];

  /** One listener for all tokens: each carries its index. */
  function enter(event: SyntheticEvent) {
    const element = (event.target as HTMLElement).closest<HTMLElement>("[data-at]");
    if (element === null) return;
    setAt(Number(element.dataset.at));
    setShown(element);
  }

  function press(event: KeyboardEvent) {
    if (event.key === "Escape") return setShown(null);
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const last = Math.min(tokens.length, MAX_SHOWN) - 1;
    list.current?.querySelector<HTMLElement>(`[data-at="${Math.max(0, Math.min(last, at + step))}"]`)?.focus();
  }

  return (
    <>
      <div className="playground-legend" aria-hidden>{STEPS.map((label, step) => <span key={label} className={`token token-${step}`}>{label}</span>)}</div>
      <div
        ref={list} className="playground-tokens" role="listbox" aria-label={`Tokens and how likely each was, ${place}`} aria-orientation="horizontal"
        onMouseOver={enter} onFocus={enter} onMouseLeave={() => setShown(null)} onBlur={() => setShown(null)} onKeyDown={press}
      >
        {tokens.slice(0, MAX_SHOWN).map((each, index) => <TokenSpan key={index} token={each} index={index} current={index === at} describedBy={index === at && shown !== null ? id : undefined} />)}
      </div>
      {tokens.length > MAX_SHOWN && <div className="playground-hint">The first {MAX_SHOWN} tokens are shown.</div>}
      {shown?.isConnected && token !== undefined && (
        // A tooltip that was opened for one element does not follow to another.
        <Tooltip key={at} target={shown} opened position="bottom-start" withArrow={false} transitionProps={{ duration: 0 }} label={<Alternatives id={id} token={token} />} />
      )}
    </>
  );
}

interface SpanProps {
  token: Token;
  index: number;
  current: boolean;
  describedBy: string | undefined;
}

const TokenSpan = memo(function TokenSpan({ token, index, current, describedBy }: SpanProps) {
  const broken = token.token.includes("\n");
  return (
    <>
      <span
        className={`token token-${stepOf(token.logprob)}`} role="option" aria-selected={current} aria-describedby={describedBy} tabIndex={current ? 0 : -1} data-at={index}
        aria-label={`${visible(token.token)} ${percent(Math.exp(token.logprob))}`}
      >
        {broken || token.token === "" ? visible(token.token).replaceAll("␣", " ") : token.token}
      </span>
      {broken && <br />}
    </>
  );
});

function Alternatives({ id, token }: { id: string; token: Token }) {
  const others = token.alternatives.some((other) => other.token === token.token) ? token.alternatives : [token, ...token.alternatives];
  return (
    <table id={id} className="playground-alternatives">
      <tbody>
        {others.map((other, index) => (
          <tr key={index} data-chosen={other.token === token.token || undefined}>
            <td className="mono">{visible(other.token)}</td>
            <td className="num">{percent(Math.exp(other.logprob))}</td>
            <td className="num">{other.logprob.toFixed(3)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
