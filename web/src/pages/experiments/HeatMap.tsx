/** One number of every cell: prompts and examples down, models and parameters across. */

import { Text, Tooltip } from "@mantine/core";
import type { CSSProperties } from "react";
import { type Cell, heatMap, type Measure, scaleOf, type Side, strength, told } from "../../lib/cells";
import type { Report } from "./ask";

interface Props {
  report: Report;
  measure: Measure;
  chosen: readonly string[];
  toggle: (cell: string) => void;
}

export function HeatMap({ report, measure, chosen, toggle }: Props) {
  const map = heatMap(report.cells);
  const scale = scaleOf(report.cells, measure);
  return (
    <div className="heat-frame" tabIndex={0} role="region" aria-label="Heat map">
      <table className="heat" aria-label={`Heat map by ${measure.title}`}>
        <thead>
          <tr>
            <td rowSpan={2} colSpan={2} />
            {map.columns.map((side, at) => side.span > 0 && <th key={at} scope="colgroup" colSpan={side.span}>{side.group}</th>)}
          </tr>
          <tr>{map.columns.map((side, at) => <th key={at} scope="col" className="heat-within">{side.within}</th>)}</tr>
        </thead>
        <tbody>
          {map.rows.map((row, down) => (
            <tr key={down}>
              {row.span > 0 && <th scope="rowgroup" rowSpan={row.span}>{row.group}</th>}
              <th scope="row" className="heat-within">{row.within}</th>
              {map.columns.map((column, across) => {
                const cell = map.cells[down]![across] ?? null;
                return <td key={across}>{cell && <Square cell={cell} place={[row, column]} report={report} measure={measure} scale={scale} chosen={chosen.includes(cell.id)} toggle={toggle} />}</td>;
              })}
            </tr>
          ))}
        </tbody>
      </table>
      {scale && <Legend measure={measure} scale={scale} />}
    </div>
  );
}

interface SquareProps extends Omit<Props, "chosen"> {
  cell: Cell;
  place: readonly [Side, Side];
  scale: readonly [number, number] | null;
  chosen: boolean;
}

function Square({ cell, place: [row, column], report, measure, scale, chosen, toggle }: SquareProps) {
  const reading = measure.of(cell);
  const heat = reading === null || scale === null ? null : strength(reading.value, scale, measure.better);
  const said = [`${cell.id}: ${measure.title} ${told(measure, cell)}`, ...standingOf(cell, report)].join(", ");
  const style = heat === null ? undefined : ({ "--heat": `${(heat * 100).toFixed(1)}%` } as CSSProperties);
  const name = `${said}; ${row.group}, ${row.within}, ${column.group}, ${column.within}`;
  return (
    <Tooltip label={said} events={{ hover: true, focus: true, touch: true }} multiline>
      <button type="button" className="heat-square" data-known={heat !== null} data-left={cell.left_after != null} aria-pressed={chosen} aria-label={name} style={style} onClick={() => toggle(cell.id)}>
        {reading === null ? "–" : measure.say(reading.value)}
        {cell.id === report.winner && <span aria-hidden> ★</span>}
      </button>
    </Tooltip>
  );
}

/** What is to be known of a cell before its number is believed. */
export function standingOf(cell: Cell, report: Report): string[] {
  const is: string[] = [];
  if (cell.id === report.winner) is.push("the winner");
  else if (report.not_told_apart.length > 1 && report.not_told_apart.includes(cell.id)) is.push(cell.id === report.best ? "the best, but not told apart from others" : "not told apart from the best");
  if (cell.left_after != null) is.push(`left after round ${cell.left_after} of the search`);
  if (cell.failed > 0) is.push(`${cell.failed} of ${cell.answers} calls failed`);
  return is;
}

function Legend({ measure, scale: [least, most] }: { measure: Measure; scale: readonly [number, number] }) {
  const [worst, best] = measure.better === "higher" ? [least, most] : [most, least];
  return (
    <div className="heat-legend">
      <Text size="xs" c="dimmed">{measure.say(worst)}</Text>
      <span className="heat-ramp" aria-hidden />
      <Text size="xs" c="dimmed">{measure.say(best)}, better. Colours reach over all intervals: what is hardly told apart looks alike.</Text>
    </div>
  );
}
