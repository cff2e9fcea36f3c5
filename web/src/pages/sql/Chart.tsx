/** An answer drawn: loaded only when somebody asks for it. */

import "uplot/dist/uPlot.min.css";
import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import UPlot from "uplot";
import type { ChartData } from "../../lib/sql";

const HEIGHT_PX = 380;
/** How much of the room between two labels their bars take. */
const GROUP_WIDTH = 0.7;
/** Okabe and Ito's, who chose them so that the colour-blind tell them apart too; darker on white, lighter on black. */
const COLOURS = { light: ["#0072b2", "#d55e00", "#007a5c", "#b0468c", "#8a6d00", "#3b3b3b"], dark: ["#56b4e9", "#e69f00", "#2fc79c", "#e08fc0", "#f0e442", "#cccccc"] };

export default function Chart({ data }: { data: ChartData }) {
  const place = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme("light");
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const plot = new UPlot(optionsOf(data, scheme, element.clientWidth), [data.x, ...data.series.map((series) => series.values)], element);
    const watch = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT_PX }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [data, scheme]);
  return <div ref={place} role="img" aria-label={`Chart of ${data.series.map((series) => series.name).join(", ")}; the table has the same numbers`} />;
}

function optionsOf(data: ChartData, scheme: "light" | "dark", width: number): UPlot.Options {
  const ink = scheme === "dark" ? "#a6adb5" : "#5c6670";
  const grid = { stroke: scheme === "dark" ? "#3b3b3b" : "#e9ecef", width: 1 };
  const { labels } = data;
  const named = (position: number) => (Number.isInteger(position) ? (labels?.[position] ?? "") : "");
  const axis = { stroke: ink, grid, ticks: grid };
  const x: UPlot.Axis = labels === null ? { ...axis, space: 90 } : { ...axis, space: 90, values: (_plot, splits) => splits.map(named), incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] };
  return {
    width,
    height: HEIGHT_PX,
    scales: { x: labels === null ? { time: true } : { time: false, range: [-0.6, data.x.length - 0.4] } },
    axes: [x, { ...axis, size: 70 }],
    series: [
      labels === null ? {} : { label: "At", value: (_plot, position: number | null) => (position === null ? "" : named(position)) },
      ...data.series.map(({ name }, index, all) => {
        const stroke = COLOURS[scheme][index % 6]!;
        return labels === null ? { label: name, stroke, width: 1.5, points: { size: 4 } } : barsOf(name, stroke, data.x, index, all.length);
      }),
    ],
  };
}

/** Bars of several series stand side by side. */
function barsOf(label: string, stroke: string, x: readonly number[], index: number, of: number): UPlot.Series {
  const width = GROUP_WIDTH / of;
  const left = x.map((position) => position - GROUP_WIDTH / 2 + index * width);
  const disp = { x0: { unit: 1, values: () => left }, size: { unit: 1, values: () => x.map(() => width) } };
  return { label, stroke, fill: stroke + "99", width: 1, paths: UPlot.paths.bars!({ align: 1, disp }), points: { show: false } };
}
