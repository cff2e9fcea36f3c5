/** The conversation of this tab, its answers, and what can be done with them. */

import { useCallback, useEffect, useMemo, useReducer, useRef, useState, type Dispatch } from "react";
import { useSession } from "../../signin/session";
import { type Change, change, type Column, type Conversation, newMessage } from "./conversation";
import { load, save } from "./kept";
import { type Runs, useRuns } from "./useRuns";

/** Typing is not written down letter by letter. */
const SAVE_AFTER_MS = 300;

export interface Playground extends Runs {
  conversation: Conversation;
  dispatch: Dispatch<Change>;
  /** Makes the answer a part of the column's conversation. */
  adopt: (column: Column) => void;
}

export function usePlayground(): Playground {
  const { signedIn } = useSession();
  const who = `${signedIn.project}/${signedIn.account ?? signedIn.key_id ?? ""}`;
  const [kept] = useState(() => load(who));
  const [conversation, dispatch] = useReducer(change, kept.conversation);
  const runs = useRuns(kept.answers);
  const { answers, forget } = runs;
  useSaved(who, conversation, answers);
  const adopt = useCallback((column: Column) => {
    const answer = answers[column.id];
    if (answer === undefined) return;
    const said = { ...newMessage("assistant", answer.text || answer.refusal), ...(answer.toolCalls.length > 0 ? { tool_calls: answer.toolCalls } : {}) };
    // A call wants a result before the user speaks again.
    const next = answer.toolCalls.length === 0 ? [newMessage("user")] : answer.toolCalls.map((call) => ({ ...newMessage("tool"), tool_call_id: call.id }));
    dispatch({ kind: "append", column: column.id, messages: [said, ...next] });
    forget(column.id);
  }, [answers, forget]);
  return useMemo(() => ({ ...runs, conversation, dispatch, adopt }), [runs, conversation, adopt]);
}

/** Written a moment after the last change, and at once when the page goes. */
function useSaved(who: string, conversation: Conversation, answers: Runs["answers"]): void {
  const latest = useRef({ conversation, answers });
  latest.current = { conversation, answers };
  useEffect(() => {
    const timer = setTimeout(() => save(who, latest.current), SAVE_AFTER_MS);
    return () => clearTimeout(timer);
  }, [who, conversation, answers]);
  useEffect(() => {
    const write = () => save(who, latest.current);
    window.addEventListener("pagehide", write);
    return () => {
      window.removeEventListener("pagehide", write);
      write();
    };
  }, [who]);
}
