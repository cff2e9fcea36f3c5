/** A job about a dataset within a dialog: how far it is, and what came of it. */

import { Alert, Group, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode } from "react";
import { api, take } from "../../api/client";
import { current, isFinished, type Job } from "../../lib/jobEvents";
import { JobProgress, JobState, useJobEvents } from "../../parts/JobProgress";

/** A job as it goes on, and once it has ended with its result. */
export function useJob(job: Job): { now: Job; ended: Job | undefined } {
  const now = current(job, useJobEvents(job.id, true, ["datasets", "jobs"]));
  const ended = useQuery({
    queryKey: ["jobs", "ended", job.id],
    queryFn: () => take(api.GET("/api/v1/jobs/{id}", { params: { path: { id: job.id } } })),
    enabled: isFinished(now.state),
    staleTime: Infinity,
  });
  return { now, ended: ended.data };
}

interface Props {
  now: Job;
  name: string;
  /** What is said below while it is not finished. */
  doing: string;
  error?: string | null;
  /** What an error means. */
  failed: string;
  children: ReactNode;
}

export function Running({ now, name, doing, error, failed, children }: Props) {
  return (
    <Stack gap="sm">
      <Group gap="xs"><JobState state={now.state} /><Text size="sm" fw={600}>{name}</Text></Group>
      {now.state === "running" && <JobProgress job={now} wide />}
      {now.state === "queued" && <Text size="sm" c="dimmed">It waits for its turn.</Text>}
      {error && <Alert color="red" variant="outline" role="alert" title={failed}><Text size="sm" className="dataset-error">{error}</Text></Alert>}
      {!isFinished(now.state) && <Text size="xs" c="dimmed">{doing}</Text>}
      {children}
    </Stack>
  );
}
