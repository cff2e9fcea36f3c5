/** Messages as a chat: who said what, tools that were called, images that came along. A long history stays folded. */

import { Alert, Badge, Button, Text } from "@mantine/core";
import { useState } from "react";
import type { ChatMessage, ChatPart } from "../lib/chat";
import { JsonTree } from "./JsonTree";
import { Markdown, SafeImage } from "./Markdown";
import "./chat.css";

/** The last messages that are always in sight; one fold more is not worth its button. */
const TAIL = 4;
const LONG_TEXT = 3_000;

const COLORS: Record<string, string> = { system: "gray", developer: "gray", user: "blue", assistant: "teal", model: "teal", tool: "orange" };

export function Chat({ messages }: { messages: readonly ChatMessage[] }) {
  const [whole, setWhole] = useState(false);
  const folded = whole || messages.length <= TAIL + 2 ? 0 : messages.length - TAIL - 1;
  // The first message is most often the system's, which explains all others.
  const [first, rest] = folded === 0 ? [messages, []] : [messages.slice(0, 1), messages.slice(1 + folded)];
  return (
    <div className="chat">
      {first.map((message, at) => <Message key={at} message={message} />)}
      {folded > 0 && <Button variant="default" size="compact-xs" onClick={() => setWhole(true)}>{folded} earlier messages</Button>}
      {rest.map((message, at) => <Message key={1 + folded + at} message={message} />)}
    </div>
  );
}

function Message({ message }: { message: ChatMessage }) {
  return (
    <div className={`chat-message chat-${message.role}`}>
      <Badge color={COLORS[message.role] ?? "gray"} variant="default" mb={4}>{message.role}</Badge>
      {message.parts.length === 0 && <Text size="sm" c="dimmed">Nothing was said.</Text>}
      {message.parts.map((part, at) => <Part key={at} part={part} role={message.role} />)}
    </div>
  );
}

function Part({ part, role }: { part: ChatPart; role: string }) {
  switch (part.kind) {
    case "text":
      return <LongText text={part.text} rendered={role === "assistant" || role === "model"} />;
    case "reasoning":
      return <details className="chat-reasoning"><summary>Reasoning</summary><LongText text={part.text} rendered={false} /></details>;
    case "image":
      return <SafeImage src={part.src} alt="Image in the message" />;
    case "call":
      return <Tool title={`calls ${part.name}`} id={part.id} value={part.input} />;
    case "result":
      return typeof part.output === "string" ? <LongText text={part.output} rendered={false} /> : <Tool title="result" id={part.id} value={part.output} />;
    case "other":
      return <JsonTree value={part.value} label="part of a message" />;
  }
}

function Tool({ title, id, value }: { title: string; id: string | null; value: unknown }) {
  return (
    <div className="chat-tool">
      <Text size="xs" fw={600} mb={2}>{title}{id !== null && <Text span size="xs" c="dimmed" className="mono"> {id}</Text>}</Text>
      <JsonTree value={value} label={title} />
    </div>
  );
}

function LongText({ text, rendered }: { text: string; rendered: boolean }) {
  const [whole, setWhole] = useState(false);
  const shown = whole || text.length <= LONG_TEXT * 1.2 ? text : text.slice(0, LONG_TEXT);
  return (
    <>
      {rendered ? <Markdown text={shown} /> : <Text size="sm" className="as-written">{shown}</Text>}
      {shown.length < text.length && <Button variant="default" size="compact-xs" mt={4} onClick={() => setWhole(true)}>Show all {text.length.toLocaleString("en-US")} characters</Button>}
    </>
  );
}

/** A payload too large for a row of which only the beginning is here. */
export function Cut({ what }: { what: string }) {
  return <Alert color="gray" py={4} px="xs" my={4}><Text size="xs">Only the beginning of the {what} is shown here.</Text></Alert>;
}
