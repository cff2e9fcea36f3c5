/** The conversation outlives a reload of the page, not the tab. */

import { type Answer, newAnswer } from "./answer";
import { type Conversation, newColumn, newConversation, newMessage, PARAMETERS } from "./conversation";
import { isObject } from "./request";

const NAME = "quarterdeck.playground";

export interface Kept {
  conversation: Conversation;
  answers: Record<string, Answer>;
}

/** What `who` left behind; what somebody else wrote in this tab is not theirs to see. */
export function load(who: string, storage: Storage = sessionStorage): Kept {
  try {
    return keptOf(JSON.parse(storage.getItem(NAME) ?? "null"), who);
  } catch {
    return { conversation: newConversation(), answers: {} };
  }
}

/** An older console may have written it: what is missing gets its default, and what is no conversation is forgotten. */
function keptOf(value: unknown, who: string): Kept {
  const { conversation, answers } = value as Kept;
  if ((value as { who?: unknown }).who !== who) throw new Error("it is somebody else's");
  const columns = conversation.columns.map((column) => ({
    ...newColumn(), ...column,
    parameters: { ...PARAMETERS, ...column.parameters },
    messages: column.messages.map((message) => ({ ...newMessage("user"), ...message })),
  }));
  if (columns.length === 0) throw new Error("there is always a column");
  const whole = Object.entries(isObject(answers) ? answers : {}).map(([id, answer]) => [id, settled({ ...newAnswer(), ...answer })]);
  return { conversation: { columns, values: { ...conversation.values } }, answers: Object.fromEntries(whole) };
}

/** Nobody goes on reading the stream of a page that is gone. */
function settled(answer: Answer): Answer {
  return answer.status === "waiting" || answer.status === "streaming" ? { ...answer, status: "stopped" } : answer;
}

/** Without room, the alternatives of tokens go first, then the answers; what was written by hand goes last. */
export function save(who: string, { conversation, answers }: Kept, storage: Storage = sessionStorage): void {
  const plain = Object.fromEntries(Object.entries(answers).map(([id, answer]) => [id, { ...answer, tokens: [] }]));
  for (const kept of [answers, plain, {}]) {
    try {
      return storage.setItem(NAME, JSON.stringify({ who, conversation, answers: kept }));
    } catch {
      // The storage is full, or switched off.
    }
  }
}
