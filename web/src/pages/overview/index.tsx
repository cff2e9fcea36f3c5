/** How many calls, how fast, at what cost: numbers, charts, and a table by group. Every number leads to the traces behind it. */

import { ActionIcon, Alert, Button, Group, Select, SimpleGrid, Table, Text, Title, Tooltip } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { memo, useCallback, useMemo } from "react";
import { Link, useSearchParams } from "react-router";
import { getJson, type Schemas } from "../../api/client";
import { count, duration, money } from "../../lib/format";
import { filterOfSeries, GROUP_COLORS, type Measures, nameOf, type Plot, PLOTS, type Tile, tilesOf } from "../../lib/measures";
import { RANGE_PARAMS, RANGES } from "../../lib/timeRange";
import { callsLink, FILTER_LABELS, type Filters, filtersOf, filterText, type GroupName, GROUPS, OVERVIEW_FILTERS, withFilters } from "../../lib/traceFilter";
import { useTimeRange } from "../../lib/useTimeRange";
import { FilterPill } from "../../parts/FilterPill";
import { Failed, Waiting } from "../../parts/states";
import "../../parts/virtual.css";
import { groupOf, type Overview, overviewQuery } from "./ask";
import { Chart, type Line } from "./Chart";
import { FirstSteps } from "./FirstSteps";
import "./overview.css";

/** Whether anything was ever recorded; only asked when the overview is empty. */
function useAnything(enabled: boolean) {
  return useQuery({
    queryKey: ["anything"],
    queryFn: async ({ signal }) => {
      const page = await getJson<Schemas["TraceList"]>("/api/v1/traces?limit=1", signal);
      // A page may be empty and have a next one, where a trace has very many spans.
      return page.data.length > 0 || page.next_cursor != null;
    },
    enabled,
    staleTime: 0,
  });
}

export default function OverviewPage() {
  const [params, setParams] = useSearchParams();
  const asked = useQuery({ ...overviewQuery(params), placeholderData: keepPreviousData });
  const empty = asked.data?.total.requests === 0;
  const anything = useAnything(empty);
  if (asked.isPending || (empty && anything.isPending)) return <Waiting what="Loading the overview" />;
  if (asked.isError && asked.data === undefined) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  if (asked.data === undefined) return null;
  if (empty && anything.data === false) return <FirstSteps />;
  const by = groupOf(params);
  const change = (next: URLSearchParams) => setParams(next);
  return (
    <div className="overview">
      <Head by={by} params={params} change={change} refresh={() => void asked.refetch()} busy={asked.isFetching} />
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {empty && <NothingHere params={params} />}
      <Tiles tiles={tilesOf(asked.data.total)} params={params} />
      {!empty && <Charts overview={asked.data} by={by} />}
      {!empty && by !== null && <Groups overview={asked.data} by={by} params={params} />}
    </div>
  );
}

/** Longer times to look at, under the same filters. */
function NothingHere({ params }: { params: URLSearchParams }) {
  const { range } = useTimeRange();
  const seconds = (range.to.getTime() - range.from.getTime()) / 1000;
  const longer = RANGES.filter((known) => known.seconds > seconds);
  const filtered = OVERVIEW_FILTERS.some((name) => filtersOf(params)[name] !== undefined);
  const search = (key: string) => {
    const next = new URLSearchParams(params);
    RANGE_PARAMS.forEach((name) => next.delete(name));
    next.set("range", key);
    return `?${next}`;
  };
  return (
    <Alert color="gray" my="xs" py={8}>
      <Group gap={6}>
        <Text size="sm" mr={4}>No model was called in this time{filtered ? " that these filters let through" : ""}.</Text>
        {longer.map((known) => <Button key={known.key} component={Link} to={{ search: search(known.key) }} variant="default" size="compact-xs">Last {known.label}</Button>)}
      </Group>
    </Alert>
  );
}

interface HeadProps {
  by: GroupName | null;
  params: URLSearchParams;
  change: (next: URLSearchParams) => void;
  refresh: () => void;
  busy: boolean;
}

function Head({ by, params, change, refresh, busy }: HeadProps) {
  const filters = filtersOf(params);
  const group = (value: string | null) => {
    const next = new URLSearchParams(params);
    if (value === null) next.delete("group_by");
    else next.set("group_by", value);
    change(next);
  };
  return (
    <Group gap={6} mb="xs">
      <Title order={1} mr={4}>Overview</Title>
      <Select w={150} data={GROUPS.map((name) => ({ value: name, label: `by ${name}` }))} value={by} onChange={group} placeholder="All together" aria-label="Group by" clearable clearButtonProps={{ "aria-label": "All together" }} />
      {OVERVIEW_FILTERS.filter((name) => filters[name] !== undefined).map((name) => (
        <FilterPill key={name} text={filterText(name, filters[name]!)} away={`Remove the filter ${FILTER_LABELS[name]}`} remove={() => change(withFilters(params, { [name]: "" }))} />
      ))}
      <Text size="xs" c="dimmed" ml="auto" visibleFrom="sm">Drag over a chart to zoom</Text>
      <Tooltip label="Ask again"><ActionIcon variant="default" size={30} aria-label="Ask again" loading={busy} onClick={refresh}>↻</ActionIcon></Tooltip>
    </Group>
  );
}

function Tiles({ tiles, params }: { tiles: Tile[]; params: URLSearchParams }) {
  return (
    <ul className="tiles" aria-label="In total">
      {tiles.map((tile) => (
        <li key={tile.title}>
          <Link to={callsLink(params, tile.narrowed)} className="tile">
            <span className="tile-title">{tile.title}</span>
            <span className={tile.failed ? "tile-value failed" : "tile-value"}>{tile.value}</span>
            <span className="tile-note">{tile.note ?? "\u00a0"}</span>
          </Link>
        </li>
      ))}
    </ul>
  );
}

function linesOf(plot: Plot, overview: Overview, by: GroupName | null): Line[] {
  if (by !== null) {
    return overview.series.map((series, at) => ({ label: nameOf(series, overview.other_groups), values: series[plot.grouped] as (number | null)[], color: series.group == null ? "gray" : GROUP_COLORS[at % GROUP_COLORS.length]! }));
  }
  const whole = overview.series[0];
  return whole === undefined ? [] : plot.lines.map((line) => ({ label: line.label, values: whole[line.of] as (number | null)[], color: line.color, filled: line.filled }));
}

/** Drawn anew only when the data is new: typing or hovering elsewhere leaves the charts alone. */
const Charts = memo(function Charts({ overview, by }: { overview: Overview; by: GroupName | null }) {
  const { setAbsolute } = useTimeRange();
  const zoom = useCallback((from: Date, to: Date) => setAbsolute(from, to), [setAbsolute]);
  const plots = useMemo(() => PLOTS.map((plot) => ({ plot, title: by === null ? plot.title : plot.groupedTitle, lines: linesOf(plot, overview, by) })), [overview, by]);
  return (
    <SimpleGrid cols={{ base: 1, md: 2, xl: 3 }} spacing={10} verticalSpacing={10}>
      {plots.map(({ plot, title, lines }) => (
        <section key={plot.title} className="chart-frame" aria-label={title}>
          <Title order={2} size="sm">{title}</Title>
          <Chart title={title} times={overview.times} lines={lines} format={plot.format} zoom={zoom} />
        </section>
      ))}
    </SimpleGrid>
  );
});

const HEADS = ["Requests", "Errors", "Cost", "Input", "Output", "p50", "p95", "p99", "First token", "Tokens/s"] as const;

function Groups({ overview, by, params }: { overview: Overview; by: GroupName; params: URLSearchParams }) {
  return (
    <Table.ScrollContainer minWidth={760} mt="sm">
      <Table highlightOnHover aria-label={`By ${by}`}>
        <Table.Thead>
          <Table.Tr><Table.Th tt="capitalize">{by}</Table.Th>{HEADS.map((head) => <Table.Th key={head} className="num">{head}</Table.Th>)}</Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {overview.series.map((series, at) => {
            const narrowed = filterOfSeries(by, series, overview.series);
            return (
              <Table.Tr key={series.group ?? "others"}>
                <Table.Td><span className={`swatch swatch-${series.group == null ? "gray" : GROUP_COLORS[at % GROUP_COLORS.length]}`} /><To narrowed={narrowed} params={params}>{nameOf(series, overview.other_groups)}</To></Table.Td>
                {cellsOf(series.total).map(([value, more], column) => <Table.Td key={HEADS[column]} className="num"><To narrowed={{ ...narrowed, ...more }} params={params}>{value}</To></Table.Td>)}
              </Table.Tr>
            );
          })}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function cellsOf(total: Measures): [string, Filters][] {
  const tiles = new Map(tilesOf(total).map((tile) => [tile.title, tile]));
  const slow = (title: string) => tiles.get(title)?.narrowed ?? {};
  return [
    [count(total.requests), {}], [count(total.errors), { status: "error" }], [money(total.cost_picodollars), {}], [count(total.input_tokens), {}], [count(total.output_tokens), {}],
    [duration(total.latency_p50_ms), slow("Latency p50")], [duration(total.latency_p95_ms), slow("p95")], [duration(total.latency_p99_ms), slow("p99")],
    [duration(total.ttft_p50_ms), slow("First token p50")], [total.output_tokens_per_s == null ? "–" : count(total.output_tokens_per_s), {}],
  ];
}

function To({ narrowed, params, children }: { narrowed: Filters; params: URLSearchParams; children: string }) {
  return <Link to={callsLink(params, narrowed)} className="row-link">{children}</Link>;
}
