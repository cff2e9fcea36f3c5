/** Every prompt with its labels. */

import { Badge, Button, Group, Stack, Table, Title, Tooltip } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { ago, count, time } from "../../lib/format";
import { Empty, Failed, Waiting } from "../../parts/states";
import { useSession } from "../../signin/session";
import { type Prompt, promptsQuery } from "./ask";

export function PromptList() {
  const { may } = useSession();
  const asked = useQuery(promptsQuery);
  const prompts = asked.data?.data ?? [];
  const add = may("write") ? <Button component={Link} to="/prompts?new">New prompt</Button> : null;
  return (
    <Stack gap="sm">
      <Group justify="space-between"><Title order={1}>Prompts</Title>{add}</Group>
      {asked.isPending && <Waiting what="Loading the prompts" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && prompts.length === 0 && (
        <Empty title="No prompts" action={add}>
          A prompt is a template in versions. Programs call it by name and label with the header <code>x-quarterdeck-prompt</code>, so that it changes in production without a deploy.
        </Empty>
      )}
      {prompts.length > 0 && <PromptTable prompts={prompts} />}
    </Stack>
  );
}

function PromptTable({ prompts }: { prompts: readonly Prompt[] }) {
  return (
    <Table.ScrollContainer minWidth={560}>
      <Table highlightOnHover aria-label="Prompts">
        <Table.Thead>
          <Table.Tr>
            <Table.Th scope="col">Name</Table.Th><Table.Th scope="col">Labels</Table.Th><Table.Th scope="col" className="num">Versions</Table.Th><Table.Th scope="col">Changed</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {prompts.map((prompt) => (
            <Table.Tr key={prompt.name}>
              <Table.Td><Link to={`/prompts/${encodeURIComponent(prompt.name)}`} className="row-link">{prompt.name}</Link></Table.Td>
              <Table.Td><Group gap={4}>{prompt.labels.map(({ label, version }) => <Badge key={label} variant="default" tt="none">{label} → {version}</Badge>)}</Group></Table.Td>
              <Table.Td className="num">{count(prompt.versions)}</Table.Td>
              <Table.Td><Tooltip label={time(prompt.updated)}><span>{ago(prompt.updated)}</span></Tooltip></Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
