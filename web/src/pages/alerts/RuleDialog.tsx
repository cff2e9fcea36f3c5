/** The form of a rule, beside what it would have done. */

import { Button, Grid, Group, Modal, MultiSelect, NumberInput, SegmentedControl, Select, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, take, type Schemas } from "../../api/client";
import { FILTERS, formOf, KINDS, MEASURES, NEW_RULE, type RuleForm, ruleOf, WINDOWS } from "../../lib/alertRule";
import { Failed } from "../../parts/states";
import { useSession } from "../../signin/session";
import { type Alert, ALERTS, RECEIVERS } from "./ask";
import { Preview } from "./Preview";

export function RuleDialog({ editing, close }: { editing: Alert | "new" | null; close: () => void }) {
  const title = editing === null || editing === "new" ? "Add a rule" : `Change ${editing.name}`;
  return (
    <Modal opened={editing !== null} onClose={close} title={title} size="70rem" closeButtonProps={{ "aria-label": "Close" }}>
      {editing !== null && <Form known={editing === "new" ? null : editing} close={close} />}
    </Modal>
  );
}

export interface Fields {
  form: RuleForm;
  set: (change: Partial<RuleForm>) => void;
}

function Form({ known, close }: { known: Alert | null; close: () => void }) {
  const queries = useQueryClient();
  const [form, setForm] = useState<RuleForm>(() => (known === null ? NEW_RULE : formOf(known)));
  const fields: Fields = { form, set: (change) => setForm((old) => ({ ...old, ...change })) };
  const save = useMutation({
    mutationFn: () => {
      const body = ruleOf(form, known) as unknown as Schemas["AlertSpec"];
      if (known === null) return take(api.POST("/api/v1/alerts/rules", { body }));
      return take(api.PUT("/api/v1/alerts/rules/{name}", { params: { path: { name: known.name } }, body }));
    },
    onSuccess: () => { void queries.invalidateQueries({ queryKey: ALERTS }); close(); },
  });

  function submit(event: FormEvent) {
    event.preventDefault();
    save.mutate();
  }

  return (
    <form onSubmit={submit} autoComplete="off">
      <Grid gap="lg">
        <Grid.Col span={{ base: 12, md: 6 }}>
          <Stack gap="sm">
            {known === null && <TextInput label="Name" description="Lower-case letters, digits, - _ and dots." placeholder="slow-answers" value={form.name} onChange={(event) => fields.set({ name: event.currentTarget.value })} required maxLength={64} data-autofocus />}
            <Reading {...fields} />
            <ConditionFields {...fields} />
          </Stack>
        </Grid.Col>
        <Grid.Col span={{ base: 12, md: 6 }}>
          <Stack gap="sm">
            <Preview form={form} known={known} />
            <Telling {...fields} />
          </Stack>
        </Grid.Col>
      </Grid>
      {save.isError && <Failed error={save.error} />}
      <Group justify="flex-end" mt="sm">
        <Button variant="default" onClick={close}>Cancel</Button>
        <Button type="submit" loading={save.isPending}>{known === null ? "Add" : "Save"}</Button>
      </Group>
    </form>
  );
}

function Reading({ form, set }: Fields) {
  const { may } = useSession();
  const scores = form.kind !== "absence" && form.measure === "score";
  return (
    <>
      {may("admin") && (
        <SegmentedControl
          fullWidth aria-label="What is read" value={form.source} onChange={(source) => set({ source: source === "sql" ? "sql" : "measure", ...(source === "sql" && !["threshold", "change"].includes(form.kind) ? { kind: "threshold" } : {}) })}
          data={[{ value: "measure", label: "A measure" }, { value: "sql", label: "SQL" }]}
        />
      )}
      {form.source === "sql" ? (
        <Textarea
          label="Statement" description="One row with one number. $1 and $2 are when the window begins and ends." value={form.sql} onChange={(event) => set({ sql: event.currentTarget.value })} autosize minRows={3} maxRows={12}
          classNames={{ input: "mono" }} spellCheck={false} required placeholder={"SELECT count(*) FROM spans\nWHERE kind = 'tool' AND status = 'error' AND start_time >= $1 AND start_time < $2"}
        />
      ) : (
        <>
          {form.kind !== "absence" && <Select label="Measure" data={MEASURES} value={form.measure} onChange={(measure) => measure && set({ measure })} allowDeselect={false} />}
          {scores && <TextInput label="Score" description="The name of the scores whose mean is read." value={form.score} onChange={(event) => set({ score: event.currentTarget.value })} required />}
          {!scores && (
            <Group grow gap="xs">
              {FILTERS.map((name) => <TextInput key={name} label={name[0]!.toUpperCase() + name.slice(1)} placeholder="any" value={form.filters[name]} onChange={(event) => set({ filters: { ...form.filters, [name]: event.currentTarget.value } })} />)}
            </Group>
          )}
        </>
      )}
      <Select label="Over the last" data={known(WINDOWS, form.window)} value={form.window} onChange={(window) => window && set({ window })} allowDeselect={false} />
    </>
  );
}

/** A rule of the command line may have a window that the list lacks. */
function known(data: typeof WINDOWS, value: string): typeof WINDOWS {
  return data.some((one) => one.value === value) ? data : [...data, { value, label: `${value} seconds` }];
}

const SIDES = [{ value: "above", label: "above" }, { value: "below", label: "below" }];

function ConditionFields(fields: Fields) {
  const { form, set } = fields;
  const kinds = form.source === "sql" ? KINDS.slice(0, 2) : KINDS;
  return (
    <>
      <Select label="Tell when it" data={kinds} value={form.kind} onChange={(kind) => kind && set({ kind, clear: "" })} allowDeselect={false} />
      {form.kind === "threshold" && <Limit {...fields} />}
      {form.kind === "change" && (
        <>
          <Limit {...fields} />
          <Group grow gap="xs">
            <Select label="Against" data={[{ value: "previous", label: "the window before" }, { value: "day", label: "a day before" }, { value: "week", label: "a week before" }]} value={form.against} onChange={(against) => against && set({ against })} allowDeselect={false} />
            <Select label="In" data={[{ value: "percent", label: "percent" }, { value: "absolute", label: "its own unit" }]} value={form.unit} onChange={(unit) => unit && set({ unit })} allowDeselect={false} />
          </Group>
        </>
      )}
      {form.kind === "budget" && (
        <Group grow gap="xs" align="flex-end">
          <NumberInput label="Budget" description="Dollars, tokens or calls." min={0} value={form.limit} onChange={(limit) => set({ limit })} required />
          <NumberInput label="In days" min={0} max={366} value={form.periodDays} onChange={(periodDays) => set({ periodDays })} required />
          <NumberInput label="Times as fast" min={0} decimalScale={3} value={form.factor} onChange={(factor) => set({ factor })} required />
        </Group>
      )}
      <Group grow gap="xs">
        <NumberInput label="For minutes" description="Before it fires." min={0} value={form.holdMinutes} onChange={(holdMinutes) => set({ holdMinutes })} />
        <NumberInput label="Keep firing for minutes" description="Before it is resolved." min={0} value={form.keepMinutes} onChange={(keepMinutes) => set({ keepMinutes })} />
      </Group>
    </>
  );
}

function Limit({ form, set }: Fields) {
  return (
    <Group grow gap="xs" align="flex-end">
      <Select label="Side" data={SIDES} value={form.direction} onChange={(direction) => direction && set({ direction })} allowDeselect={false} />
      <NumberInput label="Limit" value={form.value} onChange={(value) => set({ value })} required />
      <NumberInput label="Clear at" placeholder="the limit" value={form.clear} onChange={(clear) => set({ clear })} />
    </Group>
  );
}

const MISSING = [
  { value: "quiet", label: "show it, tell nobody" },
  { value: "tell", label: "tell" },
  { value: "firing", label: "fire" },
  { value: "keep", label: "stay as it was" },
];

function Telling({ form, set }: Fields) {
  const receivers = useQuery(RECEIVERS);
  const names = receivers.data?.data.map((receiver) => receiver.name) ?? [];
  return (
    <>
      <Group grow gap="xs">
        <Select label="Severity" data={["info", "warning", "critical"]} value={form.severity} onChange={(severity) => severity && set({ severity })} allowDeselect={false} />
        <Select label="Without data" data={MISSING} value={form.onNoData} onChange={(onNoData) => onNoData && set({ onNoData })} allowDeselect={false} />
      </Group>
      {names.length > 0 && <MultiSelect label="Receivers" placeholder={form.receivers.length === 0 ? "all of the project" : ""} data={names} value={form.receivers} onChange={(chosen) => set({ receivers: chosen })} clearable />}
      <Textarea label="What to know and to do" description="Receivers are sent it." value={form.description} onChange={(event) => set({ description: event.currentTarget.value })} autosize minRows={2} maxRows={6} maxLength={1024} />
      {names.length === 0 && <Text size="xs" c="dimmed">There are no receivers yet: what the rule tells stands in the inbox.</Text>}
    </>
  );
}
