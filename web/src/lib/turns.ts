/** A conversation as turns: each call with what was new in it. */

import type { Schemas } from "../api/client";
import { type ChatMessage, messagesOf, newMessages } from "./chat";

type Span = Schemas["Span"];

export interface Turn {
  span: Span;
  /** What was asked, without what had been said before; null when the input is no chat. */
  asked: ChatMessage[] | null;
  /** What was answered; null when the output is no chat, or when there is none. */
  answered: ChatMessage[] | null;
}

/** A payload of which only the beginning came is a text, and shown as one. */
export function turnsOf(spans: readonly Span[]): Turn[] {
  let before: ChatMessage[] = [];
  return spans.map((span) => {
    const input = messagesOf(span.input, "user");
    const answered = messagesOf(span.output, "assistant");
    const asked = input === null ? null : newMessages(before, input);
    if (input !== null && !span.input_cut) before = [...input, ...(answered ?? [])];
    return { span, asked, answered };
  });
}
