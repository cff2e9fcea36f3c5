/** Which columns the list has, and the views that were saved. */

import { ActionIcon, Button, Checkbox, Group, Popover, Stack, Text, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { Link, useLocation } from "react-router";
import { useStored } from "../../lib/stored";
import { COLUMNS, USUAL_COLUMNS } from "./columns";

export function ColumnMenu({ chosen, choose }: { chosen: readonly string[]; choose: (keys: string[]) => void }) {
  const toggle = (key: string) => choose(chosen.includes(key) ? chosen.filter((known) => known !== key) : [...chosen, key]);
  return (
    <Popover position="bottom-end" withinPortal shadow="md" trapFocus>
      <Popover.Target><Button variant="default">Columns</Button></Popover.Target>
      <Popover.Dropdown aria-label="Columns">
        <Stack gap={5}>
          {COLUMNS.map((column) => <Checkbox key={column.key} size="xs" label={column.title} checked={chosen.includes(column.key)} onChange={() => toggle(column.key)} />)}
          <Button variant="subtle" size="compact-xs" onClick={() => choose([...USUAL_COLUMNS])}>The usual ones</Button>
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}

interface View {
  name: string;
  address: string;
}

/** So many views are kept. */
const MOST_VIEWS = 100;

/** Addresses come from storage, so only those of this page are followed. */
const isViews = (value: unknown): value is View[] =>
  Array.isArray(value) && value.every((view) => typeof view?.name === "string" && typeof view?.address === "string" && /^\/traces(\?|$)/.test(view.address));

/** A view is an address with a name: filters, range and columns. */
export function ViewMenu() {
  const [views, setViews] = useStored<View[]>("views", [], isViews);
  const [opened, setOpened] = useState(false);
  const [name, setName] = useState("");
  const { search } = useLocation();
  const save = (event: FormEvent) => {
    event.preventDefault();
    const wanted = name.trim();
    if (wanted === "") return;
    const params = new URLSearchParams(search);
    ["selected", "span"].forEach((key) => params.delete(key));
    setViews([...views.filter((view) => view.name !== wanted), { name: wanted, address: `/traces?${params}` }].slice(-MOST_VIEWS));
    setName("");
  };
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-end" withinPortal shadow="md" trapFocus>
      <Popover.Target><Button variant="default" onClick={() => setOpened(!opened)} aria-expanded={opened}>Views</Button></Popover.Target>
      <Popover.Dropdown aria-label="Saved views">
        <Stack gap={4} w={240}>
          {views.length === 0 && <Text size="xs" c="dimmed">A view keeps filters, time range and columns under a name.</Text>}
          {views.map((view) => (
            <Group key={view.name} gap={4} wrap="nowrap">
              <Button component={Link} to={view.address} onClick={() => setOpened(false)} variant="subtle" size="compact-xs" justify="flex-start" flex={1}>{view.name}</Button>
              <ActionIcon variant="subtle" color="gray" size="sm" aria-label={`Forget the view ${view.name}`} onClick={() => setViews(views.filter((known) => known !== view))}>×</ActionIcon>
            </Group>
          ))}
          <form onSubmit={save}>
            <Group gap={4} wrap="nowrap">
              <TextInput placeholder="Name of this view" aria-label="Name of this view" value={name} onChange={(event) => setName(event.currentTarget.value)} maxLength={80} flex={1} />
              <Button type="submit" disabled={name.trim() === ""}>Save</Button>
            </Group>
          </form>
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}
