/** Receivers: webhooks, how each fares, and the one sight of its secret. */

import { Alert as Notice, Badge, Button, Checkbox, Code, Group, Modal, Stack, Switch, Table, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, take } from "../../api/client";
import { ago } from "../../lib/format";
import { CopyIcon } from "../../parts/Code";
import { Confirm } from "../../parts/Confirm";
import { Empty, Failed, Waiting } from "../../parts/states";
import { useSession } from "../../signin/session";
import { ALERTS, RECEIVERS, type Receiver, words } from "./ask";

const CHANGES = ["firing", "resolved", "no_data", "error"];

export function Receivers() {
  const { may } = useSession();
  const asked = useQuery(RECEIVERS);
  const [making, setMaking] = useState(false);
  const [removing, setRemoving] = useState<Receiver | null>(null);
  const receivers = asked.data?.data ?? [];
  const add = may("admin") ? <Button onClick={() => setMaking(true)}>Add receiver</Button> : null;
  return (
    <Stack gap="sm">
      <Group justify="space-between"><Text size="sm" c="dimmed">Webhooks that are told what rules tell, signed as Standard Webhooks has it.</Text>{add}</Group>
      {asked.isPending && <Waiting what="Loading the receivers" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && receivers.length === 0 && <Empty title="No receivers yet" action={add}>Without one, what rules tell stands in the inbox only. {may("admin") ? "" : "An admin can add one."}</Empty>}
      {receivers.length > 0 && <ReceiverTable receivers={receivers} remove={may("admin") ? setRemoving : null} />}
      <Modal opened={making} onClose={() => setMaking(false)} title="Add a receiver" closeButtonProps={{ "aria-label": "Close" }}>
        <NewReceiver close={() => setMaking(false)} />
      </Modal>
      <Remove removing={removing} close={() => setRemoving(null)} />
    </Stack>
  );
}

function ReceiverTable({ receivers, remove }: { receivers: readonly Receiver[]; remove: ((receiver: Receiver) => void) | null }) {
  return (
    <Table.ScrollContainer minWidth={900}>
      <Table highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            {["Name", "Address", "Is told", "Taken", "Waiting", "Last", "On"].map((name) => <Table.Th key={name} scope="col" className={["Taken", "Waiting"].includes(name) ? "num" : ""}>{name}</Table.Th>)}
            <Table.Td />
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {receivers.map((receiver) => (
            <Table.Tr key={receiver.name}>
              <Table.Td>{receiver.name}</Table.Td>
              <Table.Td className="mono clip" maw={280}>{receiver.url}</Table.Td>
              <Table.Td>{receiver.changes.map(words).join(", ")}</Table.Td>
              <Table.Td className="num">{receiver.delivered}</Table.Td>
              <Table.Td className="num">{receiver.waiting}</Table.Td>
              <Table.Td maw={260}><Last receiver={receiver} /></Table.Td>
              <Table.Td>{remove ? <OnOff receiver={receiver} /> : receiver.enabled ? "on" : "off"}</Table.Td>
              <Table.Td>{remove && <Actions receiver={receiver} remove={remove} />}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Last({ receiver }: { receiver: Receiver }) {
  if (receiver.failures > 0) return <Text size="sm"><Badge color="red" variant="light">failed {receiver.failures}×</Badge> {ago(receiver.last_failure)}: {receiver.last_error}</Text>;
  return <Text size="sm">{receiver.last_success ? `taken ${ago(receiver.last_success)}` : "nothing yet"}</Text>;
}

function OnOff({ receiver }: { receiver: Receiver }) {
  const queries = useQueryClient();
  const change = useMutation({
    mutationFn: (enabled: boolean) => take(api.PUT("/api/v1/alerts/receivers/{name}", { params: { path: { name: receiver.name } }, body: { enabled } })),
    onSettled: () => queries.invalidateQueries({ queryKey: ALERTS }),
  });
  return <Switch size="xs" checked={receiver.enabled} disabled={change.isPending} onChange={(event) => change.mutate(event.currentTarget.checked)} aria-label={`Tell ${receiver.name}`} />;
}

function Actions({ receiver, remove }: { receiver: Receiver; remove: (receiver: Receiver) => void }) {
  const queries = useQueryClient();
  const test = useMutation({
    mutationFn: () => take(api.POST("/api/v1/alerts/receivers/{name}/test", { params: { path: { name: receiver.name } } })),
    onSettled: () => queries.invalidateQueries({ queryKey: ALERTS }),
  });
  return (
    <Stack gap={2} align="flex-end">
      <Group gap={4} justify="flex-end" wrap="nowrap">
        <Button variant="default" size="compact-xs" loading={test.isPending} onClick={() => test.mutate()} aria-label={`Test ${receiver.name}`}>Test</Button>
        <Button variant="subtle" color="red" size="compact-xs" onClick={() => remove(receiver)} aria-label={`Remove ${receiver.name}`}>Remove</Button>
      </Group>
      {test.data && <Text size="xs" role="status">{test.data.delivered ? `taken in ${test.data.took_ms} ms` : test.data.error}</Text>}
      {test.isError && <Text size="xs" role="alert">{test.error.message}</Text>}
    </Stack>
  );
}

/** The form, and after it the one sight of the secret: it lives in this component's state and nowhere else. */
function NewReceiver({ close }: { close: () => void }) {
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const [url, setUrl] = useState("");
  const [changes, setChanges] = useState<string[]>(CHANGES);
  const made = useMutation({
    mutationFn: () => take(api.POST("/api/v1/alerts/receivers", { body: { name: name.trim(), url: url.trim(), changes } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ALERTS }),
    gcTime: 0,
  });
  if (made.data) return <Secret secret={made.data.secret} close={close} />;

  function submit(event: FormEvent) {
    event.preventDefault();
    made.mutate();
  }

  return (
    <form onSubmit={submit} autoComplete="off">
      <Stack gap="sm">
        <TextInput label="Name" placeholder="ops" value={name} onChange={(event) => setName(event.currentTarget.value)} required maxLength={64} data-autofocus />
        <TextInput label="Address" description="Private addresses need a line in [net] allow." placeholder="https://hooks.example.org/quarterdeck" type="url" value={url} onChange={(event) => setUrl(event.currentTarget.value)} required />
        <Checkbox.Group label="Is told" value={changes} onChange={setChanges}>
          <Group mt={4}>{CHANGES.map((change) => <Checkbox key={change} size="xs" value={change} label={words(change)} />)}</Group>
        </Checkbox.Group>
        {made.isError && <Failed error={made.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>Cancel</Button>
          <Button type="submit" loading={made.isPending} disabled={changes.length === 0}>Add</Button>
        </Group>
      </Stack>
    </form>
  );
}

function Secret({ secret, close }: { secret: string; close: () => void }) {
  return (
    <Stack gap="sm">
      <Notice color="orange" title="Copy it now">It is shown this once. Whoever receives messages verifies their signatures with it.</Notice>
      <Group gap={4} wrap="nowrap">
        <Code className="mono" p={8} flex={1} style={{ overflowWrap: "anywhere" }}>{secret}</Code>
        <CopyIcon value={secret} label="Copy the secret" />
      </Group>
      <Group justify="flex-end"><Button onClick={close}>Done</Button></Group>
    </Stack>
  );
}

function Remove({ removing, close }: { removing: Receiver | null; close: () => void }) {
  const queries = useQueryClient();
  return (
    <Confirm
      subject={removing} close={close} title={(receiver) => `Remove ${receiver.name}?`} verb="Remove"
      act={async (receiver) => {
        await take(api.DELETE("/api/v1/alerts/receivers/{name}", { params: { path: { name: receiver.name } } }));
        await queries.invalidateQueries({ queryKey: ALERTS });
      }}
    >
      Its secret and what waits for it are deleted with it.
    </Confirm>
  );
}
