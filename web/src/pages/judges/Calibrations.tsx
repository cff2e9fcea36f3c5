/** On what a judge was compared with people, and the form that begins another comparison. */

import { Button, Group, Modal, MultiSelect, NumberInput, Select, Stack, Table, Text, Textarea } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Link } from "react-router";
import { api, take } from "../../api/client";
import { count } from "../../lib/format";
import { isGoing } from "../../lib/jobEvents";
import { inputsOf, type JudgeDefinition, meansOf } from "../../lib/judges";
import { LiveLine, StateBadge } from "../../parts/Standing";
import { Empty, Failed, Waiting } from "../../parts/states";
import { useSession } from "../../signin/session";
import { datasetQuery, datasetsQuery, versionQuery } from "../datasets/ask";
import { type Calibration, calibrationsQuery, type Judge, JUDGES } from "./ask";

export function Calibrations({ judge }: { judge: Judge }) {
  const { may } = useSession();
  const [beginning, setBeginning] = useState(false);
  const asked = useQuery(calibrationsQuery(judge.name, judge.version));
  const begin = may("write") && may("infer") ? <Button onClick={() => setBeginning(true)}>Compare with people</Button> : undefined;
  const all = asked.data?.data ?? [];
  return (
    <Stack gap="sm">
      {asked.isPending && <Waiting what="Loading the comparisons" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && all.length === 0 && <Empty title="Compared with nobody" action={begin}>A judge is asked about rows on which people said what they think. How far it says the same, with intervals, is its card.</Empty>}
      {all.length > 0 && <Group>{begin}</Group>}
      {all.length > 0 && <Lines calibrations={all} version={judge.version} />}
      <Modal opened={beginning} onClose={() => setBeginning(false)} title={`Compare ${judge.name} with people`} size="lg" closeButtonProps={{ "aria-label": "Close" }}>
        {beginning && <Form judge={judge} close={() => setBeginning(false)} />}
      </Modal>
    </Stack>
  );
}

function Lines({ calibrations, version }: { calibrations: readonly Calibration[]; version: number }) {
  return (
    <Table.ScrollContainer minWidth={800}>
      <Table aria-label="Comparisons with people">
        <Table.Thead><Table.Tr>{["Dataset", "People’s word", "State", "Card"].map((head) => <Table.Th key={head} scope="col">{head}</Table.Th>)}</Table.Tr></Table.Thead>
        <Table.Tbody>
          {calibrations.map((one) => (
            <Table.Tr key={one.job}>
              <Table.Td><Link to={`/datasets/${encodeURIComponent(one.dataset.split("@")[0] ?? "")}`}>{one.dataset}</Link></Table.Td>
              <Table.Td>{one.request.labels.join(", ")}</Table.Td>
              <Table.Td>
                <Group gap="sm">
                  <StateBadge of={one} />
                  {isGoing(one) && <LiveLine id={one.job} noun="comparison" after={JUDGES} />}
                  <Link to={`/jobs?job=${one.job}`}><Text component="span" size="sm">Its job</Text></Link>
                </Group>
                {one.why && <Text size="xs" c="dimmed">{one.why}</Text>}
              </Table.Td>
              <Table.Td><Link to={`?${new URLSearchParams({ version: String(version), dataset: one.dataset })}`} aria-label={`Card on ${one.dataset}`}>card</Link></Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Form({ judge, close }: { judge: Judge; close: () => void }) {
  const queries = useQueryClient();
  const datasets = useQuery(datasetsQuery);
  const [dataset, setDataset] = useState<string | null>(null);
  const detail = useQuery({ ...datasetQuery(dataset ?? ""), enabled: dataset !== null });
  const latest = detail.data === undefined ? null : String(detail.data.latest.version);
  const version = useQuery({ ...versionQuery(dataset ?? "", latest ?? ""), enabled: dataset !== null && latest !== null });
  const columns = version.data?.columns.map((column) => column.name) ?? [];
  const inputs = inputsOf(judge.definition as unknown as JudgeDefinition);
  const [labels, setLabels] = useState<string[]>([]);
  const [values, setValues] = useState<Record<string, string>>({});
  const [means, setMeans] = useState("");
  const [limit, setLimit] = useState<number | string>(200);
  const [usd, setUsd] = useState<number | string>("");
  const meant = meansOf(means);
  const begin = useMutation({
    mutationFn: () => {
      const calibration = {
        dataset: dataset!, labels, values: Object.keys(values).length > 0 ? values : undefined, means: meant !== null && Object.keys(meant).length > 0 ? meant : undefined,
        limit: typeof limit === "number" ? limit : undefined, budget: typeof usd === "number" ? { usd } : undefined,
      };
      return take(api.POST("/api/v1/judges/{name}/calibrations", { params: { path: { name: judge.name } }, body: { version: judge.version, calibration } }));
    },
    onSuccess: async () => {
      close();
      await queries.invalidateQueries({ queryKey: [JUDGES] });
    },
  });

  function submit(event: FormEvent) {
    event.preventDefault();
    begin.mutate();
  }

  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <Select
          label="Dataset" placeholder={datasets.isPending ? "Loading…" : "Choose one"} searchable required data={(datasets.data?.data ?? []).map(({ name, rows }) => ({ value: name, label: `${name} · ${count(rows)} rows` }))}
          value={dataset} onChange={(value) => { setDataset(value); setLabels([]); setValues({}); }} error={datasets.isError ? datasets.error.message : undefined}
        />
        <MultiSelect label="People’s word" description="A column for each person, 8 at most; what most of them say is the truth" required data={columns} value={labels} onChange={setLabels} maxValues={8} disabled={dataset === null} searchable />
        {dataset !== null && inputs.map(({ name, required }) => (
          <Select
            key={name} label={`Column of ${name.replaceAll("_", " ")}`} placeholder={columns.includes(name) ? name : required === false ? "none" : "Choose one"} data={columns} value={values[name] ?? null} clearable required={required !== false && !columns.includes(name)}
            onChange={(value) => setValues((old) => { const { [name]: _, ...rest } = old; return value === null ? rest : { ...rest, [name]: value }; })}
          />
        ))}
        <Textarea label="What people’s words mean" description="Where they are no words of the judge’s scale: a line each, such as 1 = A" autosize minRows={2} maxRows={8} value={means} onChange={(event) => setMeans(event.currentTarget.value)} error={meant === null ? "Write lines such as 1 = A." : undefined} classNames={{ input: "mono" }} />
        <Group grow align="flex-start">
          <NumberInput label="Items" description="Drawn at random; empty for all" min={1} max={10_000} value={limit} onChange={setLimit} />
          <NumberInput label="Budget in dollars" description="Where to stop" min={0} decimalScale={6} allowNegative={false} value={usd} onChange={setUsd} />
        </Group>
        {begin.isError && <Failed error={begin.error} />}
        <Group justify="flex-end"><Button variant="default" onClick={close}>Close</Button><Button type="submit" loading={begin.isPending} disabled={dataset === null || labels.length === 0 || meant === null}>Compare</Button></Group>
      </Stack>
    </form>
  );
}
