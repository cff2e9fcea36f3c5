/** Server-sent events over fetch, for POST as for GET: EventSource can send neither a body nor a header. */

import { changeHeaders, errorOf } from "./client";

export interface ServerEvent {
  event: string;
  data: string;
}

/** The events of a response body, as they come. Comments and keep-alives are left out. */
export async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (rest + value.replaceAll("\r\n", "\n")).split("\n\n");
      rest = parts.pop() ?? "";
      for (const part of parts) {
        const event = eventOf(part);
        if (event !== null) yield event;
      }
    }
  } finally {
    reader.releaseLock();
  }
}

function eventOf(block: string): ServerEvent | null {
  let event = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) event = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
  }
  return data.length === 0 ? null : { event, data: data.join("\n") };
}

/** Opens a feed of the server: the response whose body `eventsOf` reads, for whoever needs its headers too. */
export async function openFeed(path: string, signal: AbortSignal, body?: unknown): Promise<Response & { body: ReadableStream<Uint8Array> }> {
  const post = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const headers = { accept: "text/event-stream", ...(body === undefined ? {} : { "content-type": "application/json", ...changeHeaders() }) };
  const response = await fetch(path, { credentials: "same-origin", signal, headers, ...post });
  if (!response.ok || response.body === null) throw errorOf(response.status, await response.json().catch(() => null));
  return response as Response & { body: ReadableStream<Uint8Array> };
}

/** Follows a feed of the server until `signal` aborts. */
export async function* follow(path: string, signal: AbortSignal, body?: unknown): AsyncGenerator<ServerEvent> {
  yield* eventsOf((await openFeed(path, signal, body)).body);
}
