/** Where a version comes from, what its columns are, and what was made from it. */

import { Stack, Table, Title } from "@mantine/core";
import { Link } from "react-router";
import { JsonTree } from "../../parts/JsonTree";
import type { Version } from "./ask";
import { linkTo } from "./DatasetList";

export function About({ version }: { version: Version }) {
  return (
    <Stack gap="sm" style={{ overflow: "auto" }} tabIndex={0} role="region" aria-label="About this version">
      <Title order={2}>Columns</Title>
      <Table w="auto">
        <Table.Thead><Table.Tr>{["Name", "Type", "Role"].map((name) => <Table.Th key={name} scope="col">{name}</Table.Th>)}</Table.Tr></Table.Thead>
        <Table.Tbody>{version.columns.map((column) => <Table.Tr key={column.name}><Table.Td>{column.name}</Table.Td><Table.Td>{column.type}</Table.Td><Table.Td>{column.role}</Table.Td></Table.Tr>)}</Table.Tbody>
      </Table>
      <Title order={2}>Made by</Title>
      <JsonTree value={version.origin} label="What made it" />
      <Relatives title="Made from" relatives={version.made_from} />
      <Relatives title="Made into" relatives={version.made_into} />
    </Stack>
  );
}

function Relatives({ title, relatives }: { title: string; relatives: Version["made_from"] }) {
  if (relatives.length === 0) return null;
  return (
    <section>
      <Title order={2} mb={4}>{title}</Title>
      <Table w="auto">
        <Table.Thead><Table.Tr>{["What", "Version", "Steps away"].map((name) => <Table.Th key={name} scope="col">{name}</Table.Th>)}</Table.Tr></Table.Thead>
        <Table.Tbody>
          {relatives.map((relative) => (
            <Table.Tr key={relative.id}>
              <Table.Td>{relative.kind === "dataset" && !relative.removed ? <Link to={`${linkTo(relative.name)}?version=${relative.version}`}>{relative.name}</Link> : `${relative.kind} ${relative.name}${relative.removed ? " (removed)" : ""}`}</Table.Td>
              <Table.Td>{relative.version}</Table.Td>
              <Table.Td>{relative.distance}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </section>
  );
}
