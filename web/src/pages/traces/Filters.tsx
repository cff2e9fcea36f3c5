/** What narrows the list: a text, and any parameter that the server knows. */

import { Button, Group, Pill, Popover, Select, Stack, TextInput } from "@mantine/core";
import { type FormEvent, useEffect, useState } from "react";
import { FILTER_LABELS, FILTERS, type FilterName, type Filters, filterText, KINDS, STATUSES } from "../../lib/traceFilter";

interface Props {
  filters: Filters;
  change: (changes: Filters) => void;
}

export function FilterBar({ filters, change }: Props) {
  const active = FILTERS.filter((name) => filters[name] !== undefined && name !== "text");
  return (
    <>
      <Search text={filters.text ?? ""} change={(text) => change({ text })} />
      <Choice name="kind" values={KINDS} filters={filters} change={change} />
      <Choice name="status" values={STATUSES} filters={filters} change={change} />
      <More filters={filters} change={change} />
      <Group gap={4}>
        {active.filter((name) => name !== "kind" && name !== "status").map((name) => (
          <Pill key={name} withRemoveButton onRemove={() => change({ [name]: "" })} removeButtonProps={{ "aria-label": `Remove the filter ${FILTER_LABELS[name]}` }}>
            {filterText(name, filters[name])}
          </Pill>
        ))}
        {Object.keys(filters).length > 1 && <Button variant="subtle" size="compact-xs" onClick={() => change(Object.fromEntries(FILTERS.map((name) => [name, ""])))}>Clear all</Button>}
      </Group>
    </>
  );
}

/** Enter asks the server: a search in texts reads them, so it does not follow every key. */
function Search({ text, change }: { text: string; change: (text: string) => void }) {
  const [typed, setTyped] = useState(text);
  useEffect(() => setTyped(text), [text]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    change(typed);
  };
  return (
    <form onSubmit={submit} role="search">
      <TextInput
        data-search w={260} type="search" placeholder="Search in input and output" aria-label="Search in input and output" value={typed}
        onChange={(event) => { setTyped(event.currentTarget.value); if (event.currentTarget.value === "" && text !== "") change(""); }}
        onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
      />
    </form>
  );
}

function Choice({ name, values, filters, change }: Props & { name: FilterName; values: readonly string[] }) {
  const label = FILTER_LABELS[name];
  return <Select w={116} data={values} value={filters[name] ?? null} onChange={(value) => change({ [name]: value ?? "" })} placeholder={`Any ${label.toLowerCase()}`} aria-label={label} clearable clearButtonProps={{ "aria-label": `Clear ${label.toLowerCase()}` }} />;
}

const MORE: readonly FilterName[] = ["model", "provider", "prompt", "name", "user", "session", "tag", "environment", "min_latency_ms"];

function More({ filters, change }: Props) {
  const [opened, setOpened] = useState(false);
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-start" trapFocus withinPortal shadow="md">
      <Popover.Target><Button variant="default" onClick={() => setOpened(!opened)} aria-expanded={opened}>Filter…</Button></Popover.Target>
      <Popover.Dropdown aria-label="Filters">
        {opened && <Form filters={filters} change={(changes) => { change(changes); setOpened(false); }} />}
      </Popover.Dropdown>
    </Popover>
  );
}

function Form({ filters, change }: Props) {
  const [typed, setTyped] = useState<Filters>(filters);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    change(Object.fromEntries(MORE.map((name) => [name, typed[name] ?? ""])));
  };
  return (
    <form onSubmit={submit}>
      <Stack gap={6} w={240}>
        {MORE.map((name, at) => (
          <TextInput
            key={name} label={FILTER_LABELS[name]} value={typed[name] ?? ""} inputMode={name === "min_latency_ms" ? "decimal" : undefined} data-autofocus={at === 0 || undefined}
            onChange={(event) => { const { value } = event.currentTarget; setTyped((old) => ({ ...old, [name]: value })); }}
          />
        ))}
        <Button type="submit" mt={4}>Apply</Button>
      </Stack>
    </form>
  );
}
