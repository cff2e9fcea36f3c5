import { expect, test } from "vitest";
import { amount, current, EVENTS_MAX, isFinished, isWorthFollowing, type Job, type JobEvent, parseEvent, share, withEvent } from "./jobEvents";

const job = { id: "j", kind: "model.pull", state: "queued", progress: { done: 0, total: null, message: "" } } as Job;
const progress = (seq: number, done: number): JobEvent => ({ seq, at: "2026-01-01T00:00:00Z", event: "progress", done, total: 10, message: "downloading" });

test("the latest events say where a job stands", () => {
  const running: JobEvent = { seq: 1, at: "2026-01-01T00:00:00Z", event: "state", state: "running", message: "" };
  const now = current(job, [running, progress(2, 3), progress(3, 7)]);
  expect(now.state).toBe("running");
  expect(share(now.progress)).toBe(0.7);
});

test("a finished job stays as it is while its feed tells how it came to that", () => {
  const failed = { ...job, state: "failed", error: "no space" } as Job;
  expect(current(failed, [{ seq: 1, at: "2026-01-01T00:00:00Z", event: "state", state: "queued", message: "" }, progress(2, 3)])).toBe(failed);
});

test("what is done is told in the unit of the job", () => {
  expect([amount("model.pull", { done: 1024, total: 2048 }), amount("other", { done: 3, total: 12 }), amount("other", { done: 3, total: null })]).toEqual(["1.0 KiB of 2.0 KiB", "3 of 12", "3"]);
});

test("events told twice count once, and only the last ones are kept", () => {
  let events: readonly JobEvent[] = [];
  for (const seq of [1, 2, 1, 2, 3]) events = withEvent(events, progress(seq, seq));
  expect(events.map((event) => event.seq)).toEqual([1, 2, 3]);
  for (let seq = 4; seq < EVENTS_MAX + 10; seq += 1) events = withEvent(events, progress(seq, 1));
  expect(events).toHaveLength(EVENTS_MAX);
  expect(events[0]?.seq).toBe(10);
});

test("a share is known only with a total", () => {
  expect(share({ done: 5, total: null })).toBeNull();
  expect(share({ done: 5, total: 0 })).toBeNull();
  expect(share({ done: 12, total: 10 })).toBe(1);
});

test("what is no event is none", () => {
  expect(parseEvent("{")).toBeNull();
  expect(parseEvent('{"error":{"message":"gone"}}')).toBeNull();
  expect(parseEvent(JSON.stringify(progress(4, 2)))).toEqual(progress(4, 2));
  expect(isFinished("running")).toBe(false);
  expect(isFinished("cancelled")).toBe(true);
  const job = (kind: string, state: string) => ({ kind, state }) as Job;
  expect(isWorthFollowing(job("model.pull", "queued"))).toBe(true);
  expect(isWorthFollowing(job("model.pull", "failed"))).toBe(false);
  expect(isWorthFollowing(job("alert.evaluate", "queued")), "it comes again for ever").toBe(false);
});
