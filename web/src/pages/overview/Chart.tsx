/** A chart over time. All charts of a page share one cursor; dragging over one sets the page's time range. */

import { useComputedColorScheme, useMantineTheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { axisWidthPx, chosenTime, isFlat, lonely, marksOf } from "../../lib/chart";
import { time } from "../../lib/format";

export interface Line {
  label: string;
  values: (number | null)[];
  /** A colour's name of the theme. */
  color: string;
  /** Filled down to zero, for what adds up. */
  filled?: boolean;
}

interface Props {
  title: string;
  times: readonly number[];
  lines: readonly Line[];
  format: (value: number | null) => string;
  zoom: (from: Date, to: Date) => void;
}

const HEIGHT_PX = 160;
/** A drag shorter than this was meant as a click. */
const LEAST_DRAG_PX = 6;
const CURSOR = "overview";

export function Chart({ title, times, lines, format, zoom }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const theme = useMantineTheme();
  const dark = useComputedColorScheme("light") === "dark";
  const zoomed = useRef(zoom);
  zoomed.current = zoom;
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const color = (name: string) => theme.colors[name]?.[dark ? 4 : 7] ?? "gray";
    const options = optionsOf({ width: element.clientWidth, dark, lines, format, color, zoom: (from, to) => zoomed.current(from, to) });
    const chart = new uPlot(options, [times as number[], ...lines.map((line) => line.values)], element);
    // It tells of the width that there is already, too: that is drawn.
    const watch = new ResizeObserver(() => element.clientWidth !== chart.width && chart.setSize({ width: element.clientWidth, height: HEIGHT_PX }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      chart.destroy();
    };
  }, [times, lines, format, dark, theme]);
  return <div ref={place} className="chart" role="img" aria-label={`${title} over time: ${lines.map((line) => line.label).join(", ")}`} />;
}

interface Drawing {
  width: number;
  dark: boolean;
  lines: readonly Line[];
  format: (value: number | null) => string;
  color: (name: string) => string;
  zoom: (from: Date, to: Date) => void;
}

function optionsOf({ width, dark, lines, format, color, zoom }: Drawing): uPlot.Options {
  const [text, grid] = dark ? ["#a6adb5", "#3b3b3b"] : ["#5c6670", "#e9ecef"];
  const flat = isFlat(lines.map((line) => line.values));
  const axis: uPlot.Axis = { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  return {
    width,
    height: HEIGHT_PX,
    legend: { live: true },
    cursor: { y: false, sync: { key: CURSOR, setSeries: false }, drag: { x: true, y: false, setScale: false, dist: LEAST_DRAG_PX }, points: { size: 5 } },
    scales: { y: { range: (_, _least, most) => [0, Number.isFinite(most) && most > 0 ? most * 1.05 : 1] } },
    axes: [
      { ...axis, space: 64, size: 24, values: (_, splits, _axis, _space, step) => splits.map((value, at) => mark(value, splits[at - 1], step)) },
      { ...axis, size: (_, marks) => axisWidthPx(marks ?? []), values: (_, splits) => marksOf(splits, format, flat) },
    ],
    series: [{ value: (_, seconds) => (seconds == null ? "–" : clock(seconds)) }, ...lines.map((line) => seriesOf(line, format, color))],
    hooks: {
      setSelect: [
        (chart) => {
          const { left, width: wide } = chart.select;
          // All charts show the selection; only the one under the pointer has an event, and it alone speaks.
          if (chart.cursor.event == null || wide < LEAST_DRAG_PX) return;
          zoom(...chosenTime(chart.data[0], chart.posToVal(left, "x"), chart.posToVal(left + wide, "x")));
        },
      ],
    },
  };
}

function seriesOf(line: Line, format: (value: number | null) => string, color: (name: string) => string): uPlot.Series {
  const stroke = color(line.color);
  return { label: line.label, stroke, width: 1.5, fill: line.filled ? `${stroke}26` : undefined, points: { size: 5, fill: stroke, filter: (_, _series, all) => (all ? null : lonely(line.values)) }, spanGaps: false, value: (_, value) => format(value) };
}

const DAY_S = 86_400;

/** Times of day, and the date where a day begins. */
function mark(seconds: number, before: number | undefined, step_s: number): string {
  const [date, hour] = clock(seconds).split(" ") as [string, string];
  const sameDay = before !== undefined && clock(before).startsWith(date);
  return step_s >= DAY_S || (hour === "00:00" && !sameDay) ? date : hour;
}

function clock(seconds: number): string {
  return time(seconds * 1000).slice(5, 16);
}
