/** Keys: made, shown once, revoked. */

import { Alert, Badge, Button, Checkbox, Code, Group, Modal, Select, Stack, Table, Text, TextInput, Title, Tooltip } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useSearchParams } from "react-router";
import { api, take, type Schemas } from "../api/client";
import { ago, time } from "../lib/format";
import { CopyIcon } from "../parts/Code";
import { Confirm } from "../parts/Confirm";
import { Empty, Failed, Waiting } from "../parts/states";

type Key = Schemas["Key"];

const KEYS = ["keys"];
const SCOPES: readonly { value: string; what: string }[] = [
  { value: "infer", what: "call models through /v1" },
  { value: "read", what: "see traces, sessions, models, jobs" },
  { value: "write", what: "send spans, cancel jobs" },
  { value: "admin", what: "everything: keys, accounts, providers, models, SQL" },
];
const DAY_MS = 86_400_000;
const EXPIRIES = [{ value: "", label: "Never" }, { value: "1", label: "In a day" }, { value: "7", label: "In a week" }, { value: "30", label: "In 30 days" }, { value: "90", label: "In 90 days" }, { value: "365", label: "In a year" }];

export default function Keys() {
  const asked = useQuery({ queryKey: KEYS, queryFn: () => take(api.GET("/api/v1/keys")) });
  const [params, setParams] = useSearchParams();
  const [making, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<Key | null>(null);
  const revoked = params.get("revoked") === "show";
  const keys = asked.data?.data ?? [];
  const shown = keys.filter((key) => revoked || !key.revoked);
  const create = <Button onClick={() => setMaking(true)}>New key</Button>;
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={1}>Keys</Title>
        <Group>
          <Checkbox
            size="xs" label={`Show revoked ones (${keys.length - keys.filter((key) => !key.revoked).length})`} checked={revoked}
            onChange={(event) => setParams(event.currentTarget.checked ? { revoked: "show" } : {}, { replace: true })}
          />
          {create}
        </Group>
      </Group>
      {asked.isPending && <Waiting what="Loading the keys" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && shown.length === 0 && (
        <Empty title="No keys" action={create}>A program needs a key to call models or to send traces. Give each program its own, with the scopes that it needs and no more.</Empty>
      )}
      {shown.length > 0 && <KeyTable keys={shown} revoke={setRevoking} />}
      <Modal opened={making} onClose={() => setMaking(false)} title="New key" closeButtonProps={{ "aria-label": "Close" }}>
        <NewKey close={() => setMaking(false)} />
      </Modal>
      <Revoke revoking={revoking} close={() => setRevoking(null)} />
    </Stack>
  );
}

function KeyTable({ keys, revoke }: { keys: readonly Key[]; revoke: (key: Key) => void }) {
  return (
    <Table.ScrollContainer minWidth={760}>
      <Table highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            {["Name", "Begins with", "Scopes", "Made", "Expires", "State"].map((name) => <Table.Th key={name} scope="col">{name}</Table.Th>)}
            <Table.Td />
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {keys.map((key) => (
            <Table.Tr key={key.id}>
              <Table.Td>{key.name}</Table.Td>
              <Table.Td className="mono">{key.hint}…</Table.Td>
              <Table.Td><Group gap={4}>{key.scopes.map((scope) => <Badge key={scope} color={scope === "admin" ? "orange" : "gray"} variant="default">{scope}</Badge>)}</Group></Table.Td>
              <Table.Td><Tooltip label={time(key.created)}><span>{ago(key.created)}</span></Tooltip></Table.Td>
              <Table.Td>{key.expires ? time(key.expires).slice(0, 16) : "never"}</Table.Td>
              <Table.Td>{stateOf(key)}</Table.Td>
              <Table.Td ta="right">
                {!key.revoked && <Button variant="subtle" color="red" size="compact-xs" onClick={() => revoke(key)} aria-label={`Revoke ${key.name}`}>Revoke</Button>}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function stateOf(key: Key): string {
  if (key.revoked) return `revoked ${ago(key.revoked)}`;
  return key.expires && new Date(key.expires).getTime() < Date.now() ? "expired" : "in force";
}

/** The form, and after it the one sight of the secret: it lives in this component's state and nowhere else. */
function NewKey({ close }: { close: () => void }) {
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<string[]>(["infer"]);
  const [days, setDays] = useState("");
  const made = useMutation({
    mutationFn: () => take(api.POST("/api/v1/keys", { body: { name: name.trim(), scopes, expires: days === "" ? null : new Date(Date.now() + Number(days) * DAY_MS).toISOString() } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: KEYS }),
    gcTime: 0,
  });
  if (made.data) return <Secret secret={made.data.key} close={close} />;

  function submit(event: FormEvent) {
    event.preventDefault();
    made.mutate();
  }

  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <TextInput label="Name" description="What it is for: it stands in the audit log." value={name} onChange={(event) => setName(event.currentTarget.value)} required maxLength={100} data-autofocus autoComplete="off" />
        <Checkbox.Group label="Scopes" value={scopes} onChange={setScopes}>
          <Stack gap={6} mt={4}>{SCOPES.map((scope) => <Checkbox key={scope.value} size="xs" value={scope.value} label={<><b>{scope.value}</b> – {scope.what}</>} />)}</Stack>
        </Checkbox.Group>
        <Select label="Expires" data={EXPIRIES} value={days} onChange={(value) => setDays(value ?? "")} allowDeselect={false} />
        {made.isError && <Failed error={made.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>Cancel</Button>
          <Button type="submit" loading={made.isPending} disabled={name.trim() === "" || scopes.length === 0}>Create</Button>
        </Group>
      </Stack>
    </form>
  );
}

function Secret({ secret, close }: { secret: string; close: () => void }) {
  return (
    <Stack gap="sm">
      <Alert color="orange" title="Copy it now">It is shown this once; the server keeps only a hash of it.</Alert>
      <Group gap={4} wrap="nowrap">
        <Code className="mono" p={8} flex={1} style={{ overflowWrap: "anywhere" }}>{secret}</Code>
        <CopyIcon value={secret} label="Copy the key" />
      </Group>
      <Text size="xs" c="dimmed">Programs send it as <code>Authorization: Bearer …</code>, the OpenAI SDKs as <code>api_key</code>.</Text>
      <Group justify="flex-end"><Button onClick={close}>Done</Button></Group>
    </Stack>
  );
}

function Revoke({ revoking, close }: { revoking: Key | null; close: () => void }) {
  const queries = useQueryClient();
  return (
    <Confirm
      subject={revoking} close={close} title={(key) => `Revoke ${key.name}?`} verb="Revoke"
      act={async (key) => {
        await take(api.DELETE("/api/v1/keys/{id}", { params: { path: { id: key.id } } }));
        await queries.invalidateQueries({ queryKey: KEYS });
      }}
    >
      Whatever uses this key is refused from the next request on. This cannot be undone.
    </Confirm>
  );
}
