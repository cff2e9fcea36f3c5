/** Percentiles, tokens and cost of each group, and of all. */

import { Table, Text } from "@mantine/core";
import { Link, useSearchParams } from "react-router";
import { nameOf } from "../../lib/measures";
import { filterOfGroup, type GroupStats, SPEED_HEADS, speedCells } from "../../lib/statistics";
import { callsLink, type Filters, GROUP_LABELS, type GroupName } from "../../lib/traceFilter";
import type { Stats } from "./ask";

export function Speed({ stats, by }: { stats: Stats; by: GroupName }) {
  return (
    <>
      <Table.ScrollContainer minWidth={1050}>
        <Table highlightOnHover aria-label={`Speed by ${by}`}>
          <Table.Thead>
            <Table.Tr><Table.Th scope="col">{GROUP_LABELS[by]}</Table.Th>{SPEED_HEADS.map((head, at) => <Table.Th key={at} scope="col" className="num">{head}</Table.Th>)}</Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {stats.groups.map((group) => <Line key={group.group} group={group} narrowed={filterOfGroup(by, group.group ?? "")} />)}
            {stats.groups.length !== 1 && <Line group={stats.total} narrowed={{}} />}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Text size="xs" c="dimmed">
        Percentiles are within one percent. Time per token is (latency − first token) ÷ (tokens − 1), of streamed answers. “Cached” is the share of the prompts’ tokens that came from a prompt cache.
        {stats.other_groups > 0 && ` ${stats.other_groups} more groups are part of “all”.`}
      </Text>
    </>
  );
}

function Line({ group, narrowed }: { group: GroupStats; narrowed: Filters }) {
  const [params] = useSearchParams();
  const to = (more: Filters) => callsLink(params, { ...narrowed, ...more });
  return (
    <Table.Tr>
      <Table.Td><Link to={to({})} className="row-link">{nameOf({ group: group.group ?? null }, 0)}</Link></Table.Td>
      {speedCells(group).map(([value, more], at) => <Table.Td key={at} className="num"><Link to={to(more)} className="row-link">{value}</Link></Table.Td>)}
    </Table.Tr>
  );
}
