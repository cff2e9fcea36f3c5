/** Providers: the upstreams and their secrets, which go in and never come out, and the routes to them. */

import { Anchor, Badge, Button, Checkbox, Group, Modal, NumberInput, PasswordInput, Stack, Table, Text, Textarea, TextInput, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Link } from "react-router";
import { api, take, type Schemas } from "../api/client";
import { ago, duration } from "../lib/format";
import { Confirm } from "../parts/Confirm";
import { Empty, Failed, Waiting } from "../parts/states";
import { useSession } from "../signin/session";
import { Routes } from "./providers/Routes";

type Provider = Schemas["Provider"];

const PROVIDERS = ["providers"];
const TIMEOUT_MS = 600_000;
const TIMEOUT_MAX_S = 3_600;

export default function Providers() {
  const { may } = useSession();
  return (
    <Stack gap="xl">
      {may("admin") ? <Upstreams /> : <div><Title order={1}>Providers</Title><Text size="sm" c="dimmed">Admins see the upstreams behind the routes, and change them.</Text></div>}
      <Routes />
    </Stack>
  );
}

function Upstreams() {
  const asked = useQuery({ queryKey: PROVIDERS, queryFn: () => take(api.GET("/api/v1/providers")) });
  const [editing, setEditing] = useState<Provider | "new" | null>(null);
  const [removing, setRemoving] = useState<Provider | null>(null);
  const add = <Button onClick={() => setEditing("new")}>Add provider</Button>;
  const providers = asked.data?.data ?? [];
  return (
    <Stack gap="sm">
      <Group justify="space-between"><Title order={1}>Providers</Title>{add}</Group>
      {asked.isPending && <Waiting what="Loading the providers" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && providers.length === 0 && (
        <Empty title="No providers yet" action={add}>
          Every model of a provider answers as <code>provider/model</code> through this server, with traces, costs and limits. Any service that speaks the API of OpenAI will do.
        </Empty>
      )}
      {providers.length > 0 && <ProviderTable providers={providers} edit={setEditing} remove={setRemoving} />}
      <Modal opened={editing !== null} onClose={() => setEditing(null)} title={editing === null || editing === "new" ? "Add a provider" : `Change ${editing.name}`} closeButtonProps={{ "aria-label": "Close" }}>
        {editing !== null && <Form known={editing === "new" ? null : editing} close={() => setEditing(null)} />}
      </Modal>
      <Remove removing={removing} close={() => setRemoving(null)} />
    </Stack>
  );
}

function ProviderTable({ providers, edit, remove }: { providers: readonly Provider[]; edit: (provider: Provider) => void; remove: (provider: Provider) => void }) {
  return (
    <Table.ScrollContainer minWidth={820}>
      <Table highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            {["Name", "Speaks", "Address", "Secret", "Timeout", "Changed"].map((name) => <Table.Th key={name} scope="col" className={name === "Timeout" ? "num" : ""}>{name}</Table.Th>)}
            <Table.Td />
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {providers.map((provider) => (
            <Table.Tr key={provider.name}>
              <Table.Td><Anchor component={Link} size="sm" to={`/traces?provider=${encodeURIComponent(provider.name)}`}>{provider.name}</Anchor></Table.Td>
              <Table.Td>{provider.kind}</Table.Td>
              <Table.Td className="mono clip" maw={420}>{provider.base_url}</Table.Td>
              <Table.Td>{provider.has_secret ? <Badge variant="default">set</Badge> : <Text size="sm" c="dimmed">none</Text>}</Table.Td>
              <Table.Td className="num">{duration(provider.timeout_ms)}</Table.Td>
              <Table.Td>{ago(provider.updated)}</Table.Td>
              <Table.Td>
                <Group gap={4} justify="flex-end" wrap="nowrap">
                  <Button variant="default" size="compact-xs" onClick={() => edit(provider)} aria-label={`Edit ${provider.name}`}>Edit</Button>
                  <Button variant="subtle" color="red" size="compact-xs" onClick={() => remove(provider)} aria-label={`Remove ${provider.name}`}>Remove</Button>
                </Group>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

/** What the secret is to become: absent it stays, null it is dropped. */
function secretOf(text: string, drop: boolean): { secret?: string | null } {
  if (drop) return { secret: null };
  return text === "" ? {} : { secret: text };
}

function Form({ known, close }: { known: Provider | null; close: () => void }) {
  const queries = useQueryClient();
  const [name, setName] = useState(known?.name ?? "");
  const [address, setAddress] = useState(known?.base_url ?? "");
  const [secret, setSecret] = useState("");
  const [drop, setDrop] = useState(false);
  const [timeoutS, setTimeoutS] = useState<number | string>((known?.timeout_ms ?? TIMEOUT_MS) / 1000);
  const [settings, setSettings] = useState(JSON.stringify(known?.settings ?? {}, null, 2));
  const save = useMutation({
    mutationFn: async () => {
      const spec = { base_url: address.trim(), timeout_ms: Math.round(Number(timeoutS) * 1000), settings: JSON.parse(settings) as Record<string, never>, ...secretOf(secret, drop) };
      if (known === null) return take(api.POST("/api/v1/providers", { body: { name: name.trim(), ...spec } }));
      return take(api.PUT("/api/v1/providers/{name}", { params: { path: { name: known.name } }, body: spec }));
    },
    onSuccess: () => { void queries.invalidateQueries({ queryKey: PROVIDERS }); close(); },
    gcTime: 0,
  });
  const moved = known !== null && known.has_secret && address.trim() !== known.base_url;

  function submit(event: FormEvent) {
    event.preventDefault();
    save.mutate();
  }

  return (
    <form onSubmit={submit} autoComplete="off">
      <Stack gap="sm">
        {known === null && <TextInput label="Name" description="The first part of provider/model." placeholder="openai" value={name} onChange={(event) => setName(event.currentTarget.value)} required maxLength={100} data-autofocus />}
        <TextInput label="Address" description="Where its OpenAI-compatible API begins." placeholder="https://api.openai.com/v1" type="url" value={address} onChange={(event) => setAddress(event.currentTarget.value)} required />
        <PasswordInput
          label="API key" autoComplete="new-password" value={secret} onChange={(event) => setSecret(event.currentTarget.value)} disabled={drop} visibilityToggleButtonProps={{ "aria-label": "Show the API key" }}
          description={known?.has_secret ? "One is stored. It cannot be read; leave this empty to keep it." : "It is stored encrypted and cannot be read again."}
        />
        {moved && secret === "" && <Text size="xs" fw={600} role="status">The stored key belongs to the old address and is dropped with it.</Text>}
        {known?.has_secret && <Checkbox size="xs" label="Drop the stored key" checked={drop} onChange={(event) => setDrop(event.currentTarget.checked)} />}
        <NumberInput label="Timeout of one attempt, seconds" min={0.1} max={TIMEOUT_MAX_S} value={timeoutS} onChange={setTimeoutS} />
        <Textarea label="Settings" description="A JSON object for the gateway." value={settings} onChange={(event) => setSettings(event.currentTarget.value)} autosize minRows={2} maxRows={10} classNames={{ input: "mono" }} spellCheck={false} />
        {save.isError && <Failed error={save.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>Cancel</Button>
          <Button type="submit" loading={save.isPending}>{known === null ? "Add" : "Save"}</Button>
        </Group>
      </Stack>
    </form>
  );
}

function Remove({ removing, close }: { removing: Provider | null; close: () => void }) {
  const queries = useQueryClient();
  return (
    <Confirm
      subject={removing} close={close} title={(provider) => `Remove ${provider.name}?`} verb="Remove"
      act={async (provider) => {
        await take(api.DELETE("/api/v1/providers/{name}", { params: { path: { name: provider.name } } }));
        await queries.invalidateQueries({ queryKey: PROVIDERS });
      }}
    >
      Its secret is deleted with it. Calls that name it fail from then on; their traces stay.
    </Confirm>
  );
}
