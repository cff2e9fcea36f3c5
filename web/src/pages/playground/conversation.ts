/** What the playground holds: columns with their messages and settings, and how each change is made. */

export const ROLES = ["user", "assistant", "system", "developer", "tool"] as const;
export type Role = (typeof ROLES)[number];

export interface Message {
  id: string;
  role: Role;
  content: string;
  /** The content is JSON, such as a list of parts with pictures, and is sent as such. */
  json?: boolean;
  /** What an assistant asked to be called, as it came. */
  tool_calls?: unknown[];
  /** Which call a tool's message answers. */
  tool_call_id?: string;
}

/** Left empty, a parameter is not sent. */
export interface Parameters {
  temperature: number | "";
  top_p: number | "";
  max_tokens: number | "";
  seed: number | "";
  presence_penalty: number | "";
  frequency_penalty: number | "";
  /** One a line. */
  stop: string;
}

export interface Column {
  id: string;
  model: string | null;
  system: string;
  messages: Message[];
  parameters: Parameters;
  /** A JSON list, as text. */
  tools: string;
  /** A JSON schema, as text. */
  schema: string;
  logprobs: boolean;
}

export interface Conversation {
  columns: Column[];
  values: Record<string, string>;
}

/** Side by side, more than this cannot be read. */
export const MAX_COLUMNS = 8;
export const MAX_MESSAGES = 200;

export const PARAMETERS: Parameters = { temperature: "", top_p: "", max_tokens: 256, seed: "", presence_penalty: "", frequency_penalty: "", stop: "" };

/** `crypto.randomUUID` is missing where the page came over plain HTTP from another host. */
export function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(3)), (part) => part.toString(36)).join("");
}

export function newMessage(role: Role, content = ""): Message {
  return { id: newId(), role, content };
}

export function newColumn(model: string | null = null): Column {
  return { id: newId(), model, system: "", messages: [newMessage("user")], parameters: PARAMETERS, tools: "", schema: "", logprobs: false };
}

export function newConversation(): Conversation {
  return { columns: [newColumn()], values: {} };
}

/** Whether nothing was written yet that would be a pity to lose. */
export function isPristine({ columns }: Conversation): boolean {
  const [column] = columns;
  return columns.length === 1 && column !== undefined && column.system === "" && column.messages.every((message) => message.content === "");
}

export type Change =
  | { kind: "edit"; column: string; to: Partial<Omit<Column, "id">> }
  | { kind: "message"; column: string; message: string; to: Partial<Omit<Message, "id">> }
  /** What is said next, in place of an empty message at the end. */
  | { kind: "append"; column: string; messages: Message[] }
  | { kind: "drop"; column: string; message: string }
  | { kind: "add"; model: string | null }
  | { kind: "duplicate"; column: string }
  | { kind: "remove"; column: string }
  | { kind: "value"; name: string; value: string }
  | { kind: "load"; column: Column }
  | { kind: "reset"; model: string | null };

export function change(state: Conversation, action: Change): Conversation {
  switch (action.kind) {
    case "edit":
      return withColumn(state, action.column, (column) => ({ ...column, ...action.to }));
    case "message":
      return withMessages(state, action.column, (messages) => messages.map((message) => (message.id === action.message ? { ...message, ...action.to } : message)));
    case "append":
      return withMessages(state, action.column, (messages) => [...withoutEmptyEnd(messages), ...action.messages].slice(0, MAX_MESSAGES));
    case "drop":
      return withMessages(state, action.column, (messages) => messages.filter((message) => message.id !== action.message));
    case "add":
      return full(state) ? state : { ...state, columns: [...state.columns, newColumn(action.model)] };
    case "duplicate":
      return full(state) ? state : { ...state, columns: state.columns.flatMap((column) => (column.id === action.column ? [column, copyOf(column)] : [column])) };
    case "remove":
      return state.columns.length === 1 ? state : { ...state, columns: state.columns.filter((column) => column.id !== action.column) };
    case "value":
      return { ...state, values: { ...state.values, [action.name]: action.value } };
    case "load":
      // What was being written stays beside it; without room the last column goes.
      return { ...state, columns: isPristine(state) ? [action.column] : [action.column, ...state.columns].slice(0, MAX_COLUMNS) };
    case "reset":
      return { columns: [newColumn(action.model)], values: {} };
  }
}

/** All but the empty message of the user at the end, where the next one will be written. */
export function withoutEmptyEnd(messages: Message[]): Message[] {
  const last = messages.at(-1);
  return last !== undefined && last.role === "user" && last.content.trim() === "" ? messages.slice(0, -1) : messages;
}

function full(state: Conversation): boolean {
  return state.columns.length >= MAX_COLUMNS;
}

function withColumn(state: Conversation, id: string, edit: (column: Column) => Column): Conversation {
  return { ...state, columns: state.columns.map((column) => (column.id === id ? edit(column) : column)) };
}

function withMessages(state: Conversation, id: string, edit: (messages: Message[]) => Message[]): Conversation {
  return withColumn(state, id, (column) => ({ ...column, messages: edit(column.messages) }));
}

function copyOf(column: Column): Column {
  return { ...column, id: newId(), messages: column.messages.map((message) => ({ ...message, id: newId() })) };
}
