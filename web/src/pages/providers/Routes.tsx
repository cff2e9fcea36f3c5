/** Routes: model names of one's own, each with the targets that may answer, and where they come from. */

import { Badge, Button, Group, Modal, NumberInput, Stack, Table, Textarea, TextInput, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, take, type Schemas } from "../../api/client";
import { duration } from "../../lib/format";
import { readTargets, writeTargets } from "../../lib/targets";
import { Confirm } from "../../parts/Confirm";
import { Empty, Failed, Waiting } from "../../parts/states";
import { useSession } from "../../signin/session";

type Route = Schemas["Route"];

const ROUTES = ["routes"];
const TIMEOUT_MAX_S = 3_600;
const RETRIES_MAX = 10;

export function Routes() {
  const { may } = useSession();
  const asked = useQuery({ queryKey: ROUTES, queryFn: () => take(api.GET("/api/v1/routes")) });
  const [editing, setEditing] = useState<Route | "new" | null>(null);
  const [removing, setRemoving] = useState<Route | null>(null);
  const routes = asked.data?.data ?? [];
  const add = may("admin") ? <Button variant="default" onClick={() => setEditing("new")}>Add route</Button> : null;
  return (
    <Stack gap="sm">
      <Group justify="space-between"><Title order={2}>Routes</Title>{add}</Group>
      {asked.isPending && <Waiting what="Loading the routes" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && routes.length === 0 && (
        <Empty title="No routes yet" action={add}>
          A route gives several targets one model name; when one fails, the next answers. Programs ask for the name and never change.
        </Empty>
      )}
      {routes.length > 0 && <RouteTable routes={routes} edit={may("admin") ? setEditing : null} remove={setRemoving} />}
      <Modal opened={editing !== null} onClose={() => setEditing(null)} title={editing === null || editing === "new" ? "Add a route" : `Change ${editing.name}`} closeButtonProps={{ "aria-label": "Close" }}>
        {editing !== null && <Form known={editing === "new" ? null : editing} close={() => setEditing(null)} />}
      </Modal>
      <Remove removing={removing} close={() => setRemoving(null)} />
    </Stack>
  );
}

function RouteTable({ routes, edit, remove }: { routes: readonly Route[]; edit: ((route: Route) => void) | null; remove: (route: Route) => void }) {
  return (
    <Table.ScrollContainer minWidth={720}>
      <Table highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            <Table.Th scope="col">Name</Table.Th><Table.Th scope="col">Targets, in order</Table.Th>
            <Table.Th scope="col" className="num">Retries</Table.Th><Table.Th scope="col" className="num">Timeout</Table.Th>
            <Table.Th scope="col">From</Table.Th><Table.Td />
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {routes.map((route) => (
            <Table.Tr key={route.name}>
              <Table.Td>{route.name}</Table.Td>
              <Table.Td className="mono">{route.targets.map((target) => `${target.provider}/${target.model}`).join(" → ")}</Table.Td>
              <Table.Td className="num">{route.retries ?? "default"}</Table.Td>
              <Table.Td className="num">{route.timeout_ms ? duration(route.timeout_ms) : "default"}</Table.Td>
              <Table.Td>{route.origin === "file" ? <Badge variant="default">quarterdeck.toml</Badge> : <Badge variant="default">project</Badge>}</Table.Td>
              <Table.Td>{route.origin === "project" && edit && <Actions route={route} edit={edit} remove={remove} />}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Actions({ route, edit, remove }: { route: Route; edit: (route: Route) => void; remove: (route: Route) => void }) {
  return (
    <Group gap={4} justify="flex-end" wrap="nowrap">
      <Button variant="default" size="compact-xs" onClick={() => edit(route)} aria-label={`Edit ${route.name}`}>Edit</Button>
      <Button variant="subtle" color="red" size="compact-xs" onClick={() => remove(route)} aria-label={`Remove ${route.name}`}>Remove</Button>
    </Group>
  );
}

/** A number that was typed, or null for an empty field. */
function numberOf(typed: number | string): number | null {
  return typed === "" ? null : Number(typed);
}

function Form({ known, close }: { known: Route | null; close: () => void }) {
  const queries = useQueryClient();
  const [name, setName] = useState(known?.name ?? "");
  const [targets, setTargets] = useState(writeTargets(known?.targets ?? []));
  const [retries, setRetries] = useState<number | string>(known?.retries ?? "");
  const [timeoutS, setTimeoutS] = useState<number | string>(known?.timeout_ms ? known.timeout_ms / 1000 : "");
  const save = useMutation({
    mutationFn: async () => {
      const timeout = numberOf(timeoutS);
      const spec = { targets: readTargets(targets), retries: numberOf(retries), timeout_ms: timeout === null ? null : Math.round(timeout * 1000) };
      if (known === null) return take(api.POST("/api/v1/routes", { body: { name: name.trim(), ...spec } }));
      return take(api.PUT("/api/v1/routes/{name}", { params: { path: { name: known.name } }, body: spec }));
    },
    onSuccess: () => { void queries.invalidateQueries({ queryKey: ROUTES }); close(); },
  });

  function submit(event: FormEvent) {
    event.preventDefault();
    save.mutate();
  }

  return (
    <form onSubmit={submit} autoComplete="off">
      <Stack gap="sm">
        {known === null && <TextInput label="Name" description="What programs put into model." placeholder="writer" value={name} onChange={(event) => setName(event.currentTarget.value)} required maxLength={256} data-autofocus />}
        <Textarea
          label="Targets" description="One provider/model a line, tried in this order. The engine in this server is local/…" placeholder={"openai/gpt-4o-mini\nlocal/smollm2-135m-instruct"}
          value={targets} onChange={(event) => setTargets(event.currentTarget.value)} autosize minRows={3} maxRows={16} classNames={{ input: "mono" }} spellCheck={false} required
        />
        <NumberInput label="Retries of each target" description="Empty: as the gateway is configured." min={0} max={RETRIES_MAX} allowDecimal={false} value={retries} onChange={setRetries} />
        <NumberInput label="Timeout of one attempt, seconds" description="Empty: the provider's own." min={0.1} max={TIMEOUT_MAX_S} value={timeoutS} onChange={setTimeoutS} />
        {save.isError && <Failed error={save.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>Cancel</Button>
          <Button type="submit" loading={save.isPending}>{known === null ? "Add" : "Save"}</Button>
        </Group>
      </Stack>
    </form>
  );
}

function Remove({ removing, close }: { removing: Route | null; close: () => void }) {
  const queries = useQueryClient();
  return (
    <Confirm
      subject={removing} close={close} title={(route) => `Remove ${route.name}?`} verb="Remove"
      act={async (route) => {
        await take(api.DELETE("/api/v1/routes/{name}", { params: { path: { name: route.name } } }));
        await queries.invalidateQueries({ queryKey: ROUTES });
      }}
    >
      Calls that ask for it fail from then on, unless quarterdeck.toml has a route of the same name; their traces stay.
    </Confirm>
  );
}
