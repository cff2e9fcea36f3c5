/** How far budgets are used, and for administrators making and removing them. */

import { Alert, Badge, Button, Group, Modal, Progress, Select, Stack, Table, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, take } from "../../api/client";
import { percent, time } from "../../lib/format";
import { amount, budgetOf, limitOf } from "../../lib/statistics";
import { Confirm } from "../../parts/Confirm";
import { Failed, Waiting } from "../../parts/states";
import { useSession } from "../../signin/session";
import { type Budget, BUDGETS, budgetsQuery } from "./ask";

const STATES: Record<string, { text: string; color: string }> = {
  within: { text: "within", color: "teal" }, ahead: { text: "will be passed", color: "orange" }, reached: { text: "reached", color: "red" },
};
const PERIODS = [{ value: "day", label: "a day" }, { value: "week", label: "a week, from Monday on" }, { value: "month", label: "a month" }];
const SCOPES = [{ value: "", label: "All calls" }, ...["model", "provider", "user", "environment", "prompt"].map((by) => ({ value: by, label: `Of one ${by}` }))];

export function Budgets() {
  const { may } = useSession();
  const asked = useQuery(budgetsQuery);
  const [making, setMaking] = useState(false);
  const [removing, setRemoving] = useState<Budget | null>(null);
  const queries = useQueryClient();
  const admin = may("admin");
  if (asked.isPending) return <Waiting what="Loading the budgets" />;
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  const budgets = asked.data.data;
  const remove = async ({ name }: Budget) => {
    await take(api.DELETE("/api/v1/budgets/{name}", { params: { path: { name } } }));
    await queries.invalidateQueries({ queryKey: BUDGETS });
  };
  return (
    <>
      {budgets.length === 0 && <Text size="sm" c="dimmed">A budget says what calls may come to in a day, a week or a month. {admin ? "There is none yet." : "There is none; an admin can add one."}</Text>}
      {budgets.length > 0 && <BudgetTable budgets={budgets} remove={admin ? setRemoving : null} />}
      {admin && <Button mt={6} variant="default" size="xs" onClick={() => setMaking(true)}>New budget</Button>}
      <Text size="xs" c="dimmed" mt={4}>Periods are by UTC. No call is refused because of a budget.</Text>
      <Modal opened={making} onClose={() => setMaking(false)} title="New budget" closeButtonProps={{ "aria-label": "Close" }}><NewBudget close={() => setMaking(false)} /></Modal>
      <Confirm subject={removing} close={() => setRemoving(null)} title={(budget) => `Remove the budget ${budget.name}?`} verb="Remove" act={remove}>Its calls stay as they are; only the limit goes.</Confirm>
    </>
  );
}

function BudgetTable({ budgets, remove }: { budgets: readonly Budget[]; remove: ((budget: Budget) => void) | null }) {
  return (
    <Table.ScrollContainer minWidth={760}>
      <Table aria-label="Budgets">
        <Table.Thead><Table.Tr>{["Budget", "Of", "Limit", "Used", "", "At the end of the period", "State"].map((head, at) => <Table.Th key={at} scope="col" className={at === 2 || at === 3 || at === 5 ? "num" : ""}>{head}</Table.Th>)}<Table.Td /></Table.Tr></Table.Thead>
        <Table.Tbody>
          {budgets.map((budget) => {
            const { text, color } = STATES[budget.state] ?? { text: budget.state, color: "gray" };
            return (
              <Table.Tr key={budget.name}>
                <Table.Td>{budget.name}</Table.Td>
                <Table.Td>{budget.by == null ? "all calls" : `${budget.by} ${budget.value}`}</Table.Td>
                <Table.Td className="num">{limitOf(budget)} a {budget.period}</Table.Td>
                <Table.Td className="num" title={`since ${time(budget.period_start)}`}>{amount(budget, budget.used)} · {percent(budget.used_share)}</Table.Td>
                <Table.Td w={140}><Progress value={Math.min(100, 100 * budget.used_share)} color={color} aria-label={`${budget.name}: ${percent(budget.used_share)} used`} /></Table.Td>
                <Table.Td className="num">{budget.projected == null ? "too early to say" : amount(budget, budget.projected)}</Table.Td>
                <Table.Td><Badge color={color} variant="outline">{text}</Badge></Table.Td>
                <Table.Td ta="right">{remove !== null && <Button variant="subtle" color="red" size="compact-xs" onClick={() => remove(budget)} aria-label={`Remove ${budget.name}`}>Remove</Button>}</Table.Td>
              </Table.Tr>
            );
          })}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function NewBudget({ close }: { close: () => void }) {
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const [typed, setTyped] = useState({ period: "month", unit: "money", limit: "", by: "", value: "" });
  const [problem, setProblem] = useState<string | null>(null);
  const made = useMutation({
    mutationFn: async () => {
      const body = budgetOf(typed);
      if (typeof body === "string") throw new Error(body);
      await take(api.PUT("/api/v1/budgets/{name}", { params: { path: { name: name.trim() } }, body }));
      await queries.invalidateQueries({ queryKey: BUDGETS });
    },
    onSuccess: close,
    onError: (error) => setProblem(error.message),
  });
  const set = (changes: Partial<typeof typed>) => setTyped({ ...typed, ...changes });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setProblem(name.trim() === "" ? "Give the budget a name." : null);
    if (name.trim() !== "") made.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="xs">
        <TextInput label="Name" value={name} onChange={(event) => setName(event.currentTarget.value)} data-autofocus />
        <Group grow>
          <TextInput label="Limit" inputMode="decimal" value={typed.limit} onChange={(event) => set({ limit: event.currentTarget.value })} />
          <Select label="In" data={[{ value: "money", label: "US dollars" }, { value: "tokens", label: "tokens" }]} value={typed.unit} onChange={(unit) => set({ unit: unit ?? "money" })} allowDeselect={false} />
          <Select label="For" data={PERIODS} value={typed.period} onChange={(period) => set({ period: period ?? "month" })} allowDeselect={false} />
        </Group>
        <Group grow>
          <Select label="Which calls" data={SCOPES} value={typed.by} onChange={(by) => set({ by: by ?? "" })} allowDeselect={false} />
          {typed.by !== "" && <TextInput label={`Which ${typed.by}`} value={typed.value} onChange={(event) => set({ value: event.currentTarget.value })} />}
        </Group>
        {problem !== null && <Alert color="red" role="alert" p="xs">{problem}</Alert>}
        <Group justify="flex-end"><Button type="submit" loading={made.isPending}>Create</Button></Group>
      </Stack>
    </form>
  );
}
