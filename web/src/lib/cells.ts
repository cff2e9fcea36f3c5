/** Cells of an experiment: what is measured of each, how it is said, and where it stands in a heat map. */

import type { Schemas } from "../api/client";
import { count, duration, money } from "./format";

export type Cell = Schemas["ExperimentCell"];
export type Score = Schemas["ExperimentScore"];

const PICODOLLARS = 1e12;

/** Something that a cell has a number of. */
export interface Measure {
  key: string;
  title: string;
  better: "higher" | "lower";
  of: (cell: Cell) => Reading | null;
  say: (value: number) => string;
}

/** A number of a cell, with the ends of its interval where there is one. */
export interface Reading {
  value: number;
  low: number | null;
  high: number | null;
}

/** A score in its unit: shares as percentages. */
export function inUnit(unit: string, value: number): string {
  if (unit === "share") return `${(value * 100).toFixed(1)} %`;
  if (unit === "milliseconds") return duration(value);
  return unit === "dollars" ? money(value * PICODOLLARS) : value.toFixed(1);
}

/** A difference of scores with its sign; of shares in points. */
export function differenceInUnit(unit: string, value: number): string {
  const size = unit === "share" ? (Math.abs(value) * 100).toFixed(1) : inUnit(unit, Math.abs(value));
  return `${value > 0 ? "+" : value < 0 ? "−" : ""}${size}${unit === "share" ? " points" : ""}`;
}

/** The ends of the interval of a difference: `−3.9 to +0.4 points`. */
export function differences(unit: string, low: number, high: number): string {
  return `${differenceInUnit(unit, low).replace(" points", "")} to ${differenceInUnit(unit, high)}`;
}

/** What the server says, as one writes a sentence; a name stays as it is where it looks like one: `c1`, `stub/sums`, `judge@2`. */
export function sentence(text: string): string {
  return (/^[^\s,:]*[^\p{L}\s,:]/u.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1)) + (/[.!?…]$/.test(text) ? "" : ".");
}

/** Scores by their names, then what every cell costs and takes. The scorer that cells are ranked by stands first. */
export function measuresOf(cells: readonly Cell[], metric: string): [Measure, ...Measure[]] {
  const others = new Set(cells.flatMap((cell) => Object.keys(cell.scores)).filter((name) => name !== metric));
  return [scoreMeasure(metric, cells), ...[...others].map((name) => scoreMeasure(name, cells)), ...COMMON];
}

function scoreMeasure(name: string, cells: readonly Cell[]): Measure {
  const known = cells.find((cell) => cell.scores[name])?.scores[name];
  return {
    key: name, title: name.replaceAll("_", " "), better: known?.better === "lower" ? "lower" : "higher", say: (value) => inUnit(known?.unit ?? "count", value),
    of: (cell) => {
      const score = cell.scores[name];
      return score?.mean == null ? null : { value: score.mean, low: score.low ?? null, high: score.high ?? null };
    },
  };
}

const plain = (key: string, title: string, say: (value: number) => string, of: (cell: Cell) => number | null | undefined): Measure => ({
  key, title, better: "lower", say,
  of: (cell) => {
    const value = of(cell);
    return value == null ? null : { value, low: null, high: null };
  },
});

/** Names with a dot: no scorer has one, so that neither hides the other. */
const COMMON: readonly Measure[] = [
  plain("call.cost", "cost of a call", (value) => money(value * PICODOLLARS), (cell) => cell.cost_per_call_usd),
  plain("call.p50", "latency p50", duration, (cell) => cell.latency_p50_ms),
  plain("call.p95", "latency p95", duration, (cell) => cell.latency_p95_ms),
  plain("call.input", "tokens in", count, (cell) => cell.input_tokens),
  plain("call.output", "tokens out", count, (cell) => cell.output_tokens),
  plain("call.failed", "failed calls", count, (cell) => (cell.answers === 0 ? null : cell.failed)),
];

/** What is known of a cell by a measure: `81.2 % [72.1 %, 88.0 %]`. */
export function told(measure: Measure, cell: Cell): string {
  const reading = measure.of(cell);
  if (reading === null) return "–";
  const interval = reading.low === null || reading.high === null ? "" : ` [${measure.say(reading.low)}, ${measure.say(reading.high)}]`;
  return measure.say(reading.value) + interval;
}

/** Cells by a measure; those without a number stay last whichever way, and equal ones in their order. */
export function sorted(cells: readonly Cell[], measure: Measure, descending: boolean): Cell[] {
  const of = (cell: Cell) => measure.of(cell)?.value;
  return [...cells].sort((a, b) => {
    const [left, right] = [of(a), of(b)];
    if (left === undefined || right === undefined) return Number(left === undefined) - Number(right === undefined);
    return descending ? right - left : left - right;
  });
}

/** The heat map: prompts and examples down, models and parameters across. */
export interface HeatMap {
  rows: Side[];
  columns: Side[];
  /** By row and column; null where the experiment has no such cell. */
  cells: (Cell | null)[][];
}

/** A row or column. */
export interface Side {
  /** The prompt, or the model. */
  group: string;
  /** Within it: the number of examples, or the parameters. */
  within: string;
  /** How many lines the group takes from here on; 0 where it began before. */
  span: number;
}

export function heatMap(cells: readonly Cell[]): HeatMap {
  const [rows, columns] = [sidesOf(cells.map(rowOf)), sidesOf(cells.map(columnOf))];
  const places = rows.map(() => columns.map((): Cell | null => null));
  const find = (sides: readonly Side[], [group, within]: Place) => sides.findIndex((side) => side.group === group && side.within === within);
  for (const cell of cells) places[find(rows, rowOf(cell))]![find(columns, columnOf(cell))] = cell;
  return { rows, columns, cells: places };
}

type Place = readonly [group: string, within: string];

const rowOf = (cell: Cell): Place => [`${cell.prompt}@${cell.prompt_version}`, cell.shots == null ? "its own examples" : cell.shots === 1 ? "1 shot" : `${cell.shots} shots`];
const columnOf = (cell: Cell): Place => [cell.model, parametersOf(cell) || "its own parameters"];

/** `temperature 0.7, top_p 0.9`. */
export function parametersOf(cell: Cell): string {
  return Object.entries(cell.parameters).map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`).join(", ");
}

/** Each place once, those of a group together, in the order in which they come. */
function sidesOf(places: readonly Place[]): Side[] {
  const groups = new Map<string, string[]>();
  for (const [group, within] of places) {
    const known = groups.get(group) ?? [];
    if (!known.includes(within)) groups.set(group, [...known, within]);
  }
  return [...groups].flatMap(([group, withins]) => withins.map((within, at) => ({ group, within, span: at === 0 ? withins.length : 0 })));
}

/**
 * From which number to which the colours reach: from the lowest end of an interval to the highest, so that cells whose
 * intervals overlap look alike. Null when there is nothing to colour.
 */
export function scaleOf(cells: readonly Cell[], measure: Measure): readonly [number, number] | null {
  const ends = cells.flatMap((cell) => measure.of(cell) ?? []).flatMap(({ value, low, high }) => [low ?? value, high ?? value]);
  return ends.length === 0 ? null : [Math.min(...ends), Math.max(...ends)];
}

/** How strong the colour of a number is, from 0 to 1: the better, the stronger. */
export function strength(value: number, [least, most]: readonly [number, number], better: Measure["better"]): number {
  if (most === least) return 0.5;
  const share = (value - least) / (most - least);
  return better === "higher" ? share : 1 - share;
}

/** Whom to look at first: the best cell and the best of the others, or the first two where nothing is known yet. */
export function usualPair(report: Pick<Schemas["ExperimentReport"], "best" | "cells" | "metric">): string[] {
  const [metric] = measuresOf(report.cells, report.metric);
  const ranked = sorted(report.cells, metric, metric.better === "higher").filter((cell) => cell.left_after == null || report.best == null);
  const ids = [report.best, ...ranked.map((cell) => cell.id), ...report.cells.map((cell) => cell.id)].filter((id) => id != null);
  return [...new Set(ids)].slice(0, 2);
}
