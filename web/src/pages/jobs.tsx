/** Jobs: what takes long, watched as it happens and stopped. */

import { Alert, Anchor, Button, Drawer, Group, SegmentedControl, Stack, Table, Text, Title, Tooltip } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useSearchParams } from "react-router";
import { api, take } from "../api/client";
import { ago, duration, time } from "../lib/format";
import { amount, current, isFinished, isWorthFollowing, type Job, type JobEvent } from "../lib/jobEvents";
import { CodeBlock, CopyIcon } from "../parts/Code";
import { JobProgress, JobState, LiveJob, useJobEvents } from "../parts/JobProgress";
import { Empty, Failed, Waiting } from "../parts/states";
import { useListKeys } from "../shell/keys";
import { useSession } from "../signin/session";
import "./jobs.css";

const STATES = ["all", "queued", "running", "succeeded", "failed", "cancelled"];
const COLUMNS = ["Kind", "Of what", "Progress", "Begun", "Took", "Attempts"];
const PAGE = 50;
/** A browser holds six connections to a server over HTTP/1.1; a feed takes one for as long as it lasts. */
const LIVE_MAX = 3;

export default function Jobs() {
  const [params, setParams] = useSearchParams();
  const state = STATES.find((known) => known === params.get("state")) ?? "all";
  const asked = useInfiniteQuery({
    queryKey: ["jobs", "list", state],
    queryFn: ({ pageParam }) => take(api.GET("/api/v1/jobs", { params: { query: { state: state === "all" ? undefined : state, limit: PAGE, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
  const jobs = asked.data?.pages.flatMap((page) => page.data) ?? [];
  const chosen = params.get("job");
  const open = (id: string | null) => setParams((old) => changed(old, "job", id));
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={1}>Jobs</Title>
        <Group>
          <SegmentedControl aria-label="State" data={STATES} value={state} onChange={(value) => setParams((old) => changed(old, "state", value === "all" ? null : value), { replace: true })} />
          <Button variant="default" loading={asked.isRefetching} onClick={() => void asked.refetch()}>Refresh</Button>
        </Group>
      </Group>
      {asked.isPending && <Waiting what="Loading the jobs" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && jobs.length === 0 && (
        <Empty title={state === "all" ? "No jobs yet" : `No job is ${state}`}>What takes long is a job: it survives a crash and a restart of the server, and can be watched and cancelled. Pulling a model is one.</Empty>
      )}
      {jobs.length > 0 && <JobTable jobs={jobs} open={open} />}
      {asked.hasNextPage && <Group justify="center"><Button variant="default" loading={asked.isFetchingNextPage} onClick={() => void asked.fetchNextPage()}>More</Button></Group>}
      <Drawer opened={chosen !== null} onClose={() => open(null)} title="Job" position="right" size="xl" closeButtonProps={{ "aria-label": "Close" }}>
        {chosen !== null && <Details id={chosen} />}
      </Drawer>
    </Stack>
  );
}

function changed(old: URLSearchParams, name: string, value: string | null): URLSearchParams {
  const fresh = new URLSearchParams(old);
  if (value === null) fresh.delete(name);
  else fresh.set(name, value);
  return fresh;
}

function JobTable({ jobs, open }: { jobs: readonly Job[]; open: (id: string) => void }) {
  const [at, setAt] = useState(-1);
  useListKeys(
    (step) => setAt((old) => Math.max(0, Math.min(jobs.length - 1, old + step))),
    () => jobs[at] && open(jobs[at].id),
  );
  const live = new Set(jobs.filter(isWorthFollowing).slice(0, LIVE_MAX).map((job) => job.id));
  return (
    <Table.ScrollContainer minWidth={900}>
      <Table highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            {COLUMNS.map((name) => <Table.Th key={name} scope="col" className={name === "Took" || name === "Attempts" ? "num" : ""}>{name}</Table.Th>)}
            <Table.Td />
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {jobs.map((job, index) => (
            <Table.Tr key={job.id} bg={index === at ? "var(--mantine-color-default-hover)" : undefined}>
              <Table.Td><Anchor component="button" size="sm" onClick={() => open(job.id)}>{job.kind}</Anchor></Table.Td>
              <Table.Td className="clip" maw={260}>{subjectOf(job)}</Table.Td>
              <Table.Td><LiveJob job={job} live={live.has(job.id)} /></Table.Td>
              <Table.Td><Tooltip label={time(job.started ?? job.created)}><span>{ago(job.started ?? job.created)}</span></Tooltip></Table.Td>
              <Table.Td className="num">{tookOf(job)}</Table.Td>
              <Table.Td className="num">{job.attempts}</Table.Td>
              <Table.Td ta="right"><Cancel job={job} /></Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

/** What the job was given, in a word: most are given a name. */
function subjectOf(job: Job): string {
  const { name, dataset } = (job.payload ?? {}) as { name?: unknown; dataset?: unknown };
  if (typeof dataset === "string") return dataset;
  return typeof name === "string" ? name : JSON.stringify(job.payload);
}

function tookOf(job: Job): string {
  if (!job.started || !job.finished) return "–";
  return duration(new Date(job.finished).getTime() - new Date(job.started).getTime());
}

function Cancel({ job }: { job: Job }) {
  const { may } = useSession();
  const queries = useQueryClient();
  const ask = useMutation({
    mutationFn: () => take(api.POST("/api/v1/jobs/{id}/cancel", { params: { path: { id: job.id } } })),
    onSettled: () => queries.invalidateQueries({ queryKey: ["jobs"] }),
    onError: (error) => notifications.show({ color: "red", title: "It was not cancelled", message: error.message, closeButtonProps: { "aria-label": "Close" } }),
  });
  if (isFinished(job.state) || !may("write")) return null;
  return <Button variant="subtle" color="red" size="compact-xs" disabled={job.cancel_requested} loading={ask.isPending} onClick={() => ask.mutate()} aria-label={`Cancel ${job.kind} ${subjectOf(job)}`}>Cancel</Button>;
}

function Details({ id }: { id: string }) {
  const asked = useQuery({ queryKey: ["jobs", "one", id], queryFn: () => take(api.GET("/api/v1/jobs/{id}", { params: { path: { id } } })) });
  const events = useJobEvents(id, asked.isSuccess, ["jobs"]);
  if (asked.isPending) return <Waiting what="Loading the job" />;
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  const job = current(asked.data, events);
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Group gap="xs"><Text fw={600}>{job.kind} {subjectOf(job)}</Text><JobState state={job.state} /></Group>
        <Cancel job={job} />
      </Group>
      {job.state === "running" && <JobProgress job={job} wide />}
      {job.error && <Why job={job} error={job.error} />}
      <Text size="xs" c="dimmed">{job.id} · queued {time(job.created)} · begun {time(job.started)}{job.attempts > 1 ? ` (attempt ${job.attempts})` : ""} · finished {time(job.finished)}</Text>
      <Title order={3}>Log</Title>
      <Log kind={job.kind} events={events} />
      <Title order={3}>Given</Title>
      <CodeBlock code={JSON.stringify(job.payload, null, 2)} />
      {job.result !== null && job.result !== undefined && <><Title order={3}>Result</Title><CodeBlock code={JSON.stringify(job.result, null, 2)} /></>}
    </Stack>
  );
}

/** The error with all its causes, as the server wrote it down. */
function Why({ job, error }: { job: Job; error: string }) {
  const failed = job.state === "failed";
  return (
    <Alert color={failed ? "red" : "yellow"} variant="outline" title={failed ? "It failed" : "The attempt before failed"} role={failed ? "alert" : "status"}>
      <Group gap={4} wrap="nowrap" align="flex-start"><Text size="sm" className="job-log-what" flex={1}>{error}</Text><CopyIcon value={error} label="Copy the error" /></Group>
    </Alert>
  );
}

/** What happened, the latest first: it is all that is kept of a job's doings. */
function Log({ kind, events }: { kind: string; events: readonly JobEvent[] }) {
  if (events.length === 0) return <Text size="sm" c="dimmed">Nothing happened yet.</Text>;
  return (
    <Table.ScrollContainer minWidth={400} maxHeight={360} scrollAreaProps={{ viewportProps: { tabIndex: 0, "aria-label": "Log of the job" } }}>
      <Table stickyHeader aria-label="Log of the job" className="job-log">
        <Table.Thead><Table.Tr><Table.Th scope="col" className="num">No.</Table.Th><Table.Th scope="col">Time</Table.Th><Table.Th scope="col">State</Table.Th><Table.Th scope="col">What</Table.Th></Table.Tr></Table.Thead>
        <Table.Tbody>
          {[...events].reverse().map((event) => (
            <Table.Tr key={event.seq}>
              <Table.Td className="num">{event.seq}</Table.Td>
              <Table.Td className="mono job-log-time">{time(event.at, true)}</Table.Td>
              <Table.Td className="job-log-state">{event.event === "state" && <JobState state={event.state} />}</Table.Td>
              <Table.Td className="job-log-what">{event.event === "state" ? event.message : `${amount(kind, event)} · ${event.message}`}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
