/** How long answers take by their length: a line for each group, the calls around it, and those furthest from it. */

import { Group, Select, SimpleGrid, Table, Text, Title } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Link, useSearchParams } from "react-router";
import { count, duration, percent } from "../../lib/format";
import { nameOf } from "../../lib/measures";
import { drawn, furthest, type LengthFit, lineText, plain } from "../../lib/statistics";
import { Failed, Waiting } from "../../parts/states";
import { groupOf, lengthQuery } from "./ask";
import { Scatter } from "./Scatter";

const FURTHEST = 5;

export function Length() {
  const [params] = useSearchParams();
  const [chosen, choose] = useState<string | null>(null);
  const asked = useQuery({ ...lengthQuery(params), placeholderData: keepPreviousData });
  if (asked.isPending) return <Waiting what="Fitting lines" />;
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  const { groups } = asked.data;
  const shown = groups.find((group) => group.group === chosen) ?? groups[0];
  if (shown === undefined) return <Text size="sm" c="dimmed">No call in this time ended well with an answer whose tokens are known.</Text>;
  return (
    <>
      <Fits groups={groups} by={groupOf(params)} />
      <Group gap={6} my={6}>
        <Select w={260} size="xs" aria-label="Drawn" data={groups.map((group) => ({ value: group.group, label: nameOf(group, 0) }))} value={shown.group} onChange={choose} allowDeselect={false} />
        <Text size="sm">{lineText(shown)}</Text>
      </Group>
      <Charts key={shown.group} shown={shown} />
    </>
  );
}

function Fits({ groups, by }: { groups: readonly LengthFit[]; by: string }) {
  const error = (value: number | null | undefined, se: number | null | undefined) => `${plain(value ?? 0)}${se == null ? "" : ` ± ${duration(se)}`}`;
  return (
    <Table.ScrollContainer minWidth={820}>
      <Table aria-label={`Lines by ${by}`}>
        <Table.Thead>
          <Table.Tr>{["Group", "Calls", "Tokens", "Base", "Per token", "R²", "Beyond: 5 %", "half", "95 %"].map((head, at) => <Table.Th key={head} scope="col" className={at === 0 ? "" : "num"}>{head}</Table.Th>)}</Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {groups.map((group) => (
            <Table.Tr key={group.group}>
              <Table.Td>{nameOf(group, 0)}</Table.Td>
              <Table.Td className="num">{count(group.n)}</Table.Td>
              <Table.Td className="num">{count(group.tokens_min)} – {count(group.tokens_max)}</Table.Td>
              {group.fit == null ? <Table.Td colSpan={6}><Text size="sm" c="dimmed">{lineText(group)}</Text></Table.Td> : (
                <>
                  <Table.Td className="num">{error(group.fit.intercept_ms, group.fit.intercept_se)}</Table.Td>
                  <Table.Td className="num">{error(group.fit.slope_ms_per_token, group.fit.slope_se)}</Table.Td>
                  <Table.Td className="num">{percent(group.fit.r2)}</Table.Td>
                  {[group.residuals_ms?.p5, group.residuals_ms?.p50, group.residuals_ms?.p95].map((value, at) => <Table.Td key={at} className="num">{value == null ? "–" : plain(value)}</Table.Td>)}
                </>
              )}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <Text size="xs" c="dimmed" mt={8}>latency = base + tokens × per token, by least squares over the calls that ended well; ± are standard errors. “Beyond” is what calls took more than the line says.</Text>
    </Table.ScrollContainer>
  );
}

function Charts({ shown }: { shown: LengthFit }) {
  const data = useMemo(() => drawn(shown), [shown]);
  const last = furthest(shown, FURTHEST);
  return (
    <SimpleGrid cols={{ base: 1, md: data.residuals === null ? 1 : 2 }} spacing={10}>
      <Frame title="Calls and line"><Scatter title="Latency by tokens of the answer" points={data.points} tokens={data.tokens} values={data.latency} line={data.line} name="latency" /></Frame>
      {data.residuals !== null && <Frame title="Beyond the line"><Scatter title="What calls took beyond the line, by tokens of the answer" points={data.points} tokens={data.tokens} values={data.residuals} line={data.tokens.map(() => 0)} name="beyond" /></Frame>}
      {last.length > 0 && (
        <Text size="xs" component="div" style={{ gridColumn: "1 / -1" }}>
          Furthest above: {last.map(({ point, beyond }) => <Link key={point.span_id} to={`/traces/${point.trace_id}`} className="beyond">{plain(beyond)} at {count(point.output_tokens)} tokens</Link>)}
        </Text>
      )}
    </SimpleGrid>
  );
}

function Frame({ title, children }: { title: string; children: React.ReactNode }) {
  return (
    <div className="scatter-frame">
      <Title order={3} size="sm">{title}</Title>
      {children}
    </div>
  );
}
