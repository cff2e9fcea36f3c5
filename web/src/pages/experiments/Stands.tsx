/** Where an experiment stands: a word, and while it runs its progress, with the ways to stop it and to go on. */

import { Alert, Badge, Button, Checkbox, Group, Modal, NumberInput, Stack, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Link, useNavigate } from "react-router";
import { api, take } from "../../api/client";
import { current } from "../../lib/jobEvents";
import { Confirm } from "../../parts/Confirm";
import { JobProgress, useJobEvents } from "../../parts/JobProgress";
import { Failed } from "../../parts/states";
import { useSession } from "../../signin/session";
import { type Experiment, EXPERIMENTS, isGoing, jobQuery, type Opened } from "./ask";

const COLOURS: Record<string, string> = { running: "cyan", finished: "teal", stopped: "yellow", cancelled: "yellow", failed: "red" };

export function Stands({ experiment }: { experiment: Experiment }) {
  const dot = <Text component="span" c={`${COLOURS[experiment.state] ?? "gray"}.6`} fz={10} lh={1} aria-hidden>●</Text>;
  return <Badge variant="default" miw="max-content" leftSection={dot} title={experiment.why ?? undefined}>{experiment.state}</Badge>;
}

/** The line below the heading: what its job does, as it happens. */
export function Standing({ experiment }: { experiment: Opened }) {
  const { may } = useSession();
  const [going, setGoing] = useState(false);
  const { job, report } = experiment;
  const ended = !isGoing(experiment);
  const unfinished = ended && (experiment.state !== "finished" || report.failed > 0);
  return (
    <>
      <Group gap="sm">
        <Stands experiment={experiment} />
        {job && !ended && <Live id={job} />}
        {job && <Link to={`/jobs?job=${job}`}><Text component="span" size="sm">Its job</Text></Link>}
        {unfinished && may("write") && <Button variant="default" onClick={() => setGoing(true)}>Go on…</Button>}
        {ended && may("write") && <Remove experiment={experiment} />}
      </Group>
      {ended && experiment.why && <Alert color={experiment.state === "failed" ? "red" : "yellow"} variant="outline" role="status" title={`It ${experiment.state === "stopped" ? "stopped" : experiment.state === "failed" ? "failed" : "was cancelled"}`}><Text size="sm">{experiment.why}</Text></Alert>}
      <GoOn key={String(going)} experiment={experiment} opened={going} close={() => setGoing(false)} />
    </>
  );
}

/** Deletes it with all of its versions, after a question: answers were paid for. */
function Remove({ experiment: { name } }: { experiment: Opened }) {
  const [asking, setAsking] = useState<string | null>(null);
  const navigate = useNavigate();
  const queries = useQueryClient();
  const act = async () => {
    await take(api.DELETE("/api/v1/experiments/{name}", { params: { path: { name } } }));
    void navigate("/experiments");
    queries.removeQueries({ queryKey: [...EXPERIMENTS, "one", name] });
    await queries.invalidateQueries({ queryKey: EXPERIMENTS });
  };
  return (
    <>
      <Button variant="subtle" color="red" size="compact-sm" onClick={() => setAsking(name)}>Delete…</Button>
      <Confirm subject={asking} close={() => setAsking(null)} title={(subject) => `Delete ${subject}`} verb="Delete" act={act}>
        All versions of this experiment go with their answers, for good: nothing brings them back, and asking again is paid for again. Its prompts, its dataset and the traces of its calls stay.
      </Confirm>
    </>
  );
}

function Live({ id }: { id: string }) {
  const { may } = useSession();
  const asked = useQuery(jobQuery(id));
  const events = useJobEvents(id, true, EXPERIMENTS);
  const cancel = useMutation({ mutationFn: () => take(api.POST("/api/v1/jobs/{id}/cancel", { params: { path: { id } } })) });
  if (asked.data === undefined) return null;
  const job = current(asked.data, events);
  return (
    <>
      {job.state === "running" ? <JobProgress job={job} wide /> : job.state === "queued" && <Text size="sm" c="dimmed">It waits for its turn.</Text>}
      {may("write") && <Button variant="subtle" color="red" size="compact-xs" loading={cancel.isPending} disabled={cancel.isSuccess || asked.data.cancel_requested} onClick={() => cancel.mutate()}>Cancel the experiment</Button>}
      {cancel.isError && <Text size="sm" className="failed" role="alert">{cancel.error.message}</Text>}
    </>
  );
}

/** Goes on where it ended; answers that are there are not asked for again. */
function GoOn({ experiment, opened, close }: { experiment: Opened; opened: boolean; close: () => void }) {
  const queries = useQueryClient();
  const { name, version, report, definition } = experiment;
  const [retry, setRetry] = useState(experiment.state === "finished");
  const [usd, setUsd] = useState<number | string>(definition.budget?.usd ?? "");
  const resume = useMutation({
    mutationFn: () => {
      const budget = typeof usd === "number" ? { ...definition.budget, usd } : undefined;
      return take(api.POST("/api/v1/experiments/{name}/resume", { params: { path: { name } }, body: { version, retry_failed: retry, budget } }));
    },
    onSuccess: async () => {
      close();
      await queries.invalidateQueries({ queryKey: EXPERIMENTS });
    },
  });

  function submit(event: FormEvent) {
    event.preventDefault();
    resume.mutate();
  }

  return (
    <Modal opened={opened} onClose={close} title={`Go on with ${name}`} closeButtonProps={{ "aria-label": "Close" }}>
      <form onSubmit={submit}>
        <Stack gap="sm">
          <Text size="sm">{report.answers.toLocaleString("en-US")} answers are there and are not asked for again.</Text>
          {report.failed > 0 && <Checkbox label={`Make the ${report.failed.toLocaleString("en-US")} failed calls again`} checked={retry} onChange={(event) => setRetry(event.currentTarget.checked)} />}
          <NumberInput label="Budget in dollars" description="What was spent before counts. Without one the definition’s holds." value={usd} onChange={setUsd} min={0} decimalScale={6} allowNegative={false} />
          {resume.isError && <Failed error={resume.error} />}
          <Group justify="flex-end"><Button variant="default" onClick={close}>Close</Button><Button type="submit" loading={resume.isPending}>Go on</Button></Group>
        </Stack>
      </form>
    </Modal>
  );
}
