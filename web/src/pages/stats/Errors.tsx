/** In which ways calls went wrong, of all and by group. */

import { Progress, Table, Text, Tooltip } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link, useSearchParams } from "react-router";
import { ago, count, percent, time } from "../../lib/format";
import { nameOf } from "../../lib/measures";
import { failureName, filterOfGroup } from "../../lib/statistics";
import { callsLink, GROUP_LABELS, type GroupName } from "../../lib/traceFilter";
import { Failed, Waiting } from "../../parts/states";
import { errorsQuery, type ErrorStats, groupOf } from "./ask";

export function Errors() {
  const [params] = useSearchParams();
  const asked = useQuery({ ...errorsQuery(params), placeholderData: keepPreviousData });
  if (asked.isPending) return <Waiting what="Loading the errors" />;
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  const found = asked.data;
  if (found.kinds.length === 0) return <Text size="sm" c="dimmed">All {count(found.requests)} calls ended well.</Text>;
  return (
    <>
      <Text size="sm" mb={4}>
        <Link to={callsLink(params, { status: "error" })}>{count(found.errors)} of {count(found.requests)} calls</Link> failed{found.cancelled > 0 && <>, and of <Link to={callsLink(params, { status: "cancelled" })}>{count(found.cancelled)}</Link> the caller left before the end</>}.
      </Text>
      <Kinds found={found} params={params} />
      {found.groups.length > 0 && <ByGroup found={found} by={groupOf(params)} params={params} />}
    </>
  );
}

function Kinds({ found, params }: { found: ErrorStats; params: URLSearchParams }) {
  const most = Math.max(...found.kinds.map((kind) => kind.calls));
  return (
    <Table.ScrollContainer minWidth={700}>
      <Table highlightOnHover aria-label="Errors by kind">
        <Table.Thead><Table.Tr>{["Kind", "Calls", "Of all", "", "Last", "One of them said"].map((head, at) => <Table.Th key={at} scope="col" className={at === 1 || at === 2 ? "num" : ""}>{head}</Table.Th>)}</Table.Tr></Table.Thead>
        <Table.Tbody>
          {found.kinds.map((kind) => (
            <Table.Tr key={kind.kind}>
              <Table.Td><Link to={callsLink(params, { failure: kind.kind })} className="row-link">{failureName(kind.kind)}</Link></Table.Td>
              <Table.Td className="num"><Link to={callsLink(params, { failure: kind.kind })} className="row-link">{count(kind.calls)}</Link></Table.Td>
              <Table.Td className="num">{percent(kind.share)}</Table.Td>
              <Table.Td w={140}><Progress value={(100 * kind.calls) / most} color={kind.kind === "cancelled" ? "gray" : "red"} aria-label={`${failureName(kind.kind)}: ${kind.calls} calls`} /></Table.Td>
              <Table.Td><Tooltip label={time(kind.last)}><span>{ago(kind.last)}</span></Tooltip></Table.Td>
              <Table.Td maw={420} className="clip" title={kind.example ?? undefined}>{kind.example}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function ByGroup({ found, by, params }: { found: ErrorStats; by: GroupName; params: URLSearchParams }) {
  return (
    <Table.ScrollContainer minWidth={500}>
      <Table highlightOnHover aria-label={`Errors by ${by}`}>
        <Table.Thead><Table.Tr><Table.Th scope="col">{GROUP_LABELS[by]}</Table.Th><Table.Th scope="col" className="num">Calls</Table.Th>{found.kinds.map((kind) => <Table.Th key={kind.kind} scope="col" className="num">{failureName(kind.kind)}</Table.Th>)}</Table.Tr></Table.Thead>
        <Table.Tbody>
          {found.groups.map((group) => {
            const narrowed = filterOfGroup(by, group.group);
            const of = (kind: string) => group.kinds.find((one) => one.kind === kind)?.calls ?? 0;
            return (
              <Table.Tr key={group.group}>
                <Table.Td><Link to={callsLink(params, narrowed)} className="row-link">{nameOf(group, 0)}</Link></Table.Td>
                <Table.Td className="num"><Link to={callsLink(params, narrowed)} className="row-link">{count(group.requests)}</Link></Table.Td>
                {found.kinds.map(({ kind }) => <Table.Td key={kind} className="num">{of(kind) === 0 ? "–" : <Link to={callsLink(params, { ...narrowed, failure: kind })} className="row-link">{count(of(kind))}</Link>}</Table.Td>)}
              </Table.Tr>
            );
          })}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
