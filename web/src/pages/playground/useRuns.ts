/** Streams the columns' answers, all at once. */

import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { eventsOf, openFeed } from "../../api/events";
import { type Answer, fold, newAnswer } from "./answer";
import type { Column } from "./conversation";
import { requestOf } from "./request";

const PATH = "/v1/chat/completions";
/** A page that is drawn for every token falls behind the fastest models. */
const DRAW_EVERY_MS = 40;

export interface Runs {
  answers: Record<string, Answer>;
  /** How many columns are being answered. */
  running: number;
  run: (columns: readonly Column[], values: Readonly<Record<string, string>>) => void;
  /** Without a column, all of them. */
  stop: (column?: string) => void;
  /** Forgets the answer of a column. */
  forget: (column: string) => void;
}

export function useRuns(kept: Record<string, Answer>): Runs {
  const [answers, setAnswers] = useState(kept);
  const running = useRef(new Map<string, AbortController>());

  const stop = useCallback((column?: string) => {
    const asked = column === undefined ? [...running.current.values()] : [running.current.get(column)];
    asked.forEach((controller) => controller?.abort());
  }, []);

  const forget = useCallback((column: string) => {
    running.current.get(column)?.abort();
    running.current.delete(column);
    setAnswers(({ [column]: _, ...others }) => others);
  }, []);

  const run = useCallback((columns: readonly Column[], values: Readonly<Record<string, string>>) => {
    for (const column of columns) {
      running.current.get(column.id)?.abort();
      const controller = new AbortController();
      running.current.set(column.id, controller);
      // A run that was replaced or forgotten shows nothing more.
      const show = (answer: Answer) => {
        if (running.current.get(column.id) === controller) setAnswers((known) => ({ ...known, [column.id]: answer }));
      };
      void stream(column, values, controller.signal, show).finally(() => {
        if (running.current.get(column.id) === controller) running.current.delete(column.id);
      });
    }
  }, []);

  useEffect(() => () => stop(), [stop]);
  const count = Object.values(answers).filter(isRunning).length;
  return useMemo(() => ({ answers, running: count, run, stop, forget }), [answers, count, run, stop, forget]);
}

export function isRunning(answer: Answer | undefined): boolean {
  return answer?.status === "waiting" || answer?.status === "streaming";
}

/** Asks, and shows the answer as it grows. */
async function stream(column: Column, values: Readonly<Record<string, string>>, signal: AbortSignal, show: (answer: Answer) => void): Promise<void> {
  const began = performance.now();
  let answer = newAnswer();
  let drawing: ReturnType<typeof setTimeout> | undefined;
  show(answer);
  try {
    const response = await openFeed(PATH, signal, requestOf(column, values));
    answer = { ...answer, traceId: response.headers.get("x-quarterdeck-trace-id") };
    for await (const event of eventsOf(response.body)) {
      answer = fold(answer, event.data, performance.now() - began);
      if (answer.status === "failed") break;
      drawing ??= setTimeout(() => {
        drawing = undefined;
        show(answer);
      }, DRAW_EVERY_MS);
    }
    answer = ended(answer);
  } catch (error) {
    answer = signal.aborted ? { ...answer, status: "stopped" } : { ...answer, status: "failed", error: error instanceof Error ? error.message : String(error) };
  }
  clearTimeout(drawing);
  show(answer);
}

/** Every answer says why it ended; one that does not was cut off on its way. */
function ended(answer: Answer): Answer {
  if (answer.status === "failed") return answer;
  if (answer.finishReason === null) return { ...answer, status: "failed", error: "The answer ended before it was complete." };
  return { ...answer, status: "done" };
}
