/** What people say about the versions. */

import { Badge, Button, Card, Group, Select, Stack, Text, Textarea, Tooltip } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, take } from "../../api/client";
import { ago, time } from "../../lib/format";
import { Empty, Failed, Waiting } from "../../parts/states";
import { useSession } from "../../signin/session";
import { commentsQuery, type Summary } from "./ask";

export function Comments({ name, versions }: { name: string; versions: readonly Summary[] }) {
  const { may } = useSession();
  const asked = useQuery(commentsQuery(name));
  const comments = asked.data?.data ?? [];
  return (
    <Stack gap="sm">
      {asked.isPending && <Waiting what="Loading the comments" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && comments.length === 0 && <Empty title="No comments">Say what a version does better, or why it should not be used.</Empty>}
      {comments.map((comment) => (
        <Card key={comment.id} withBorder padding="sm">
          <Group gap={6} mb={4}>
            <Badge variant="default">Version {comment.version}</Badge>
            <Text size="xs" c="dimmed">{comment.author}</Text>
            <Tooltip label={time(comment.created)}><Text size="xs" c="dimmed">{ago(comment.created)}</Text></Tooltip>
          </Group>
          <p className="prompt-said">{comment.text}</p>
        </Card>
      ))}
      {may("write") && <Say name={name} versions={versions} />}
    </Stack>
  );
}

function Say({ name, versions }: { name: string; versions: readonly Summary[] }) {
  const queries = useQueryClient();
  const [version, setVersion] = useState(String(versions[0]?.version ?? 1));
  const [text, setText] = useState("");
  const said = useMutation({
    mutationFn: () => take(api.POST("/api/v1/prompts/{name}/comments", { params: { path: { name } }, body: { version: Number(version), text } })),
    onSuccess: () => {
      setText("");
      return queries.invalidateQueries({ queryKey: commentsQuery(name).queryKey });
    },
  });

  function submit(event: FormEvent) {
    event.preventDefault();
    said.mutate();
  }

  return (
    <form onSubmit={submit}>
      <Stack gap="xs">
        <Select label="About" w={160} data={versions.map((one) => ({ value: String(one.version), label: `Version ${one.version}` }))} value={version} onChange={(value) => setVersion(value ?? version)} allowDeselect={false} />
        <Textarea label="Comment" autosize minRows={2} maxRows={12} value={text} onChange={(event) => setText(event.currentTarget.value)} />
        {said.isError && <Failed error={said.error} />}
        <Group><Button type="submit" loading={said.isPending} disabled={text.trim() === ""}>Comment</Button></Group>
      </Stack>
    </form>
  );
}
