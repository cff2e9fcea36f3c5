/** What happened to a job, as the server tells it, and what the latest of it says. */

import type { Schemas } from "../api/client";
import { bytes, count } from "./format";

export type Job = Schemas["Job"];

interface Numbered {
  /** From 1, in order. */
  seq: number;
  at: string;
}

export type JobEvent = Numbered & ({ event: "state"; state: string; message: string } | { event: "progress"; done: number; total?: number | null; message: string });

/** A page holds no more of them: a long job tells of its progress for hours. */
export const EVENTS_MAX = 500;

const FINISHED = ["succeeded", "failed", "cancelled"];

/** Kinds of jobs that come again and never finish: who lists jobs would follow one for ever, on one of the browser's few connections. */
const RECURRING: ReadonlySet<string> = new Set(["alert.evaluate"]);

/** Whether something is to be seen by following this job. */
export function isWorthFollowing(job: Job): boolean {
  return !isFinished(job.state) && !RECURRING.has(job.kind);
}

export function isFinished(state: string): boolean {
  return FINISHED.includes(state);
}

/** Whether answers may still come in to what a job makes. */
export const isGoing = ({ state }: { state: string }): boolean => state === "queued" || state === "running";

/** The events with one more. A feed that was begun again tells the old ones again; those are known already. */
export function withEvent(events: readonly JobEvent[], next: JobEvent): readonly JobEvent[] {
  const last = events[events.length - 1];
  if (last !== undefined && next.seq <= last.seq) return events;
  return [...events, next].slice(-EVENTS_MAX);
}

/** The job as its latest events say. A finished one is what it is: its feed begins with what it was. */
export function current(job: Job, events: readonly JobEvent[]): Job {
  if (isFinished(job.state)) return job;
  return events.reduce((known, event) => (event.event === "state" ? { ...known, state: event.state } : { ...known, progress: { done: event.done, total: event.total, message: event.message } }), job);
}

/** How far it is, from 0 to 1; null where nobody knows. */
export function share({ done, total }: { done: number; total?: number | null }): number | null {
  return total ? Math.min(done / total, 1) : null;
}

/** How much is done, in the unit of the job's kind; of pulls and imports that is bytes. */
export function amount(kind: string, { done, total }: { done: number; total?: number | null }): string {
  const told = kind === "model.pull" || kind === "dataset.import" ? bytes : count;
  return total ? `${told(done)} of ${told(total)}` : told(done);
}

/** The event that a line of a feed tells, or null where it is none. */
export function parseEvent(data: string): JobEvent | null {
  try {
    const event = JSON.parse(data) as JobEvent;
    return typeof event.seq === "number" && (event.event === "state" || event.event === "progress") ? event : null;
  } catch {
    return null;
  }
}
