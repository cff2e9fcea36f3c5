/** Makes a leaderboard; says before which documents it needs and whether they are here. */

import { Button, Group, Modal, NumberInput, Stack, Table, TagsInput, Text, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useNavigate } from "react-router";
import { api, getJson, take } from "../../api/client";
import { Failed } from "../../parts/states";
import { LEADERBOARDS } from "./ask";
import { linkTo } from "./BoardList";

/** So long nothing is typed before the server is asked. */
const ASK_AFTER_MS = 400;
/** The leaderboard that comes with Quarterdeck. */
const USUAL = "basic";

export function NewBoard({ opened, close }: { opened: boolean; close: () => void }) {
  return <Modal opened={opened} onClose={close} title="New leaderboard" size="lg" closeButtonProps={{ "aria-label": "Close" }}>{opened && <Form close={close} />}</Modal>;
}

function Form({ close }: { close: () => void }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const known = useQuery({ queryKey: ["v1-models"], queryFn: ({ signal }) => getJson<{ data: { id: string }[] }>("/v1/models", signal), retry: false });
  const [name, setName] = useState(USUAL);
  const [models, setModels] = useState<string[]>([]);
  const [limit, setLimit] = useState<number | string>(100);
  const most = typeof limit === "number" ? limit : undefined;
  const make = useMutation({
    mutationFn: () => take(api.POST("/api/v1/leaderboards", { body: { name: name.trim(), models, limit: most } })),
    onSuccess: async (made) => {
      close();
      await queries.invalidateQueries({ queryKey: [LEADERBOARDS] });
      void navigate(linkTo(made.name));
    },
  });

  function submit(event: FormEvent) {
    event.preventDefault();
    make.mutate();
  }

  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <TextInput label="Name" description={`“${USUAL}” comes with Quarterdeck; the name of one that there is asks its tasks again`} required value={name} onChange={(event) => setName(event.currentTarget.value)} autoComplete="off" data-autofocus />
        <TagsInput label="Models" description="Empty for those of its definition" placeholder={models.length === 0 ? "Choose, or type a name" : undefined} data={(known.data?.data ?? []).map(({ id }) => id)} value={models} onChange={setModels} clearable acceptValueOnBlur />
        <NumberInput label="Documents of each task" description="The first ones; empty for what its definition says" min={1} value={limit} onChange={setLimit} />
        <Needs name={name.trim()} models={models} limit={most} />
        {make.isError && <Failed error={make.error} />}
        <Group justify="flex-end"><Button variant="default" onClick={close}>Close</Button><Button type="submit" loading={make.isPending}>Ask the models</Button></Group>
      </Stack>
    </form>
  );
}

/** Which documents are needed, and where they are. */
function Needs({ name, models, limit }: { name: string; models: readonly string[]; limit: number | undefined }) {
  const [typed] = useDebouncedValue(name, ASK_AFTER_MS);
  const asked = useQuery({
    queryKey: [LEADERBOARDS, "needs", typed, models, limit],
    queryFn: () => take(api.POST("/api/v1/leaderboards/{name}/preview", { params: { path: { name: typed } }, body: { models: [...models], limit } })),
    enabled: typed !== "", retry: false,
  });
  if (asked.isError) return <Text size="sm" className="failed" role="status">{asked.error.message}</Text>;
  if (asked.data === undefined) return null;
  return (
    <Table aria-label="Documents that it needs">
      <Table.Thead><Table.Tr><Table.Th scope="col">Documents</Table.Th><Table.Th scope="col">Dataset here</Table.Th></Table.Tr></Table.Thead>
      <Table.Tbody>
        {asked.data.data.map((need) => (
          <Table.Tr key={need.key}><Table.Td>{need.key}</Table.Td><Table.Td>{need.found ?? <span className="failed">none; it is looked for as {need.dataset}</span>}</Table.Td></Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
