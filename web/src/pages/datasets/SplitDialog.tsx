/** A version is split into other datasets: named parts of some size, and by what its rows fall into them. */

import { ActionIcon, Anchor, Button, Group, Modal, Select, Stack, Table, Text, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Link } from "react-router";
import { api, take } from "../../api/client";
import { type Part, requestOf, type Way, WAYS } from "../../lib/splitForm";
import { isFinished, type Job } from "../../lib/jobEvents";
import { Failed } from "../../parts/states";
import type { Version } from "./ask";
import { linkTo } from "./DatasetList";
import { Running, useJob } from "./DatasetJob";

interface Made {
  part: string;
  dataset: string;
  version: number;
  rows: number;
  notes?: string[];
}

interface Props {
  opened: boolean;
  close: () => void;
  name: string;
  version: Version;
}

export function SplitDialog({ opened, close, name, version }: Props) {
  return (
    <Modal opened={opened} onClose={close} title={`Split version ${version.version} of ${name}`} closeButtonProps={{ "aria-label": "Close" }}>
      {opened && <Form close={close} name={name} version={version} />}
    </Modal>
  );
}

function Form({ close, name, version }: Omit<Props, "opened">) {
  const [parts, setParts] = useState<readonly Part[]>([{ name: "train", percent: "80" }, { name: "test", percent: "20" }]);
  const [seed, setSeed] = useState("0");
  const [way, setWay] = useState<Way>("alone");
  const [column, setColumn] = useState<string | null>(version.columns.find((found) => found.role === "label")?.name ?? null);
  const asked = requestOf(parts, seed, way, column);
  const begin = useMutation({
    mutationFn: () => take(api.POST("/api/v1/datasets/{name}/split", { params: { path: { name } }, body: { version: String(version.version), ...asked.request } })),
  });
  if (begin.data !== undefined) return <Splitting job={begin.data} name={name} close={close} again={() => begin.reset()} />;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    begin.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <Parts name={name} parts={parts} setParts={setParts} />
        <Select label="Rows" data={WAYS} value={way} onChange={(value) => value !== null && setWay(value as Way)} allowDeselect={false} />
        {way !== "alone" && <Select label="Column" data={version.columns.map((found) => found.name)} value={column} onChange={setColumn} searchable />}
        <TextInput label="Seed" description="Another seed gives other parts, the same the same" inputMode="numeric" value={seed} onChange={(event) => setSeed(event.currentTarget.value)} />
        {asked.problem !== null && <Text size="sm" c="dimmed" role="status">{asked.problem}</Text>}
        {begin.isError && <Failed error={begin.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>Cancel</Button>
          <Button type="submit" loading={begin.isPending} disabled={asked.problem !== null}>Split</Button>
        </Group>
      </Stack>
    </form>
  );
}

function Parts({ name, parts, setParts }: { name: string; parts: readonly Part[]; setParts: (parts: readonly Part[]) => void }) {
  const change = (at: number, part: Partial<Part>) => setParts(parts.map((old, index) => (index === at ? { ...old, ...part } : old)));
  return (
    <Stack gap={6}>
      {parts.map((part, at) => (
        <Group key={at} gap="xs" wrap="nowrap" align="flex-end">
          <TextInput aria-label={`Name of part ${at + 1}`} leftSection={<Text size="xs" c="dimmed" className="clip" maw={90} title={name}>{name}-</Text>} leftSectionWidth={100} value={part.name} onChange={(event) => change(at, { name: event.currentTarget.value })} style={{ flex: 1 }} />
          <TextInput aria-label={`Percent of part ${at + 1}`} w={90} inputMode="decimal" rightSection="%" value={part.percent} onChange={(event) => change(at, { percent: event.currentTarget.value })} />
          <ActionIcon variant="subtle" color="gray" size="lg" aria-label={`Leave part ${at + 1} out`} disabled={parts.length === 1} onClick={() => setParts(parts.filter((_, index) => index !== at))}>×</ActionIcon>
        </Group>
      ))}
      <Button variant="subtle" size="xs" w="max-content" onClick={() => setParts([...parts, { name: parts.length === 2 ? "dev" : "", percent: "" }])}>Another part</Button>
    </Stack>
  );
}

function Splitting({ job, name, close, again }: { job: Job; name: string; close: () => void; again: () => void }) {
  const { now, ended } = useJob(job);
  const made = ended?.state === "succeeded" ? (ended.result as Made[]) : null;
  return (
    <Running now={now} name={name} doing="The split goes on when this is closed; the page Jobs shows it." error={ended?.error} failed="Nothing was split">
      {made !== null && (
        <Table>
          <Table.Thead><Table.Tr><Table.Th scope="col">Part</Table.Th><Table.Th scope="col" className="num">Rows</Table.Th></Table.Tr></Table.Thead>
          <Table.Tbody>
            {made.map((part) => (
              <Table.Tr key={part.part}>
                <Table.Td>
                  <Anchor component={Link} to={linkTo(part.dataset)} size="sm">version {part.version} of {part.dataset}</Anchor>
                  {part.notes?.map((note) => <Text key={note} size="xs" c="dimmed">{note}</Text>)}
                </Table.Td>
                <Table.Td className="num">{part.rows.toLocaleString("en-US")}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      <Group justify="flex-end">
        {isFinished(now.state) && made === null && <Button variant="default" onClick={again}>Change and try again</Button>}
        <Button variant={made === null ? "default" : "filled"} onClick={close}>Close</Button>
      </Group>
    </Running>
  );
}
