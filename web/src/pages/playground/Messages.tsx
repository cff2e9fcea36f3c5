/** The messages of a column, to be written. */

import { ActionIcon, Button, Group, Select, Stack, Textarea, TextInput, Tooltip } from "@mantine/core";
import { type Dispatch, memo } from "react";
import { type Change, type Column, MAX_MESSAGES, type Message, newMessage, type Role, ROLES } from "./conversation";
import { isObject } from "./request";

interface Props {
  column: Column;
  /** What tells this column from the others to those who do not see it. */
  place: string;
  dispatch: Dispatch<Change>;
}

export const Messages = memo(function Messages({ column, place, dispatch }: Props) {
  const last = column.messages.at(-1);
  const next: Role = last?.role === "user" ? "assistant" : "user";
  return (
    <Stack gap={8}>
      <Textarea
        label="System" aria-label={`System prompt, ${place}`} placeholder="What the model should be" autosize minRows={1} maxRows={12} value={column.system}
        onChange={(event) => dispatch({ kind: "edit", column: column.id, to: { system: event.currentTarget.value } })}
      />
      {column.messages.map((message, index) => (
        <MessageEditor key={message.id} column={column.id} message={message} place={`${index + 1}, ${place}`} dispatch={dispatch} />
      ))}
      <Button
        variant="subtle" size="compact-xs" className="playground-start" disabled={column.messages.length >= MAX_MESSAGES}
        onClick={() => dispatch({ kind: "append", column: column.id, messages: [newMessage(next)] })}
      >
        + Add a message
      </Button>
    </Stack>
  );
});

interface EditorProps {
  column: string;
  message: Message;
  place: string;
  dispatch: Dispatch<Change>;
}

const MessageEditor = memo(function MessageEditor({ column, message, place, dispatch }: EditorProps) {
  const edit = (to: Partial<Message>) => dispatch({ kind: "message", column, message: message.id, to });
  const calls = message.tool_calls ?? [];
  return (
    <div className="playground-message" data-role={message.role}>
      <Group gap={4} justify="space-between" wrap="nowrap">
        <Select
          variant="unstyled" size="xs" w={110} data={[...ROLES]} value={message.role} allowDeselect={false} aria-label={`Role of message ${place}`}
          classNames={{ input: "playground-role" }} onChange={(role) => edit({ role: role as Role })}
        />
        <Tooltip label="Remove the message">
          <ActionIcon variant="subtle" color="gray" size="sm" aria-label={`Remove message ${place}`} onClick={() => dispatch({ kind: "drop", column, message: message.id })}>✕</ActionIcon>
        </Tooltip>
      </Group>
      {message.role === "tool" && (
        <TextInput
          placeholder="id of the call it answers" aria-label={`Call answered by message ${place}`} mb={4} value={message.tool_call_id ?? ""}
          onChange={(event) => edit({ tool_call_id: event.currentTarget.value })}
        />
      )}
      <Textarea
        aria-label={`${message.role.charAt(0).toUpperCase()}${message.role.slice(1)} message ${place}`} placeholder={message.json ? "JSON" : "Text, with {{variables}}"}
        autosize minRows={2} maxRows={16} value={message.content} onChange={(event) => edit({ content: event.currentTarget.value })}
        classNames={message.json ? { input: "mono" } : undefined}
      />
      {calls.length > 0 && <ul className="playground-calls" aria-label="Calls">{calls.map((call, index) => <li key={index} className="mono">{callText(call)}</li>)}</ul>}
    </div>
  );
});

function callText(call: unknown): string {
  const told = isObject(call) && isObject(call.function) ? call.function : null;
  return told === null ? JSON.stringify(call) : `${String(told.name)}(${String(told.arguments)})`;
}
