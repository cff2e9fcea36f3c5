/** What narrows the list: a text, and any parameter that the server knows. */

import { Button, Group, Popover, Select, SimpleGrid, TextInput } from "@mantine/core";
import { type FormEvent, useEffect, useState } from "react";
import { FILTER_LABELS, FILTERS, type FilterName, type Filters, filterText, type GroupFilter, groupText, KINDS, NO_FILTERS, shownValue, STATUSES, valueOf } from "../../lib/traceFilter";
import { FilterPill } from "../../parts/FilterPill";
import "./filters.css";

interface Props {
  filters: Filters;
  change: (changes: Filters) => void;
}

export function FilterBar({ filters, change }: Props) {
  return (
    <>
      <Search text={filters.text ?? ""} change={(text) => change({ text })} />
      <Choice name="kind" values={KINDS} filters={filters} change={change} />
      <Choice name="status" values={STATUSES} filters={filters} change={change} />
      <More filters={filters} change={change} />
      <Chips filters={filters} change={change} />
    </>
  );
}

/** Those that have a field of their own. */
const IN_SIGHT: readonly FilterName[] = ["text", "kind", "status"];

/** The filters that no field shows, on a line of their own, each with a cross to take it away. */
function Chips({ filters, change }: Props) {
  const named = FILTERS.filter((name) => filters[name] !== undefined && !IN_SIGHT.includes(name));
  const many = Object.keys(filters).length > 1;
  if (named.length === 0 && filters.group == null && !many) return null;
  return (
    <Group gap={4} className="filter-chips">
      {named.map((name) => (
        <FilterPill key={name} text={filterText(name, filters[name]!)} away={`Remove the filter ${FILTER_LABELS[name]}`} remove={() => change({ [name]: "" })} />
      ))}
      {filters.group != null && <GroupChip group={filters.group} remove={() => change({ group: null })} />}
      {many && <Button variant="subtle" size="compact-xs" onClick={() => change(NO_FILTERS)}>Clear all</Button>}
    </Group>
  );
}

function GroupChip({ group, remove }: { group: GroupFilter; remove: () => void }) {
  const { text, meaning } = groupText(group);
  return <FilterPill text={text} title={meaning} away={`Remove the filter ${text}`} remove={remove} />;
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

const MORE: readonly FilterName[] = ["model", "provider", "prompt", "name", "user", "session", "tag", "environment", "min_latency_ms", "min_ttft_ms", "min_input_tokens", "min_output_tokens", "min_cost_picodollars"];

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
  const [typed, setTyped] = useState<Partial<Record<FilterName, string>>>(() => Object.fromEntries(MORE.map((name) => [name, shownValue(name, filters[name] ?? "")])));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    change(Object.fromEntries(MORE.map((name) => [name, valueOf(name, typed[name] ?? "")])));
  };
  return (
    <form onSubmit={submit}>
      <SimpleGrid cols={2} spacing="xs" verticalSpacing={6} w={420} maw="80vw">
        {MORE.map((name, at) => (
          <TextInput
            key={name} label={FILTER_LABELS[name]} value={typed[name] ?? ""} inputMode={name.startsWith("min_") ? "decimal" : undefined} data-autofocus={at === 0 || undefined}
            onChange={(event) => { const { value } = event.currentTarget; setTyped((old) => ({ ...old, [name]: value })); }}
          />
        ))}
      </SimpleGrid>
      <Button type="submit" mt="sm" fullWidth>Apply</Button>
    </form>
  );
}
