/** Silences: who is not told for now. */

import { Button, Group, Modal, Select, Stack, Table, Text, TextInput, Tooltip } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, take } from "../../api/client";
import { time } from "../../lib/format";
import { Confirm } from "../../parts/Confirm";
import { Empty, Failed, Waiting } from "../../parts/states";
import { useSession } from "../../signin/session";
import { ALERTS, type Silence, SILENCES } from "./ask";

const LENGTHS = [
  { value: "1800", label: "30 minutes" },
  { value: "7200", label: "2 hours" },
  { value: "28800", label: "8 hours" },
  { value: "86400", label: "1 day" },
  { value: "604800", label: "7 days" },
];

export function Silences() {
  const { may } = useSession();
  const asked = useQuery(SILENCES);
  const [making, setMaking] = useState(false);
  const [ending, setEnding] = useState<Silence | null>(null);
  const silences = asked.data?.data ?? [];
  const add = may("write") ? <Button onClick={() => setMaking(true)}>Add silence</Button> : null;
  return (
    <Stack gap="sm">
      <Group justify="space-between"><Text size="sm" c="dimmed">Silenced rules are evaluated, and tell the inbox only.</Text>{add}</Group>
      {asked.isPending && <Waiting what="Loading the silences" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && silences.length === 0 && <Empty title="Nothing is silenced" action={add}>What still fires when a silence ends is told then.</Empty>}
      {silences.length > 0 && <SilenceTable silences={silences} end={may("write") ? setEnding : null} />}
      <Modal opened={making} onClose={() => setMaking(false)} title="Add a silence" closeButtonProps={{ "aria-label": "Close" }}>
        <NewSilence close={() => setMaking(false)} />
      </Modal>
      <End ending={ending} close={() => setEnding(null)} />
    </Stack>
  );
}

function SilenceTable({ silences, end }: { silences: readonly Silence[]; end: ((silence: Silence) => void) | null }) {
  return (
    <Table.ScrollContainer minWidth={720}>
      <Table highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            {["Rules", "Severity", "From", "Until", "Why", "By"].map((name) => <Table.Th key={name} scope="col">{name}</Table.Th>)}
            <Table.Td />
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {silences.map((silence) => (
            <Table.Tr key={silence.id}>
              <Table.Td className="mono">{silence.pattern}</Table.Td>
              <Table.Td>{silence.severity ?? "any"}</Table.Td>
              <Table.Td>{time(silence.from).slice(0, 16)}</Table.Td>
              <Table.Td>{time(silence.until).slice(0, 16)}</Table.Td>
              <Table.Td>{silence.reason}</Table.Td>
              <Table.Td className="clip" maw={160}><Tooltip label={silence.author}><span>{silence.author}</span></Tooltip></Table.Td>
              <Table.Td ta="right">{end && <Button variant="subtle" color="red" size="compact-xs" onClick={() => end(silence)} aria-label={`End the silence of ${silence.pattern}`}>End</Button>}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function NewSilence({ close }: { close: () => void }) {
  const queries = useQueryClient();
  const [pattern, setPattern] = useState("*");
  const [severity, setSeverity] = useState<string | null>(null);
  const [length, setLength] = useState("7200");
  const [reason, setReason] = useState("");
  const save = useMutation({
    mutationFn: () => take(api.POST("/api/v1/alerts/silences", { body: { pattern: pattern.trim(), severity, for_s: Number(length), reason: reason.trim() } })),
    onSuccess: () => { void queries.invalidateQueries({ queryKey: ALERTS }); close(); },
  });

  function submit(event: FormEvent) {
    event.preventDefault();
    save.mutate();
  }

  return (
    <form onSubmit={submit} autoComplete="off">
      <Stack gap="sm">
        <TextInput label="Rules" description="Their names; * stands for any characters." value={pattern} onChange={(event) => setPattern(event.currentTarget.value)} required maxLength={128} data-autofocus classNames={{ input: "mono" }} />
        <Select label="Severity" placeholder="any" data={["info", "warning", "critical"]} value={severity} onChange={setSeverity} clearable />
        <Select label="For" data={LENGTHS} value={length} onChange={(value) => value && setLength(value)} allowDeselect={false} />
        <TextInput label="Why" value={reason} onChange={(event) => setReason(event.currentTarget.value)} required maxLength={1024} />
        {save.isError && <Failed error={save.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>Cancel</Button>
          <Button type="submit" loading={save.isPending}>Add</Button>
        </Group>
      </Stack>
    </form>
  );
}

function End({ ending, close }: { ending: Silence | null; close: () => void }) {
  const queries = useQueryClient();
  return (
    <Confirm
      subject={ending} close={close} title={(silence) => `End the silence of ${silence.pattern}?`} verb="End"
      act={async (silence) => {
        await take(api.DELETE("/api/v1/alerts/silences/{id}", { params: { path: { id: silence.id } } }));
        await queries.invalidateQueries({ queryKey: ALERTS });
      }}
    >
      What fires by then is told to receivers with its next evaluation.
    </Confirm>
  );
}
