/** Files become a dataset: sent piece by piece, looked at by the server, and imported once it is said what their columns are for. */

import { Alert, Button, Checkbox, FileInput, Group, Modal, Progress, Select, Stack, Table, Text, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { useNavigate } from "react-router";
import { api, take } from "../../api/client";
import { type Column, ROLES, toldRoles, withRole } from "../../lib/columnRoles";
import { bytes } from "../../lib/format";
import { isFinished, type Job } from "../../lib/jobEvents";
import { Failed } from "../../parts/states";
import { linkTo } from "./DatasetList";
import { Running, useJob } from "./DatasetJob";
import { discard, upload, type Uploaded } from "./upload";

const ACCEPTED = ".jsonl,.ndjson,.json,.csv,.tsv,.parquet,.gz,.zst";
/** Bad rows that are shown; the first tell mostly what is wrong. */
const BAD_SHOWN = 20;

/** Files that the server has, and the job that looks at them. */
interface Sent {
  name: string;
  uploads: Uploaded[];
  job: Job;
}

/** What the job found. */
interface Checked {
  rows: number;
  columns: Column[];
  bad_count: number;
  bad: { file: string; unit: string; number: number; why: string }[];
  notes: string[];
}

export function ImportDialog({ opened, close, name }: { opened: boolean; close: () => void; name?: string }) {
  return (
    <Modal opened={opened} onClose={close} title="Import files" size="lg" closeButtonProps={{ "aria-label": "Close" }}>
      {opened && <Import close={close} known={name} />}
    </Modal>
  );
}

/** Sends files, and then the request for a job about them. */
function useSending(files: readonly File[], name: string, told: (bytes: number) => void) {
  const leaving = useRef(new AbortController());
  useEffect(() => {
    // A development build mounts twice, and the first leaving is none.
    if (leaving.current.signal.aborted) leaving.current = new AbortController();
    return () => leaving.current.abort();
  }, []);
  return useMutation({
    mutationFn: async (): Promise<Sent> => {
      const uploads: Uploaded[] = [];
      let before = 0;
      for (const file of files) {
        const start = before;
        uploads.push(await upload(file, (arrived) => told(start + arrived), leaving.current.signal));
        before += file.size;
      }
      return { name, uploads, job: await begin(name, { uploads, check: true }) };
    },
  });
}

function begin(name: string, { uploads, check = false, skipBad = false, roles = {} }: { uploads: Uploaded[]; check?: boolean; skipBad?: boolean; roles?: Record<string, string> }): Promise<Job> {
  const body = { files: uploads, check, skip_bad: skipBad, roles: roles as Record<string, never>, types: {} };
  return take(api.POST("/api/v1/datasets/{name}/import", { params: { path: { name } }, body }));
}

function Import({ close, known }: { close: () => void; known?: string }) {
  const [files, setFiles] = useState<File[]>([]);
  const [typed, setTyped] = useState(known ?? "");
  const [sent, setSent] = useState(0);
  const total = files.reduce((sum, file) => sum + file.size, 0);
  const name = typed.trim() || nameOf(files);
  const sending = useSending(files, name, setSent);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setSent(0);
    sending.mutate();
  };
  if (sending.data !== undefined) return <Looked sent={sending.data} close={close} again={() => sending.reset()} />;
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <FileInput label="Files" description="JSON lines, JSON, CSV, TSV or Parquet; also as .gz or .zst" placeholder="Choose files" multiple accept={ACCEPTED} value={files} onChange={setFiles} clearable required />
        <TextInput label="Dataset" description="Another version of one that there is, or a new one" placeholder={nameOf(files)} value={typed} onChange={(event) => setTyped(event.currentTarget.value)} />
        {sending.isPending && (
          <Stack gap={4}>
            <Progress value={total === 0 ? 100 : (sent / total) * 100} aria-label="Uploaded" />
            <Text size="xs" c="dimmed" role="status">{bytes(sent)} of {bytes(total)} uploaded</Text>
          </Stack>
        )}
        {sending.isError && <Failed error={sending.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>Cancel</Button>
          <Button type="submit" loading={sending.isPending} disabled={files.length === 0 || name === ""}>Look at the rows</Button>
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

/** The files while they are looked at, then what was found, then their import. */
function Looked({ sent, close, again }: { sent: Sent; close: () => void; again: () => void }) {
  const { now, ended } = useJob(sent.job);
  const [importing, setImporting] = useState<Job | null>(null);
  // Whoever leaves before an import reads the files needs them no more.
  const unread = useRef<Uploaded[]>(sent.uploads);
  useEffect(() => () => discard(unread.current), []);
  const start = useMutation({
    mutationFn: (wanted: { skipBad: boolean; roles: Record<string, string> }) => begin(sent.name, { uploads: sent.uploads, ...wanted }),
    onSuccess: (job) => {
      unread.current = [];
      setImporting(job);
    },
  });
  if (importing !== null) return <Importing job={importing} name={sent.name} close={close} again={again} />;
  const found = ended?.state === "succeeded" ? (ended.result as Checked) : null;
  if (found !== null) return <Columns found={found} name={sent.name} again={again} start={(wanted) => start.mutate(wanted)} busy={start.isPending} error={start.error} />;
  return (
    <Running now={now} name={sent.name} doing="The rows are looked at; nothing is imported yet." error={ended?.error} failed="The files cannot be read">
      {isFinished(now.state) ? <Button variant="default" onClick={again}>Change and try again</Button> : <Button variant="default" onClick={close}>Cancel</Button>}
    </Running>
  );
}

interface ColumnsProps {
  found: Checked;
  name: string;
  again: () => void;
  start: (wanted: { skipBad: boolean; roles: Record<string, string> }) => void;
  busy: boolean;
  error: unknown;
}

/** What was found: the columns, of which each has the role that its name suggests until somebody says otherwise. */
function Columns({ found, name, again, start, busy, error }: ColumnsProps) {
  const [columns, setColumns] = useState<readonly Column[]>(found.columns);
  const [skipBad, setSkipBad] = useState(false);
  const rows = `${found.rows.toLocaleString("en-US")} rows`;
  const blocked = found.rows === 0 || (found.bad_count > 0 && !skipBad);
  return (
    <Stack gap="sm">
      <Text size="sm" role="status">{rows} for {name}. What are their columns for?</Text>
      {found.bad_count > 0 && <Bad found={found} skipBad={skipBad} setSkipBad={setSkipBad} />}
      <Table.ScrollContainer minWidth={400} maxHeight={340}>
        <Table stickyHeader>
          <Table.Thead><Table.Tr>{["Column", "Type", "Role"].map((title) => <Table.Th key={title} scope="col">{title}</Table.Th>)}</Table.Tr></Table.Thead>
          <Table.Tbody>
            {columns.map((column) => (
              <Table.Tr key={column.name}>
                <Table.Td className="clip" maw={220} title={column.name}>{column.name}</Table.Td>
                <Table.Td>{column.type}</Table.Td>
                <Table.Td w={260}><Select size="xs" aria-label={`Role of ${column.name}`} data={ROLES} value={column.role} onChange={(role) => role !== null && setColumns(withRole(columns, column.name, role))} allowDeselect={false} /></Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {found.notes.map((note) => <Text key={note} size="xs" c="dimmed">{note}</Text>)}
      {error !== null && <Failed error={error} />}
      <Group justify="flex-end">
        <Button variant="default" onClick={again}>Other files</Button>
        <Button loading={busy} disabled={blocked} onClick={() => start({ skipBad, roles: toldRoles(found.columns, columns) })}>Import {rows}</Button>
      </Group>
    </Stack>
  );
}

/** Rows that cannot be imported; the others are once somebody says so. */
function Bad({ found, skipBad, setSkipBad }: { found: Checked; skipBad: boolean; setSkipBad: (skip: boolean) => void }) {
  const several = new Set(found.bad.map((row) => row.file)).size > 1;
  const shown = found.bad.slice(0, BAD_SHOWN).map((row) => `${several ? `${row.file}, ` : ""}${row.unit} ${row.number}: ${row.why}`);
  const more = found.bad_count - shown.length;
  return (
    <Alert color="red" variant="outline" role="alert" title={`${found.bad_count.toLocaleString("en-US")} rows cannot be imported`}>
      <Text size="sm" className="dataset-error dataset-bad">{[...shown, ...(more > 0 ? [`and ${more.toLocaleString("en-US")} more`] : [])].join("\n")}</Text>
      {found.rows > 0 && <Checkbox mt="xs" label="Leave bad rows out" checked={skipBad} onChange={(event) => setSkipBad(event.currentTarget.checked)} />}
    </Alert>
  );
}

function Importing({ job, name, close, again }: { job: Job; name: string; close: () => void; again: () => void }) {
  const navigate = useNavigate();
  const queries = useQueryClient();
  const { now, ended } = useJob(job);
  const done = ended?.state === "succeeded" ? (ended.result as { notes?: string[]; rows?: number; skipped?: number }) : null;
  const stop = useMutation({ mutationFn: () => take(api.POST("/api/v1/jobs/{id}/cancel", { params: { path: { id: job.id } } })) });
  const show = () => {
    void queries.invalidateQueries({ queryKey: ["datasets"] });
    close();
    void navigate(linkTo(name));
  };
  return (
    <Running now={now} name={name} doing="The import goes on when this is closed; the page Jobs shows it." error={ended?.error} failed="Nothing was imported">
      {done !== null && (
        <Alert color="teal" variant="outline" role="status" title={`${(done.rows ?? 0).toLocaleString("en-US")} rows imported${done.skipped ? `, ${done.skipped} left out` : ""}`}>
          {done.notes?.map((note) => <Text key={note} size="sm">{note}</Text>)}
        </Alert>
      )}
      <Group justify="flex-end">
        {!isFinished(now.state) && <Button variant="default" loading={stop.isPending} onClick={() => stop.mutate()}>Cancel the import</Button>}
        {isFinished(now.state) && done === null && <Button variant="default" onClick={again}>Change and try again</Button>}
        {done === null ? <Button variant="default" onClick={close}>Close</Button> : <Button onClick={show}>Show the rows</Button>}
      </Group>
    </Running>
  );
}
