/** Items by what was scored of them, and one of them with everything that was said. */

import { ActionIcon, Group, NumberInput, Select, Text } from "@mantine/core";
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useCallback, useMemo } from "react";
import { useSearchParams } from "react-router";
import { usePut } from "../../lib/addressBar";
import { inUnit } from "../../lib/cells";
import { type Filter, filterOf, lineOf, type Report, scoreOf, scoresOf, type Target } from "../../lib/evaluations";
import { count } from "../../lib/format";
import { Empty, Failed, Waiting } from "../../parts/states";
import { type Column, VirtualTable } from "../../parts/VirtualTable";
import { type Item, itemQuery, itemsQuery, type Opened } from "./ask";
import { ItemView } from "./ItemView";

export function Items({ evaluation }: { evaluation: Opened }) {
  const [params] = useSearchParams();
  const { report } = evaluation;
  const filter = filterOf(params, report);
  return (
    <>
      <Filters report={report} filter={filter} />
      <Found evaluation={evaluation} filter={filter} />
    </>
  );
}

/** Everything that narrows the items stands in the address. */
function Filters({ report, filter }: { report: Report; filter: Filter }) {
  const put = usePut();
  const names = scoresOf(report).map((name) => ({ value: name, label: name.replaceAll("_", " ") }));
  const targets = report.targets.map((target) => target.name);
  const range = (value: number | string) => (typeof value === "number" ? String(value) : null);
  const off = filter.scorer === undefined;
  return (
    <Group gap="sm" align="flex-end">
      {targets.length > 1 && <Select label="Answers of" w={170} data={[{ value: "", label: "all targets" }, ...targets.map((name) => ({ value: name, label: name }))]} value={filter.target ?? ""} allowDeselect={false} onChange={(value) => put({ target: value || null, row: null })} />}
      <Select label="By score" w={200} data={[{ value: "", label: "none" }, ...names]} value={filter.scorer ?? ""} allowDeselect={false} onChange={(value) => put({ scorer: value || null, lowest: null, highest: null, missing: null, row: null })} />
      <NumberInput label="At least" w={110} value={filter.lowest ?? ""} disabled={off || filter.missing} onChange={(value) => put({ lowest: range(value) })} step={0.1} decimalScale={9} />
      <NumberInput label="At most" w={110} value={filter.highest ?? ""} disabled={off || filter.missing} onChange={(value) => put({ highest: range(value) })} step={0.1} decimalScale={9} />
      <Select label="Which" w={190} disabled={off} data={[{ value: "", label: "with a score or without" }, { value: "1", label: "without that score" }]} value={filter.missing ? "1" : ""} allowDeselect={false} onChange={(value) => put({ missing: value || null, lowest: null, highest: null, row: null })} />
      {targets.length > 1 && <Select label="Targets differ in" w={200} data={[{ value: "", label: "whatever" }, ...names]} value={filter.disagree ?? ""} allowDeselect={false} onChange={(value) => put({ disagree: value || null, row: null })} />}
    </Group>
  );
}

function Found({ evaluation, filter }: { evaluation: Opened; filter: Filter }) {
  const [params] = useSearchParams();
  const put = usePut();
  const asked = useInfiniteQuery(itemsQuery(evaluation, filter));
  const items = useMemo(() => asked.data?.pages.flatMap((page) => page.data) ?? [], [asked.data]);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = asked;
  const more = useCallback(() => void (hasNextPage && !isFetchingNextPage && fetchNextPage()), [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const chosen = params.get("row");
  const open = useCallback((item: Item) => put({ row: String(item.item) }), [put]);
  const columns = useMemo(() => columnsOf(evaluation.report, filter), [evaluation.report, filter]);
  if (asked.isPending) return <Waiting what="Loading the items" />;
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  const total = asked.data.pages[0]?.total ?? 0;
  if (total === 0) return <Empty title="No such item">No item is like that.</Empty>;
  const foot = <div className="vt-foot" role="status">{count(items.length)} of {count(total)} items</div>;
  return (
    <div className="fill-rest" onKeyDown={(event) => event.key === "Escape" && put({ row: null })}>
      <VirtualTable label="Items" columns={columns} rows={items} rowKey={(item) => String(item.item)} selected={chosen} onSelect={open} onOpen={open} onNearEnd={more} foot={foot} />
      {chosen !== null && <Panel evaluation={evaluation} item={Number(chosen)} here={items.find((item) => String(item.item) === chosen)} close={() => put({ row: null })} />}
    </div>
  );
}

/** The item, what it should be answered, and of each target the answer with its scores. */
function columnsOf(report: Report, filter: Filter): Column<Item>[] {
  const shown = report.targets.filter((target) => filter.target === undefined || target.name === filter.target);
  const names = scoresOf(report);
  const first = filter.scorer ?? filter.disagree ?? names[0];
  const answers = shown.flatMap((target): Column<Item>[] => [
    ...(first === undefined ? [] : [{ key: `${target.name} score`, title: shown.length === 1 ? first.replaceAll("_", " ") : `${target.name}: ${first.replaceAll("_", " ")}`, width: "minmax(90px, 150px)", numeric: true, cell: (item: Item) => <Scored item={item} target={target} name={first} /> }]),
    { key: `${target.name} answer`, title: shown.length === 1 ? "Answer" : target.name, width: "minmax(180px, 3fr)", cell: (item) => <Said item={item} target={target.name} /> },
  ]);
  return [
    { key: "#", title: "#", width: "70px", numeric: true, cell: (item) => item.item.toLocaleString("en-US") },
    { key: "asked", title: "Item", width: "minmax(180px, 3fr)", cell: (item) => lineOf(item.values, besidesOf(item)) },
    { key: "reference", title: "Reference", width: "minmax(120px, 2fr)", cell: (item) => item.references.join(" · ") },
    ...answers,
  ];
}

/** What a line tells in a column of its own. */
const besidesOf = (item: Item): string[] => [item.row_id, ...item.references, ...item.answers.flatMap(({ output }) => output ?? [])];

function Scored({ item, target, name }: { item: Item; target: Target; name: string }) {
  const answer = item.answers.find((one) => one.target === target.name);
  const value = answer?.scores[name];
  if (value == null) return <Text component="span" size="xs" c="dimmed" title={answer?.why[name]}>{answer === undefined ? "" : "none"}</Text>;
  const unit = scoreOf(target, name)?.unit ?? "count";
  return <>{unit === "share" && (value === 0 || value === 1) && <span className={value === 1 ? "dot dot-ok" : "dot dot-error"} aria-hidden />}{inUnit(unit, value)}</>;
}

function Said({ item, target }: { item: Item; target: string }) {
  const answer = item.answers.find((one) => one.target === target);
  if (answer === undefined) return null;
  return answer.error != null ? <span className="failed">{answer.error}</span> : <>{answer.output ?? "nothing"}</>;
}

/** The chosen item, also one that is not among those in sight. */
function Panel({ evaluation, item, here, close }: { evaluation: Opened; item: number; here: Item | undefined; close: () => void }) {
  const asked = useQuery({ ...itemQuery(evaluation, item), placeholderData: keepPreviousData });
  const shown = asked.data ?? here;
  return (
    <aside className="side side-wide" aria-label="Item" tabIndex={0}>
      <Group gap={6} mb={8} wrap="nowrap">
        <Text size="sm" fw={600}>Item {item.toLocaleString("en-US")}</Text>
        <Text size="xs" c="dimmed" className="mono clip">{shown?.row_id}</Text>
        <ActionIcon variant="subtle" color="gray" size="sm" ml="auto" aria-label="Close the panel" onClick={close}>×</ActionIcon>
      </Group>
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {shown === undefined ? asked.isPending && <Waiting what="Loading the item" /> : <ItemView key={shown.item} item={shown} report={evaluation.report} />}
    </aside>
  );
}
