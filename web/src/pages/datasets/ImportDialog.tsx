/** Files become a dataset: sent piece by piece, then read by the server as a job. */

import { Alert, Button, Checkbox, FileInput, Group, Modal, Progress, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { useNavigate } from "react-router";
import { api, take } from "../../api/client";
import { bytes } from "../../lib/format";
import { current, isFinished, type Job } from "../../lib/jobEvents";
import { JobProgress, JobState, useJobEvents } from "../../parts/JobProgress";
import { Failed } from "../../parts/states";
import { linkTo } from "./DatasetList";
import { upload, type Uploaded } from "./upload";

const ACCEPTED = ".jsonl,.ndjson,.json,.csv,.tsv,.parquet,.gz,.zst";

export function ImportDialog({ opened, close, name }: { opened: boolean; close: () => void; name?: string }) {
  return (
    <Modal opened={opened} onClose={close} title="Import files" size="lg" closeButtonProps={{ "aria-label": "Close" }}>
      {opened && <Import close={close} known={name} />}
    </Modal>
  );
}

function Import({ close, known }: { close: () => void; known?: string }) {
  const [files, setFiles] = useState<File[]>([]);
  const [typed, setTyped] = useState(known ?? "");
  const [skipBad, setSkipBad] = useState(false);
  const [sent, setSent] = useState(0);
  const leaving = useRef(new AbortController());
  useEffect(() => {
    // A development build mounts twice, and the first leaving is none.
    if (leaving.current.signal.aborted) leaving.current = new AbortController();
    return () => leaving.current.abort();
  }, []);
  const total = files.reduce((sum, file) => sum + file.size, 0);
  const name = typed.trim() || nameOf(files);
  const begin = useMutation({
    mutationFn: async () => {
      const uploads: Uploaded[] = [];
      let before = 0;
      for (const file of files) {
        const start = before;
        uploads.push(await upload(file, (arrived) => setSent(start + arrived), leaving.current.signal));
        before += file.size;
      }
      return take(api.POST("/api/v1/datasets/{name}/import", { params: { path: { name } }, body: { files: uploads, skip_bad: skipBad, roles: {}, types: {} } }));
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setSent(0);
    begin.mutate();
  };
  if (begin.data !== undefined) return <Importing job={begin.data} name={name} close={close} again={() => begin.reset()} />;
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <FileInput label="Files" description="JSON lines, JSON, CSV, TSV or Parquet; also as .gz or .zst" placeholder="Choose files" multiple accept={ACCEPTED} value={files} onChange={setFiles} clearable required />
        <TextInput label="Dataset" description="Another version of one that there is, or a new one" placeholder={nameOf(files)} value={typed} onChange={(event) => setTyped(event.currentTarget.value)} />
        <Checkbox label="Leave bad rows out" description="Otherwise one bad row is enough that nothing is imported" checked={skipBad} onChange={(event) => setSkipBad(event.currentTarget.checked)} />
        {begin.isPending && (
          <Stack gap={4}>
            <Progress value={total === 0 ? 100 : (sent / total) * 100} aria-label="Uploaded" />
            <Text size="xs" c="dimmed" role="status">{bytes(sent)} of {bytes(total)} uploaded</Text>
          </Stack>
        )}
        {begin.isError && <Failed error={begin.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>Cancel</Button>
          <Button type="submit" loading={begin.isPending} disabled={files.length === 0 || name === ""}>Import</Button>
        </Group>
      </Stack>
    </form>
  );
}

/** What a dataset of these files would be called. */
function nameOf(files: readonly File[]): string {
  const base = files[0]?.name.replace(/\.(gz|zst)$/i, "").replace(/\.[a-z]+$/i, "") ?? "";
  return base.replaceAll(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+/, "");
}

function Importing({ job, name, close, again }: { job: Job; name: string; close: () => void; again: () => void }) {
  const navigate = useNavigate();
  const queries = useQueryClient();
  const now = current(job, useJobEvents(job.id, true, ["datasets", "jobs"]));
  const ended = useMutation({ mutationFn: () => take(api.GET("/api/v1/jobs/{id}", { params: { path: { id: job.id } } })) });
  const { mutate } = ended;
  useEffect(() => {
    if (isFinished(now.state)) mutate();
  }, [now.state, mutate]);
  const done = ended.data?.state === "succeeded" ? (ended.data.result as { notes?: string[]; rows?: number; skipped?: number }) : null;
  const stop = useMutation({ mutationFn: () => take(api.POST("/api/v1/jobs/{id}/cancel", { params: { path: { id: job.id } } })) });
  const show = () => {
    void queries.invalidateQueries({ queryKey: ["datasets"] });
    close();
    void navigate(linkTo(name));
  };
  return (
    <Stack gap="sm">
      <Group gap="xs"><JobState state={now.state} /><Text size="sm" fw={600}>{name}</Text></Group>
      {now.state === "running" && <JobProgress job={now} wide />}
      {now.state === "queued" && <Text size="sm" c="dimmed">It waits for its turn.</Text>}
      {done !== null && (
        <Alert color="teal" variant="outline" role="status" title={`${(done.rows ?? 0).toLocaleString("en-US")} rows imported${done.skipped ? `, ${done.skipped} left out` : ""}`}>
          {done.notes?.map((note) => <Text key={note} size="sm">{note}</Text>)}
        </Alert>
      )}
      {ended.data?.error && <Alert color="red" variant="outline" role="alert" title="Nothing was imported"><Text size="sm" className="dataset-error">{ended.data.error}</Text></Alert>}
      <Text size="xs" c="dimmed">The import goes on when this is closed; the page Jobs shows it.</Text>
      <Group justify="flex-end">
        {!isFinished(now.state) && <Button variant="default" loading={stop.isPending} onClick={() => stop.mutate()}>Cancel the import</Button>}
        {isFinished(now.state) && done === null && <Button variant="default" onClick={again}>Change and try again</Button>}
        {done === null ? <Button variant="default" onClick={close}>Close</Button> : <Button onClick={show}>Show the rows</Button>}
      </Group>
    </Stack>
  );
}
