/** The versions of a prompt: what they are called, why they were made, how they fare. */

import { Badge, Button, Group, Modal, Select, Stack, Table, Text, TextInput, Tooltip } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Link } from "react-router";
import { api, take } from "../../api/client";
import { ago, count, duration, money, percent, time } from "../../lib/format";
import { Confirm } from "../../parts/Confirm";
import { Failed } from "../../parts/states";
import { useSession } from "../../signin/session";
import { METRICS_DAYS, type Metrics, metricsQuery, PROMPTS, type Summary } from "./ask";
import { mean, ofScore, ofShare } from "./mean";

const USUAL_LABEL = "production";
const HEADS = ["Calls", "Errors", "p50", "p95", "Cost"];
const MEANING = "Mean over traces, with its 95 % interval";

interface Props {
  name: string;
  versions: readonly Summary[];
}

interface Range {
  from: string;
  to: string;
}

/** A label on its way, and where it is now. */
interface Move {
  label: string;
  from: number | null;
  to: number;
}

export function Versions({ name, versions }: Props) {
  const { may } = useSession();
  const metrics = useQuery(metricsQuery(name));
  const [moving, setMoving] = useState<Move | null>(null);
  const [choosing, setChoosing] = useState<number | null>(null);
  const placeOf = (label: string) => versions.find((version) => version.labels.includes(label))?.version ?? null;
  return (
    <Stack gap="sm">
      <Table.ScrollContainer minWidth={1080}>
        <Table highlightOnHover aria-label="Versions">
          <Table.Thead>
            <Table.Tr>
              {["Version", "Labels", "Why", "Made"].map((head) => <Table.Th key={head} scope="col">{head}</Table.Th>)}
              {HEADS.map((head) => <Table.Th key={head} scope="col" className="num">{head}</Table.Th>)}
              <Table.Th scope="col">Scores</Table.Th>
              <Table.Td />
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {versions.map((version) => (
              <Line key={version.version} name={name} version={version} fares={metrics.data?.versions.get(version.version)} range={metrics.data?.range} point={may("write") ? () => setChoosing(version.version) : null} />
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {metrics.isError && <Failed error={metrics.error} retry={() => void metrics.refetch()} />}
      <Text size="xs" c="dimmed">Numbers are those of calls of the last {METRICS_DAYS} days that named the prompt; calls that experiments made do not count. A call that names no label says the version labelled {USUAL_LABEL}, and the latest when there is none.</Text>
      <ChooseLabel
        key={choosing} version={choosing} labels={[...new Set([USUAL_LABEL, ...versions.flatMap((version) => version.labels)])]} close={() => setChoosing(null)}
        choose={(label) => { setMoving({ label, from: placeOf(label), to: choosing! }); setChoosing(null); }}
      />
      <MoveLabel name={name} moving={moving} close={() => setMoving(null)} />
    </Stack>
  );
}

function Line({ name, version, fares, range, point }: { name: string; version: Summary; fares: Metrics | undefined; range: Range | undefined; point: (() => void) | null }) {
  const [calls, others] = [callsOf(name, version.version, range), { className: "num" }];
  return (
    <Table.Tr>
      <Table.Td><Link to={`?tab=editor&version=${version.version}`} className="row-link">{version.version}</Link></Table.Td>
      <Table.Td><Group gap={4}>{version.labels.map((label) => <Badge key={label} variant="default" tt="none">{label}</Badge>)}</Group></Table.Td>
      <Table.Td className="clip" maw={260}>{version.message}</Table.Td>
      <Table.Td><Tooltip label={`${time(version.created)} by ${version.author ?? "nobody"}`}><span>{ago(version.created)}</span></Tooltip></Table.Td>
      <Table.Td {...others}>{fares ? <Link to={calls} className="row-link">{count(fares.calls)}</Link> : "–"}</Table.Td>
      <Table.Td {...others}>{fares ? <Link to={`${calls}&status=error`} className="row-link"><span title={mean(fares.error_rate, ofShare)}>{percent(fares.error_rate?.mean)}</span></Link> : "–"}</Table.Td>
      <Table.Td {...others}>{duration(fares?.latency_p50_ms)}</Table.Td>
      <Table.Td {...others}>{duration(fares?.latency_p95_ms)}</Table.Td>
      <Table.Td {...others}>{money(fares?.cost_per_call_usd == null ? null : fares.cost_picodollars)}</Table.Td>
      <Table.Td title={MEANING}>{fares?.scores.map((score) => <Text key={score.name} size="xs">{score.name} {mean(score, ofScore)}</Text>)}</Table.Td>
      <Table.Td>
        <Group gap={4} justify="flex-end" wrap="nowrap">
          {version.version > 1 && <Button component={Link} to={`?tab=compare&from=${version.version - 1}&to=${version.version}`} variant="subtle" size="compact-xs">Compare</Button>}
          {point && <Button variant="subtle" size="compact-xs" onClick={point} aria-label={`Label version ${version.version}`}>Label</Button>}
        </Group>
      </Table.Td>
    </Table.Tr>
  );
}

/** The traces of a version, as they were counted. */
function callsOf(name: string, version: number, range: Range | undefined): string {
  return `/traces?${new URLSearchParams({ ...range, prompt: name, experiments: "false", calls: "true", group_by: "prompt_version", group: String(version) })}`;
}

function ChooseLabel({ version, labels, close, choose }: { version: number | null; labels: string[]; close: () => void; choose: (label: string) => void }) {
  const [label, setLabel] = useState(USUAL_LABEL);
  const [own, setOwn] = useState("");

  function submit(event: FormEvent) {
    event.preventDefault();
    choose(own.trim() === "" ? label : own.trim());
  }

  return (
    <Modal opened={version !== null} onClose={close} title={`Label version ${version ?? ""}`} closeButtonProps={{ "aria-label": "Close" }}>
      <form onSubmit={submit}>
        <Stack gap="sm">
          <Select label="Label" data={labels} value={label} onChange={(chosen) => setLabel(chosen ?? USUAL_LABEL)} allowDeselect={false} />
          <TextInput label="Or a new one" value={own} onChange={(event) => setOwn(event.currentTarget.value)} placeholder="staging" maxLength={64} autoComplete="off" />
          <Group justify="flex-end"><Button variant="default" onClick={close}>Cancel</Button><Button type="submit">Next</Button></Group>
        </Stack>
      </form>
    </Modal>
  );
}

function MoveLabel({ name, moving, close }: { name: string; moving: Move | null; close: () => void }) {
  const queries = useQueryClient();
  return (
    <Confirm
      subject={moving} close={close} verb="Move" title={({ label, to }) => `Point ${label} at version ${to}?`}
      act={async ({ label, from, to }) => {
        // It moves only from where the reader saw it.
        await take(api.PUT("/api/v1/prompts/{name}/labels/{label}", { params: { path: { name, label } }, body: { version: to, expected: from } }));
        await queries.invalidateQueries({ queryKey: PROMPTS });
      }}
    >
      {moving && (moving.from === null ? `The label ${moving.label} is new.` : `${moving.label} is at version ${moving.from} now.`)} Calls that name the label say version {moving?.to} from the next one on.
    </Confirm>
  );
}
