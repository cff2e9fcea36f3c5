/** Points over tokens with a line through them. A click on a point opens its trace. */

import { useComputedColorScheme, useMantineTheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import { useNavigate } from "react-router";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { axisWidthPx } from "../../lib/chart";
import { count } from "../../lib/format";
import { nearest, plain, type Point } from "../../lib/statistics";

interface Props {
  title: string;
  points: readonly Point[];
  tokens: readonly number[];
  values: readonly number[];
  line: readonly number[] | null;
  /** What a value is called. */
  name: string;
}

const HEIGHT_PX = 220;
/** A click this near to a point means it. */
const REACH_PX = 12;

export function Scatter({ title, points, tokens, values, line, name }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const theme = useMantineTheme();
  const dark = useComputedColorScheme("light") === "dark";
  const navigate = useNavigate();
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const color = (of: string) => theme.colors[of]?.[dark ? 4 : 7] ?? "gray";
    const options = optionsOf(element.clientWidth, dark, name, color("blue"), color("orange"));
    const data = [tokens as number[], values as number[], (line ?? tokens.map(() => null)) as (number | null)[]] as uPlot.AlignedData;
    const chart = new uPlot(options, data, element);
    const click = (event: MouseEvent) => {
      const box = chart.over.getBoundingClientRect();
      const places = tokens.map((at, index) => [chart.valToPos(at, "x"), chart.valToPos(values[index]!, "y")] as const);
      const found = nearest(places, [event.clientX - box.left, event.clientY - box.top], REACH_PX);
      if (found !== null) navigate(`/traces/${points[found]!.trace_id}`);
    };
    chart.over.addEventListener("click", click);
    const watch = new ResizeObserver(() => element.clientWidth !== chart.width && chart.setSize({ width: element.clientWidth, height: HEIGHT_PX }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      chart.destroy();
    };
  }, [points, tokens, values, line, name, dark, theme, navigate]);
  return <div ref={place} className="scatter" role="img" aria-label={`${title}: ${points.length} calls`} />;
}

function optionsOf(width: number, dark: boolean, name: string, point: string, line: string): uPlot.Options {
  const [text, grid] = dark ? ["#a6adb5", "#3b3b3b"] : ["#5c6670", "#e9ecef"];
  const axis: uPlot.Axis = { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  const shown = (value: number | null) => (value == null ? "–" : value === 0 ? "0" : plain(value));
  return {
    width, height: HEIGHT_PX,
    cursor: { drag: { x: true, y: true }, points: { size: 7 } },
    scales: { x: { time: false } },
    axes: [
      { ...axis, size: 24, values: (_, splits) => splits.map((value) => count(value)) },
      { ...axis, size: (_, marks) => axisWidthPx(marks ?? []), values: (_, splits) => splits.map(shown) },
    ],
    series: [
      { label: "tokens", value: (_, value) => (value == null ? "–" : count(value)) },
      { label: name, stroke: point, paths: () => null, points: { show: true, size: 4, fill: point }, value: (_, value) => shown(value) },
      { label: "line", stroke: line, width: 1.5, points: { show: false }, value: (_, value) => shown(value) },
    ],
  };
}
