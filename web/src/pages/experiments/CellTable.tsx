/** Every cell with all its numbers, in any order. */

import { Badge, Checkbox, Table, Text, UnstyledButton } from "@mantine/core";
import { useState } from "react";
import { useSearchParams } from "react-router";
import { usePut } from "../../lib/addressBar";
import { type Cell, type Measure, sorted } from "../../lib/cells";
import { count, money, pValue } from "../../lib/format";
import { useListKeys } from "../../shell/keys";
import type { Report } from "./ask";
import { standingOf } from "./HeatMap";

interface Props {
  report: Report;
  /** Of which the first is what cells are ranked by. */
  measures: readonly [Measure, ...Measure[]];
  chosen: readonly string[];
  toggle: (cell: string) => void;
}

export function CellTable({ report, measures, chosen, toggle }: Props) {
  const [params] = useSearchParams();
  const [at, setAt] = useState(-1);
  const [metric, ...others] = measures;
  const descending = params.get("sort")?.startsWith("-") ?? false;
  const by = measures.find((measure) => measure.key === params.get("sort")?.replace(/^-/, "")) ?? null;
  const cells = by === null ? report.cells : sorted(report.cells, by, descending);
  useListKeys(
    (step) => setAt((old) => Math.max(0, Math.min(cells.length - 1, old + step))),
    () => cells[at] && toggle(cells[at].id),
  );
  return (
    <Table.ScrollContainer minWidth={1100}>
      <Table highlightOnHover aria-label="Cells">
        <Table.Thead>
          <Table.Tr>
            <Table.Td />
            <Table.Th scope="col">Cell</Table.Th>
            <Head measure={metric} by={by} descending={descending} />
            <Table.Th scope="col" className="num">p to the best</Table.Th>
            {others.map((measure) => <Head key={measure.key} measure={measure} by={by} descending={descending} />)}
            <Table.Th scope="col" className="num">Spent</Table.Th>
            <Table.Th scope="col" className="num">Answers</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>{cells.map((cell, index) => <Line key={cell.id} cell={cell} report={report} measures={measures} chosen={chosen.includes(cell.id)} toggle={toggle} current={index === at} />)}</Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

/** The first press puts the best on top, the second the worst, the third the order in which they were made. */
function Head({ measure, by, descending }: { measure: Measure; by: Measure | null; descending: boolean }) {
  const put = usePut();
  const here = by?.key === measure.key;
  const bestFirst = measure.better === "higher";
  const next = !here ? bestFirst : descending === bestFirst ? !bestFirst : null;
  return (
    <Table.Th scope="col" className="num" aria-sort={here ? (descending ? "descending" : "ascending") : undefined}>
      <UnstyledButton fz="sm" fw={600} onClick={() => put({ sort: next === null ? null : `${next ? "-" : ""}${measure.key}` })}>{measure.title}<span aria-hidden>{here ? (descending ? " ↓" : " ↑") : ""}</span></UnstyledButton>
    </Table.Th>
  );
}

function Line({ cell, report, measures, chosen, toggle, current }: Omit<Props, "chosen"> & { cell: Cell; chosen: boolean; current: boolean }) {
  const [metric, ...others] = measures;
  return (
    <Table.Tr bg={current ? "var(--mantine-color-default-hover)" : undefined}>
      <Table.Td><Checkbox size="xs" aria-label={`Choose ${cell.id}`} checked={chosen} onChange={() => toggle(cell.id)} /></Table.Td>
      <Table.Td><span className="cell-name"><b>{cell.id}</b> {cell.label}</span> <Marks cell={cell} report={report} /></Table.Td>
      <Table.Td className="num"><Number measure={metric} cell={cell} /></Table.Td>
      <Table.Td className="num">{pValue(cell.adjusted_p)}</Table.Td>
      {others.map((measure) => <Table.Td key={measure.key} className="num"><Number measure={measure} cell={cell} /></Table.Td>)}
      <Table.Td className="num">{money(cell.spent_picodollars)}</Table.Td>
      <Table.Td className="num">{count(cell.answers)}</Table.Td>
    </Table.Tr>
  );
}

function Number({ measure, cell }: { measure: Measure; cell: Cell }) {
  const reading = measure.of(cell);
  if (reading === null) return <>–</>;
  const { value, low, high } = reading;
  return <>{measure.say(value)}{low !== null && high !== null && <Text component="div" size="xs" c="dimmed">{measure.say(low)} to {measure.say(high)}</Text>}</>;
}

function Marks({ cell, report }: { cell: Cell; report: Report }) {
  return (
    <>
      {cell.on_front && <Badge variant="default" mr={4} title="No other cell is at least as good, cheap and fast, and better in one of these">front</Badge>}
      {standingOf(cell, report).map((is) => <Badge key={is} variant="default" mr={4}>{is}</Badge>)}
    </>
  );
}
