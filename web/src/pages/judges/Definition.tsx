/** What a judge asks, as one reads it; all of it as JSON below. */

import { Stack, Table, Text, Title } from "@mantine/core";
import { inputsOf, type JudgeDefinition, meaningsOf, METHODS, scaleOf } from "../../lib/judges";
import { CodeBlock } from "../../parts/Code";
import { JsonTree } from "../../parts/JsonTree";
import type { Judge } from "./ask";

export function Definition({ judge }: { judge: Judge }) {
  const definition = judge.definition as unknown as JudgeDefinition;
  const jurors = definition.method.jurors ?? [];
  // Jurors that differ in nothing but the model ask what the first one asks.
  const asked = jurors[0] ?? definition;
  return (
    <Stack gap="md" className="judge-definition">
      {definition.description && <Text size="sm">{definition.description}</Text>}
      <Text size="sm">
        It asks for {METHODS[judge.method] ?? judge.method}{jurors.length > 0 && ` (${jurors.map((juror) => juror.model ?? "?").join(", ")}), which decide by ${definition.method.combine ?? "majority"}`}; its scale is {scaleOf(definition)}, {definition.better === "lower" ? "lower" : "higher"} is better.
      </Text>
      <Part title="It is told" text={asked.instruction} />
      <Part title="It is shown" text={asked.content} />
      <Part title="It is asked" text={asked.question} />
      <Inputs definition={definition} />
      <Meanings definition={asked} />
      <section><Title order={2} mb={4}>All of it</Title><JsonTree value={definition} label="Definition" /></section>
    </Stack>
  );
}

function Part({ title, text }: { title: string; text?: string }) {
  if (text === undefined || text === "") return null;
  return <section><Title order={2} mb={4}>{title}</Title><CodeBlock code={text} label={`Copy what ${title.toLowerCase()}`} /></section>;
}

function Inputs({ definition }: { definition: JudgeDefinition }) {
  return (
    <section>
      <Title order={2} mb={4}>An item has</Title>
      <Table aria-label="Inputs">
        <Table.Thead><Table.Tr>{["Name", "Is", "Form"].map((head) => <Table.Th key={head} scope="col">{head}</Table.Th>)}</Table.Tr></Table.Thead>
        <Table.Tbody>
          {inputsOf(definition).map(({ name, description, list, required }) => (
            <Table.Tr key={name}><Table.Td><code>{name}</code></Table.Td><Table.Td>{description ?? "–"}</Table.Td><Table.Td>{list ? "a list of texts" : "a text"}{required === false && ", or nothing"}</Table.Td></Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </section>
  );
}

function Meanings({ definition }: { definition: JudgeDefinition }) {
  const meanings = meaningsOf(definition);
  if (meanings.length === 0) return null;
  return (
    <section>
      <Title order={2} mb={4}>The scale</Title>
      <Table aria-label="Scale">
        <Table.Thead><Table.Tr><Table.Th scope="col">Place</Table.Th><Table.Th scope="col">Means</Table.Th></Table.Tr></Table.Thead>
        <Table.Tbody>{meanings.map(({ place, means }) => <Table.Tr key={place}><Table.Td>{place}</Table.Td><Table.Td>{means}</Table.Td></Table.Tr>)}</Table.Tbody>
      </Table>
    </section>
  );
}
