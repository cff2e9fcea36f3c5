/** How far a job is, as it happens. */

import { Badge, Group, Progress, Text } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { ApiError } from "../api/client";
import { follow } from "../api/events";
import { amount, current, isFinished, type Job, type JobEvent, parseEvent, share, withEvent } from "../lib/jobEvents";

const COLOURS: Record<string, string> = { queued: "gray", running: "cyan", succeeded: "teal", failed: "red", cancelled: "yellow" };
/** Before a feed that broke is begun again. */
const PAUSE_MS = 2_000;

/** A job's events while `live`. When it finishes, `after` names the queries whose answers it changed. */
export function useJobEvents(id: string | null, live: boolean, after: readonly string[] = ["jobs"]): readonly JobEvent[] {
  const queries = useQueryClient();
  const [events, setEvents] = useState<readonly JobEvent[]>([]);
  const changed = after.join(" ");
  useEffect(() => {
    setEvents([]);
    if (id === null || !live) return;
    const stop = new AbortController();
    void listen(id, stop.signal, (event) => setEvents((old) => withEvent(old, event))).then(() => {
      if (!stop.signal.aborted) for (const key of changed.split(" ")) void queries.invalidateQueries({ queryKey: [key] });
    });
    return () => stop.abort();
  }, [id, live, changed, queries]);
  return events;
}

/** Until the job is finished, the server no longer knows it, or the reader went away. */
async function listen(id: string, signal: AbortSignal, tell: (event: JobEvent) => void): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const { data } of follow(`/api/v1/jobs/${id}/events`, signal)) {
        const event = parseEvent(data);
        if (event === null) continue;
        tell(event);
        if (event.event === "state" && isFinished(event.state)) return;
      }
    } catch (error) {
      if (signal.aborted || (error instanceof ApiError && error.status < 500)) return;
    }
    await new Promise((next) => setTimeout(next, PAUSE_MS));
  }
}

export function JobState({ state }: { state: string }) {
  return <Badge variant="default" miw="max-content" styles={{ label: { overflow: "visible" } }} leftSection={<Dot colour={COLOURS[state] ?? "gray"} />}>{state}</Badge>;
}

function Dot({ colour }: { colour: string }) {
  return <Text component="span" c={`${colour}.6`} fz={10} lh={1} aria-hidden>●</Text>;
}

/** A bar and words for a job as it stands; `wide` where nothing stands beside it. */
export function JobProgress({ job, wide = false }: { job: Job; wide?: boolean }) {
  const { message } = job.progress;
  const part = share(job.progress);
  if (job.state !== "running") return <Text size="sm" className="clip" title={job.error ?? message} maw={420}>{job.error ?? (message || "–")}</Text>;
  return (
    <Group gap="xs" wrap="nowrap">
      <Progress.Root w={wide ? 220 : 110} miw={110} size="sm">
        <Progress.Section value={part === null ? 100 : part * 100} animated={part === null} aria-label={`Progress of ${job.kind}`} />
      </Progress.Root>
      <Text size="xs" className="clip" maw={wide ? undefined : 230} title={message}>{part === null ? "" : `${Math.floor(part * 100)} % · ${amount(job.kind, job.progress)} · `}{message}{job.cancel_requested ? " · cancelling" : ""}</Text>
    </Group>
  );
}

/** The same for a job that may be running, following it where it is. */
export function LiveJob({ job, live, after }: { job: Job; live: boolean; after?: readonly string[] }) {
  const events = useJobEvents(job.id, live && !isFinished(job.state), after);
  const now = current(job, events);
  return <Group gap="xs" wrap="nowrap"><JobState state={now.state} /><JobProgress job={now} /></Group>;
}
