/** What a judge said of an item: a score or why there is none, its reasons, and what it is made of. */

import { Stack, Table, Text } from "@mantine/core";
import { type Judgement, ORDERS, outcomeTold } from "../lib/judges";
import { LongText } from "./Long";

export function JudgementView({ judgement }: { judgement: Judgement }) {
  const { parts = [], reasons, orders, reference, disagreement, said } = judgement;
  return (
    <Stack gap={4}>
      <Text size="sm" fw={600}>{outcomeTold(judgement)}</Text>
      {reasons && <LongText text={reasons} />}
      {said && <LongText text={`It said: ${said}`} />}
      {orders && <Text size="xs" c="dimmed">{ORDERS[orders] ?? orders}</Text>}
      {disagreement && <Text size="xs" c="dimmed">{(disagreement.pairs * 100).toFixed(0)} % of pairs of jurors said different things</Text>}
      {reference && <LongText text={`It wrote as the right answer: ${reference}`} />}
      {parts.length > 0 && (
        <Table aria-label="Parts of the judgement">
          <Table.Thead><Table.Tr><Table.Th scope="col">Part</Table.Th><Table.Th scope="col">Said</Table.Th><Table.Th scope="col">Reasons</Table.Th></Table.Tr></Table.Thead>
          <Table.Tbody>
            {parts.map((part, at) => <Table.Tr key={at}><Table.Td>{part.name}</Table.Td><Table.Td>{outcomeTold(part)}</Table.Td><Table.Td>{part.reasons ? <LongText text={part.reasons} /> : "–"}</Table.Td></Table.Tr>)}
          </Table.Tbody>
        </Table>
      )}
    </Stack>
  );
}
