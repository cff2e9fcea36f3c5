/** How long the project's rows are kept. */

import { Button, Group, NumberInput, Stack, Table, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, take, type Schemas } from "../../api/client";
import { time } from "../../lib/format";
import { Confirm } from "../../parts/Confirm";
import { Failed, Waiting } from "../../parts/states";
import { useSession } from "../../signin/session";

type Row = Schemas["Retention"];

const DAYS_MAX = 36_500;

export function Retention() {
  const { may, signedIn } = useSession();
  const asked = useQuery({ queryKey: ["retention"], queryFn: () => take(api.GET("/api/v1/retention")) });
  if (asked.isPending) return <Waiting what="Loading how long rows are kept" />;
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  return (
    <Stack gap="sm" maw={860}>
      <Text size="sm" c="dimmed">
        How long the rows of the project {signedIn.project} are kept. Time is cut at whole days (UTC): older rows are not seen by anybody, and leave the disk when that is worth the
        work. {may("admin") ? "Where the project says nothing, the setting lake.retain_days of the configuration holds." : "An admin changes it."}
      </Text>
      <Table>
        <Table.Thead><Table.Tr><Table.Th scope="col">Table</Table.Th><Table.Th scope="col">Kept for</Table.Th><Table.Th scope="col">Said by</Table.Th><Table.Th scope="col">Since</Table.Th>{may("admin") && <Table.Th scope="col">Change</Table.Th>}</Table.Tr></Table.Thead>
        <Table.Tbody>
          {asked.data.data.map((row) => (
            <Table.Tr key={row.table}>
              <Table.Th scope="row">{row.table}</Table.Th>
              <Table.Td>{keptFor(row.days)}</Table.Td>
              <Table.Td>{row.origin === "project" ? "the project" : "the operator"}</Table.Td>
              <Table.Td>{row.updated ? time(row.updated) : "–"}</Table.Td>
              {may("admin") && <Table.Td><Change row={row} /></Table.Td>}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Stack>
  );
}

function keptFor(days: number): string {
  return days === 0 ? "for ever" : days === 1 ? "1 day" : `${days.toLocaleString("en-US")} days`;
}

function Change({ row }: { row: Row }) {
  const queries = useQueryClient();
  const [days, setDays] = useState<number | string>(row.days);
  const [asking, ask] = useState<number | null>(null);
  const wanted = typeof days === "number" ? days : null;
  const changed = () => queries.invalidateQueries();
  const put = async (days: number) => {
    await take(api.PUT("/api/v1/retention/{table}", { params: { path: { table: row.table } }, body: { days } }));
    notifications.show({ message: `${row.table} are kept ${days === 0 ? "for ever" : `for ${keptFor(days)}`}.`, closeButtonProps: { "aria-label": "Close" } });
    await changed();
  };
  const clear = useMutation({
    mutationFn: () => take(api.DELETE("/api/v1/retention/{table}", { params: { path: { table: row.table } } })),
    onSuccess: changed,
  });
  return (
    <>
      <Group gap="xs" wrap="nowrap">
        <NumberInput aria-label={`Days that ${row.table} are kept; 0 for ever`} value={days} onChange={setDays} min={0} max={DAYS_MAX} allowDecimal={false} w={110} suffix=" days" />
        <Button variant="default" disabled={wanted === null || (wanted === row.days && row.origin === "project")} onClick={() => ask(wanted)}>Set</Button>
        <Button variant="subtle" disabled={row.origin !== "project"} loading={clear.isPending} onClick={() => clear.mutate()}>Clear</Button>
      </Group>
      {clear.isError && <Failed error={clear.error} />}
      <Confirm subject={asking} close={() => ask(null)} title={(days) => (days === 0 ? `Keep ${row.table} for ever?` : `Keep ${row.table} for ${keptFor(days)}?`)} verb="Set" act={put}>
        {asking === 0 ? "Nothing is removed any more." : <>Rows of <b>{row.table}</b> that are older are hidden at once, and then removed for good.</>}
      </Confirm>
    </>
  );
}
