/** One column: a model, what it is asked, and its answer. */

import { ActionIcon, Button, Group, Select, Tooltip } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { type Dispatch, memo } from "react";
import { useNavigate } from "react-router";
import { useSession } from "../../signin/session";
import type { Answer } from "./answer";
import { AnswerView } from "./AnswerView";
import type { Change, Column } from "./conversation";
import { Messages } from "./Messages";
import { promptOf } from "./request";
import { Settings } from "./Settings";
import { isRunning } from "./useRuns";

/** More options than this are found by typing. */
const MAX_OPTIONS = 200;

interface Props {
  column: Column;
  number: number;
  answer: Answer | undefined;
  models: readonly string[];
  dispatch: Dispatch<Change>;
  run: (column: Column) => void;
  stop: (column: string) => void;
  adopt: (column: Column) => void;
  remove: (column: string) => void;
  /** Whether another column may stand beside this one, and whether this one may go. */
  room: boolean;
  alone: boolean;
}

export const ColumnView = memo(function ColumnView({ column, number, answer, models, dispatch, run, stop, adopt, remove, room, alone }: Props) {
  const place = `column ${number}`;
  // A call that was loaded may name a model that is not here; the server says so when it is run.
  const known = column.model === null || models.includes(column.model) ? models : [column.model, ...models];
  return (
    <section className="playground-column" aria-label={`Column ${number}`}>
      <Group gap={4} wrap="nowrap">
        <Select
          className="playground-model" aria-label={`Model, ${place}`} placeholder="Choose a model" data={known} value={column.model} searchable allowDeselect={false} limit={MAX_OPTIONS}
          nothingFoundMessage="No such model" onChange={(model) => dispatch({ kind: "edit", column: column.id, to: { model } })}
        />
        {isRunning(answer)
          ? <Button variant="default" onClick={() => stop(column.id)} aria-label={`Stop ${place}`}>Stop</Button>
          : <Button variant="light" onClick={() => run(column)} aria-label={`Run ${place}`}>Run</Button>}
        <SaveAsPrompt column={column} place={place} />
        <Tooltip label="Duplicate the column">
          <ActionIcon variant="subtle" color="gray" disabled={!room} aria-label={`Duplicate ${place}`} onClick={() => dispatch({ kind: "duplicate", column: column.id })}><TwoSheets /></ActionIcon>
        </Tooltip>
        <Tooltip label="Remove the column">
          <ActionIcon variant="subtle" color="gray" disabled={alone} aria-label={`Remove ${place}`} onClick={() => remove(column.id)}>✕</ActionIcon>
        </Tooltip>
      </Group>
      <Messages column={column} place={place} dispatch={dispatch} />
      <Settings column={column} place={place} dispatch={dispatch} />
      {answer !== undefined && <AnswerView answer={answer} place={place} adopt={() => adopt(column)} />}
    </section>
  );
});

/** Opens the editor of prompts with what the column says. */
function SaveAsPrompt({ column, place }: { column: Column; place: string }) {
  const { may } = useSession();
  const navigate = useNavigate();
  if (!may("write")) return null;

  function save() {
    try {
      void navigate("/prompts?new", { state: { content: promptOf(column) } });
    } catch (problem) {
      notifications.show({ color: "yellow", message: problem instanceof Error ? problem.message : String(problem) });
    }
  }

  return (
    <Tooltip label="Save as a prompt">
      <ActionIcon variant="subtle" color="gray" aria-label={`Save ${place} as a prompt`} onClick={save}><Page /></ActionIcon>
    </Tooltip>
  );
}

/** A page with lines, drawn. */
function Page() {
  return (
    <svg width="14" height="14" viewBox="0 0 14 14" fill="none" stroke="currentColor" strokeWidth="1.3" aria-hidden>
      <path d="M3 1.5h5.5L11 4v8.5H3zM5 6h4M5 8.5h4" />
    </svg>
  );
}

/** Drawn, since few fonts have a sign for it. */
function TwoSheets() {
  return (
    <svg width="14" height="14" viewBox="0 0 14 14" fill="none" stroke="currentColor" strokeWidth="1.3" aria-hidden>
      <rect x="1.5" y="1.5" width="7.5" height="7.5" rx="1.2" />
      <path d="M11.3 5v6.3a1.2 1.2 0 0 1-1.2 1.2H5" />
    </svg>
  );
}
