/** The calls that the filters want, as rows of a dataset. */

import { Anchor, Autocomplete, Button, NumberInput, Popover, Stack, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Link, useSearchParams } from "react-router";
import { api, take } from "../../api/client";
import { callFilter } from "../../lib/traceFilter";
import { Failed } from "../../parts/states";
import { DATASETS, datasetsQuery } from "../datasets/ask";

/** As many as one request may add. */
const MOST_CALLS = 10_000;
const USUAL_CALLS = 1_000;

export function AddToDataset() {
  const [opened, setOpened] = useState(false);
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-end" withinPortal shadow="md" trapFocus>
      <Popover.Target><Button variant="default" onClick={() => setOpened(!opened)}>Add to dataset</Button></Popover.Target>
      <Popover.Dropdown aria-label="Add to dataset">{opened && <Add />}</Popover.Dropdown>
    </Popover>
  );
}

function Add() {
  const [params] = useSearchParams();
  const queries = useQueryClient();
  const known = useQuery(datasetsQuery);
  const [typed, setTyped] = useState("");
  const [limit, setLimit] = useState<number | string>(USUAL_CALLS);
  const name = typed.trim().replaceAll(/\s+/g, "-");
  const add = useMutation({
    mutationFn: () => take(api.POST("/api/v1/datasets/{name}/traces", { params: { path: { name } }, body: { filter: callFilter(params) as Record<string, never>, limit: Number(limit) || USUAL_CALLS, spans: [] } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: DATASETS }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    add.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="xs" w={300}>
        <Text size="xs" c="dimmed">Calls of language models that the filters and the time range want, the newest first: what was asked becomes the input, the answer the reference.</Text>
        <Autocomplete label="Dataset" placeholder="One that there is, or a new one" data={known.data?.data.map((dataset) => dataset.name) ?? []} value={typed} onChange={setTyped} comboboxProps={{ withinPortal: false }} />
        <NumberInput label="Calls at most" min={1} max={MOST_CALLS} value={limit} onChange={setLimit} />
        {add.data && "kind" in add.data && <Text size="sm" role="status">All rows of {name} are written anew; the page <Anchor component={Link} to="/jobs" size="sm">Jobs</Anchor> shows when that is done.</Text>}
        {add.data && "added" in add.data && (
          <Text size="sm" role="status">
            {add.data.added.toLocaleString("en-US")} rows added{add.data.known > 0 ? `, ${add.data.known.toLocaleString("en-US")} were there` : ""}: <Anchor component={Link} to={`/datasets/${encodeURIComponent(add.data.dataset)}`}>version {add.data.version} of {add.data.dataset}</Anchor>
          </Text>
        )}
        {add.isError && <Failed error={add.error} />}
        <Button type="submit" disabled={name === ""} loading={add.isPending}>Add</Button>
      </Stack>
    </form>
  );
}
