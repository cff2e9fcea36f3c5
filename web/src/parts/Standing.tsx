/** Where something stands that a job makes of calls to models: a word, and while it runs its progress, with the ways to stop it, to go on and to delete it. */

import { Alert, Badge, Button, Checkbox, Group, Modal, NumberInput, Stack, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";
import { Link, useNavigate } from "react-router";
import { api, take } from "../api/client";
import { current, isGoing } from "../lib/jobEvents";
import { useSession } from "../signin/session";
import { Confirm } from "./Confirm";
import { JobProgress, useJobEvents } from "./JobProgress";
import { Failed } from "./states";

export interface Stands {
  state: string;
  why?: string | null;
}

interface Run extends Stands {
  name: string;
  job?: string | null;
}

const COLOURS: Record<string, string> = { running: "cyan", finished: "teal", stopped: "yellow", cancelled: "yellow", failed: "red" };

export function StateBadge({ of: { state, why } }: { of: Stands }) {
  const dot = <Text component="span" c={`${COLOURS[state] ?? "gray"}.6`} fz={10} lh={1} aria-hidden>●</Text>;
  return <Badge variant="default" miw="max-content" leftSection={dot} title={why ?? undefined}>{state}</Badge>;
}

export interface Again {
  retry_failed: boolean;
  budget?: { usd: number };
}

interface Props {
  run: Run;
  /** What it is called: `experiment`. */
  noun: string;
  /** The path of the list that it stands in, which is also the key of its queries. */
  list: string;
  answers: number;
  failed: number;
  /** The definition's budget in dollars. */
  usd?: number | null;
  resume: (again: Again) => Promise<unknown>;
  remove: () => Promise<unknown>;
  /** What goes with it. */
  children: ReactNode;
}

/** The line below the heading: what its job does, as it happens. */
export function Standing(props: Props) {
  const { may } = useSession();
  const [going, setGoing] = useState(false);
  const { run, noun, failed, list } = props;
  const ended = !isGoing(run);
  const unfinished = ended && (run.state !== "finished" || failed > 0);
  return (
    <>
      <Group gap="sm">
        <StateBadge of={run} />
        {run.job && !ended && <LiveLine id={run.job} noun={noun} after={list} />}
        {run.job && <Link to={`/jobs?job=${run.job}`}><Text component="span" size="sm">Its job</Text></Link>}
        {unfinished && may("write") && <Button variant="default" onClick={() => setGoing(true)}>Go on…</Button>}
        {ended && may("write") && <Remove {...props} />}
      </Group>
      {ended && run.why && <Alert color={run.state === "failed" ? "red" : "yellow"} variant="outline" role="status" title={`It ${run.state === "stopped" ? "stopped" : run.state === "failed" ? "failed" : "was cancelled"}`}><Text size="sm">{run.why}</Text></Alert>}
      <GoOn key={String(going)} {...props} opened={going} close={() => setGoing(false)} />
    </>
  );
}

/** Deletes it with all of its versions, after a question: answers were paid for. */
function Remove({ run: { name }, remove, list, children }: Props) {
  const [asking, setAsking] = useState<string | null>(null);
  const navigate = useNavigate();
  const queries = useQueryClient();
  const act = async () => {
    await remove();
    void navigate(`/${list}`);
    queries.removeQueries({ queryKey: [list, "one", name] });
    await queries.invalidateQueries({ queryKey: [list] });
  };
  return (
    <>
      <Button variant="subtle" color="red" size="compact-sm" onClick={() => setAsking(name)}>Delete…</Button>
      <Confirm subject={asking} close={() => setAsking(null)} title={(subject) => `Delete ${subject}`} verb="Delete" act={act}>{children}</Confirm>
    </>
  );
}

/** A job as it happens, and the way to cancel it. */
export function LiveLine({ id, noun, after }: { id: string; noun: string; after: string }) {
  const { may } = useSession();
  const asked = useQuery({ queryKey: [after, "job", id], queryFn: () => take(api.GET("/api/v1/jobs/{id}", { params: { path: { id } } })) });
  const events = useJobEvents(id, true, [after]);
  const cancel = useMutation({ mutationFn: () => take(api.POST("/api/v1/jobs/{id}/cancel", { params: { path: { id } } })) });
  if (asked.data === undefined) return null;
  const job = current(asked.data, events);
  return (
    <>
      {job.state === "running" ? <JobProgress job={job} wide /> : job.state === "queued" && <Text size="sm" c="dimmed">It waits for its turn.</Text>}
      {may("write") && <Button variant="subtle" color="red" size="compact-xs" loading={cancel.isPending} disabled={cancel.isSuccess || asked.data.cancel_requested} onClick={() => cancel.mutate()}>Cancel the {noun}</Button>}
      {cancel.isError && <Text size="sm" className="failed" role="alert">{cancel.error.message}</Text>}
    </>
  );
}

/** Goes on where it ended; answers that are there are not asked for again. */
function GoOn({ run, answers, failed, usd: limit, resume, list, opened, close }: Props & { opened: boolean; close: () => void }) {
  const queries = useQueryClient();
  const [retry, setRetry] = useState(run.state === "finished");
  const [usd, setUsd] = useState<number | string>(limit ?? "");
  const go = useMutation({
    mutationFn: () => resume({ retry_failed: retry, budget: typeof usd === "number" ? { usd } : undefined }),
    onSuccess: async () => {
      close();
      await queries.invalidateQueries({ queryKey: [list] });
    },
  });

  function submit(event: FormEvent) {
    event.preventDefault();
    go.mutate();
  }

  return (
    <Modal opened={opened} onClose={close} title={`Go on with ${run.name}`} closeButtonProps={{ "aria-label": "Close" }}>
      <form onSubmit={submit}>
        <Stack gap="sm">
          <Text size="sm">{answers.toLocaleString("en-US")} answers are there and are not asked for again.</Text>
          {failed > 0 && <Checkbox label={`Make the ${failed.toLocaleString("en-US")} failed calls again`} checked={retry} onChange={(event) => setRetry(event.currentTarget.checked)} />}
          <NumberInput label="Budget in dollars" description="What was spent before counts. Without one the definition’s holds." value={usd} onChange={setUsd} min={0} decimalScale={6} allowNegative={false} />
          {go.isError && <Failed error={go.error} />}
          <Group justify="flex-end"><Button variant="default" onClick={close}>Close</Button><Button type="submit" loading={go.isPending}>Go on</Button></Group>
        </Stack>
      </form>
    </Modal>
  );
}
