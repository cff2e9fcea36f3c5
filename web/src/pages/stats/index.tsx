/** What many calls come to: speed by group, lines by length, errors, budgets, retries. Every number leads to the calls behind it. */

import { ActionIcon, Group, Select, Stack, Text, Title, Tooltip } from "@mantine/core";
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useSearchParams } from "react-router";
import { FILTER_LABELS, filtersOf, filterText, GROUP_LABELS, GROUPS, STATS_FILTERS, withFilters } from "../../lib/traceFilter";
import { FilterPill } from "../../parts/FilterPill";
import { Failed, Waiting } from "../../parts/states";
import { groupOf, statsQuery } from "./ask";
import { Budgets } from "./Budgets";
import { Errors } from "./Errors";
import { Length } from "./Length";
import { Retries } from "./Retries";
import { Speed } from "./Speed";
import "../../parts/virtual.css";
import "./stats.css";

export default function StatsPage() {
  const [params] = useSearchParams();
  const asked = useQuery({ ...statsQuery(params), placeholderData: keepPreviousData });
  return (
    <Stack gap="md">
      <Head />
      {asked.isPending && <Waiting what="Loading the statistics" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && asked.data.total.requests === 0 && <Text c="dimmed">No model was called in this time. The time range above reaches further back.</Text>}
      {asked.data && asked.data.total.requests > 0 && (
        <>
          <Section title="Speed, tokens and cost"><Speed stats={asked.data} by={groupOf(params)} /></Section>
          <Section title="Latency by length of the answer"><Length /></Section>
          <Section title="What went wrong"><Errors /></Section>
          <Section title="Retries and fallbacks"><Retries /></Section>
        </>
      )}
      <Section title="Budgets"><Budgets /></Section>
    </Stack>
  );
}

function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section aria-label={title}>
      <Title order={2} size="md" mb={6}>{title}</Title>
      {children}
    </section>
  );
}

function Head() {
  const [params, setParams] = useSearchParams();
  const queries = useQueryClient();
  const filters = filtersOf(params);
  const group = (value: string | null) => {
    const next = new URLSearchParams(params);
    if (value === null || value === "model") next.delete("by");
    else next.set("by", value);
    setParams(next);
  };
  const again = () => void Promise.all([["stats"], ["budgets"]].map((queryKey) => queries.invalidateQueries({ queryKey })));
  return (
    <Group gap={6}>
      <Title order={1} mr={4}>Stats</Title>
      <Select w={160} data={GROUPS.map((name) => ({ value: name, label: `by ${GROUP_LABELS[name].toLowerCase()}` }))} value={groupOf(params)} onChange={group} aria-label="Group by" allowDeselect={false} />
      {STATS_FILTERS.filter((name) => filters[name] !== undefined).map((name) => (
        <FilterPill key={name} text={filterText(name, filters[name]!)} away={`Remove the filter ${FILTER_LABELS[name]}`} remove={() => setParams(withFilters(params, { [name]: "" }))} />
      ))}
      <Tooltip label="Ask again"><ActionIcon ml="auto" variant="default" size={30} aria-label="Ask again" onClick={again}>↻</ActionIcon></Tooltip>
    </Group>
  );
}
