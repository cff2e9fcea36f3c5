/** Who had to be asked again, and who answered instead. */

import { Table, Text } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useSearchParams } from "react-router";
import { count, duration, percent } from "../../lib/format";
import { failureName } from "../../lib/statistics";
import { Failed, Waiting } from "../../parts/states";
import { retriesQuery } from "./ask";

export function Retries() {
  const [params] = useSearchParams();
  const asked = useQuery({ ...retriesQuery(params), placeholderData: keepPreviousData });
  if (asked.isPending) return <Waiting what="Loading the retries" />;
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  const found = asked.data;
  if (found.troubled === 0) return <Text size="sm" c="dimmed">The gateway got an answer to every call at the first attempt.</Text>;
  return (
    <>
      <Text size="sm" mb={4}>
        Of {count(found.requests)} calls {count(found.troubled)} had an attempt that failed: {count(found.retried)} were asked again of the same target, {count(found.fell_back)} of another, and {count(found.rescued)} were answered in the end
        {found.rescued > 0 && `, ${duration(found.lost_ms / found.rescued)} later than they might have been on average`}.
        {found.truncated && " Only the newest of them were read."}
      </Text>
      <Table.ScrollContainer minWidth={640}>
        <Table aria-label="Targets of calls with a failed attempt">
          <Table.Thead><Table.Tr>{["Target", "Attempts", "Failed", "How", "Went on to"].map((head, at) => <Table.Th key={head} scope="col" className={at === 1 || at === 2 ? "num" : ""}>{head}</Table.Th>)}</Table.Tr></Table.Thead>
          <Table.Tbody>
            {found.targets.map((target) => {
              const name = `${target.provider}/${target.model}`;
              const on = found.paths.filter((path) => path.from === name);
              return (
                <Table.Tr key={name}>
                  <Table.Td>{name}</Table.Td>
                  <Table.Td className="num">{count(target.attempts)}</Table.Td>
                  <Table.Td className="num">{count(target.failed)} · {percent(target.failed / target.attempts)}</Table.Td>
                  <Table.Td>{target.kinds.map(({ kind, calls }) => `${failureName(kind)} ${count(calls)}`).join(", ")}</Table.Td>
                  <Table.Td>{on.map(({ to, calls }) => `${to} (${count(calls)})`).join(", ")}</Table.Td>
                </Table.Tr>
              );
            })}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </>
  );
}
