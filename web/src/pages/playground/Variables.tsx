/** The values that all columns share. */

import { Textarea } from "@mantine/core";
import { type Dispatch, useMemo } from "react";
import type { Change, Conversation } from "./conversation";
import { namesOf } from "./variables";

export function Variables({ conversation, dispatch }: { conversation: Conversation; dispatch: Dispatch<Change> }) {
  const { columns, values } = conversation;
  const names = useMemo(() => namesOf(columns), [columns]);
  if (names.length === 0) return null;
  return (
    <section className="playground-variables" aria-label="Variables">
      {names.map((name) => (
        <Textarea
          key={name} className="playground-variable" label={name} aria-label={`Value of the variable ${name}`} autosize minRows={1} maxRows={6} value={Object.hasOwn(values, name) ? values[name] : ""}
          onChange={(event) => dispatch({ kind: "value", name, value: event.currentTarget.value })}
        />
      ))}
    </section>
  );
}
