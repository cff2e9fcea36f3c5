/** Saved views: an address of this page under a name, for everyone in the project. */

import { ActionIcon, Button, Group, Popover, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Link, useLocation } from "react-router";
import { api, type Schemas, take } from "../../api/client";
import { Failed, Waiting } from "../../parts/states";
import { useSession } from "../../signin/session";

type View = Schemas["View"];

const VIEWS = ["views"];
/** What belongs to the moment and not to the view. */
const PASSING = ["selected", "span"];

export function ViewMenu() {
  const [opened, setOpened] = useState(false);
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-end" withinPortal shadow="md" trapFocus>
      <Popover.Target><Button variant="default" onClick={() => setOpened(!opened)}>Views</Button></Popover.Target>
      <Popover.Dropdown aria-label="Saved views">{opened && <Views close={() => setOpened(false)} />}</Popover.Dropdown>
    </Popover>
  );
}

function Views({ close }: { close: () => void }) {
  const { may } = useSession();
  const queries = useQueryClient();
  const asked = useQuery({ queryKey: VIEWS, queryFn: () => take(api.GET("/api/v1/views")) });
  const forget = useMutation({
    mutationFn: (name: string) => take(api.DELETE("/api/v1/views/{name}", { params: { path: { name } } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: VIEWS }),
  });
  // Other pages may keep views too; an address comes from a colleague, so only those of this page are followed.
  const views = asked.data?.data.filter((view) => /^\/traces(\?|$)/.test(view.address)) ?? [];
  return (
    <Stack gap={4} w={260}>
      {asked.isPending && <Waiting what="Loading the views" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && views.length === 0 && <Text size="xs" c="dimmed">A view keeps filters, time range and columns under a name, for everyone in the project.</Text>}
      {views.map((view) => <Line key={view.name} view={view} close={close} forget={may("write") ? () => forget.mutate(view.name) : null} />)}
      {forget.isError && <Failed error={forget.error} />}
      {may("write") && <Save views={views} />}
    </Stack>
  );
}

function Line({ view, close, forget }: { view: View; close: () => void; forget: (() => void) | null }) {
  return (
    <Group gap={4} wrap="nowrap">
      <Button component={Link} to={view.address} onClick={close} variant="subtle" size="compact-xs" justify="flex-start" flex={1} title={view.address}>{view.name}</Button>
      {forget !== null && <ActionIcon variant="subtle" color="gray" size="sm" aria-label={`Forget the view ${view.name}`} onClick={forget}>×</ActionIcon>}
    </Group>
  );
}

/** Saves what is in sight; the name of a view that there is already gives it this address. */
function Save({ views }: { views: readonly View[] }) {
  const queries = useQueryClient();
  const { search } = useLocation();
  const [typed, setTyped] = useState("");
  const name = typed.trim().replaceAll(/\s+/g, "-");
  const save = useMutation({
    mutationFn: () => take(api.PUT("/api/v1/views/{name}", { params: { path: { name } }, body: { address: addressOf(search) } })),
    onSuccess: () => {
      setTyped("");
      return queries.invalidateQueries({ queryKey: VIEWS });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Group gap={4} wrap="nowrap">
        <TextInput placeholder="Name of this view" aria-label="Name of this view" value={typed} onChange={(event) => setTyped(event.currentTarget.value)} maxLength={80} flex={1} />
        <Button type="submit" disabled={name === ""} loading={save.isPending}>{views.some((view) => view.name === name) ? "Change" : "Save"}</Button>
      </Group>
      {save.isError && <Failed error={save.error} />}
    </form>
  );
}

function addressOf(search: string): string {
  const params = new URLSearchParams(search);
  PASSING.forEach((key) => params.delete(key));
  return params.size === 0 ? "/traces" : `/traces?${params}`;
}
