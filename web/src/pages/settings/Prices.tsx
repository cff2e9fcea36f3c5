/** The prices that costs are reckoned with. */

import { Group, Stack, Table, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useSearchParams } from "react-router";
import { api, take, type Schemas } from "../../api/client";
import { Empty, Failed, Waiting } from "../../parts/states";
import { useSession } from "../../signin/session";

type Row = Schemas["PriceRow"];

const COLUMNS = ["Provider", "Model", "Input", "Cached input", "Output", "Long input"];

export function Prices() {
  const { may } = useSession();
  const asked = useQuery({ queryKey: ["prices"], queryFn: () => take(api.GET("/api/v1/prices")) });
  const [params, setParams] = useSearchParams();
  if (asked.isPending) return <Waiting what="Loading the prices" />;
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  const wanted = (params.get("name") ?? "").trim().toLowerCase();
  const { version, as_of, rows } = asked.data;
  const shown = rows.filter((row) => `${row.provider}/${row.model}`.toLowerCase().includes(wanted));
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Text size="sm" c="dimmed">
          US dollars per million tokens, as of {as_of}. {version === 0 ? "Published prices that the program was built with." : `Version ${version} of your own prices; where they are silent, published ones hold.`} {may("admin") ? "Change" : "An admin changes"}
          them with <code>PUT /api/v1/prices</code>; calls that ended before keep their cost.
        </Text>
        <TextInput data-search aria-label="Find a model" placeholder="Provider or model  ( / )" value={params.get("name") ?? ""} onChange={(event) => setParams({ tab: "prices", ...(event.currentTarget.value ? { name: event.currentTarget.value } : {}) }, { replace: true })} />
      </Group>
      {shown.length === 0 ? <Empty title="No such price">A call without a price has no cost.</Empty> : <PriceTable rows={shown} />}
    </Stack>
  );
}

function PriceTable({ rows }: { rows: readonly Row[] }) {
  return (
    <Table.ScrollContainer minWidth={760}>
      <Table highlightOnHover>
        <Table.Thead><Table.Tr>{COLUMNS.map((name, index) => <Table.Th key={name} scope="col" className={index > 1 ? "num" : ""}>{name}</Table.Th>)}</Table.Tr></Table.Thead>
        <Table.Tbody>
          {rows.map((row) => (
            <Table.Tr key={`${row.provider}/${row.model}`}>
              <Table.Td>{row.provider}</Table.Td>
              <Table.Td>{row.model}</Table.Td>
              <Table.Td className="num">{dollars(row.input)}</Table.Td>
              <Table.Td className="num">{dollars(row.cached)}</Table.Td>
              <Table.Td className="num">{dollars(row.output)}</Table.Td>
              <Table.Td className="num">{row.long ? `above ${row.long.above.toLocaleString("en-US")}: ${dollars(row.long.input)} / ${dollars(row.long.output)}` : "–"}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function dollars(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : `$${value.toFixed(value !== 0 && value < 0.1 ? 4 : 2)}`;
}
