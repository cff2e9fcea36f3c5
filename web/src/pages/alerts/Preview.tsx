/** What a rule would have read over its last windows, and how often it would have fired. */

import "uplot/dist/uPlot.min.css";
import { Text, useComputedColorScheme } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import UPlot from "uplot";
import { api, take, type Schemas } from "../../api/client";
import { isWhole, type RuleForm, ruleOf } from "../../lib/alertRule";
import { axisWidthPx, lonely } from "../../lib/chart";
import { time } from "../../lib/format";
import { Failed, Waiting } from "../../parts/states";
import type { Alert } from "./ask";

type Found = Schemas["AlertPreview"];

/** The rule is tried when nothing was typed for so long. */
const REST_MS = 500;
const POINTS = 48;
const HEIGHT_PX = 200;

export function Preview({ form, known }: { form: RuleForm; known: Alert | null }) {
  const rule = JSON.stringify({ ...ruleOf(form, known), name: undefined, receivers: undefined, description: undefined, severity: undefined });
  const [settled] = useDebouncedValue(rule, REST_MS);
  const asked = useQuery({
    queryKey: ["alerts", "preview", settled],
    queryFn: () => take(api.POST("/api/v1/alerts/preview", { body: { alert: JSON.parse(settled) as Schemas["AlertSpec"], points: POINTS } })),
    enabled: isWhole(form), placeholderData: keepPreviousData, staleTime: 30_000,
  });
  if (!isWhole(form)) return <Text size="sm" c="dimmed">Say what to read and what to tell, and this shows how often the rule would have fired.</Text>;
  if (asked.isError) return <Failed error={asked.error} />;
  if (!asked.data) return <Waiting what="Trying the rule out" />;
  const { fired, summary, points } = asked.data;
  return (
    <div>
      <Text size="sm" role="status"><b>{fired === 0 ? "It would not have fired" : `It would have fired ${fired === 1 ? "once" : `${fired} times`}`}</b> in the last {points.length} windows: {summary}.</Text>
      <Graph found={asked.data} limit={limitOf(form)} />
    </div>
  );
}

/** The limit as far as it is a value of the graph. */
function limitOf(form: RuleForm): number | null {
  if (form.kind === "budget") return Number(form.factor);
  return form.kind === "absence" ? null : Number(form.value);
}

function Graph({ found, limit }: { found: Found; limit: number | null }) {
  const place = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme("light");
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const plot = new UPlot(optionsOf(found, scheme, element.clientWidth), dataOf(found, limit), element);
    const watch = new ResizeObserver(() => element.clientWidth !== plot.width && plot.setSize({ width: element.clientWidth, height: HEIGHT_PX }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [found, limit, scheme]);
  const readings = found.points.filter((point) => point.value != null).length;
  return <div ref={place} role="img" aria-label={`What the rule would have read: ${readings} readings, of which ${found.points.filter((point) => point.state === "firing").length} while it fired`} />;
}

/** What was read, what of it while the rule fired, and the limit. */
function dataOf(found: Found, limit: number | null): UPlot.AlignedData {
  const values = found.points.map((point) => point.value ?? null);
  const firing = found.points.map((point) => (["firing", "recovering"].includes(point.state) ? (point.value ?? null) : null));
  return [found.points.map((point) => new Date(point.at).getTime() / 1000), values, firing, values.map(() => limit)];
}

function optionsOf(found: Found, scheme: "light" | "dark", width: number): UPlot.Options {
  const [text, grid] = scheme === "dark" ? ["#a6adb5", "#3b3b3b"] : ["#5c6670", "#e9ecef"];
  const [line, red] = scheme === "dark" ? ["#56b4e9", "#ff8787"] : ["#0072b2", "#c92a2a"];
  const axis: UPlot.Axis = { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  const told = (_: UPlot, value: number | null) => (value == null ? "–" : `${Number(value.toPrecision(6))} ${found.unit}`.trim());
  const values = found.points.map((point) => point.value);
  return {
    width,
    height: HEIGHT_PX,
    legend: { live: true },
    axes: [{ ...axis, space: 64, size: 24 }, { ...axis, size: (_, marks) => axisWidthPx(marks ?? []) }],
    series: [
      { value: (_, seconds) => (seconds == null ? "–" : time(seconds * 1000).slice(5, 16)) },
      { label: "reads", stroke: line, width: 1.5, points: { size: 5, fill: line, filter: (_, _series, all) => (all ? null : lonely(values)) }, spanGaps: false, value: told },
      { label: "fires", stroke: red, width: 0, points: { show: true, size: 7, fill: red }, value: told },
      { label: "limit", stroke: red, width: 1, dash: [4, 4], points: { show: false }, value: told },
    ],
  };
}
