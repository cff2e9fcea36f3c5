/** One prompt: its versions and how they fare, an editor, a comparison, comments. */

import { Anchor, Button, Group, Stack, Tabs, Title } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import { api, take } from "../../api/client";
import { Confirm } from "../../parts/Confirm";
import { Failed, Waiting } from "../../parts/states";
import { useSession } from "../../signin/session";
import { PROMPTS, versionsQuery } from "./ask";
import { Comments } from "./Comments";
import { Compare } from "./Compare";
import { EditVersion } from "./Editor";
import { Versions } from "./Versions";

const TABS = [
  { key: "versions", title: "Versions", part: Versions },
  { key: "editor", title: "Editor", part: EditVersion },
  { key: "compare", title: "Compare", part: Compare },
  { key: "comments", title: "Comments", part: Comments },
] as const;

export function PromptPage({ name }: { name: string }) {
  const { may } = useSession();
  const [params, setParams] = useSearchParams();
  const [removing, setRemoving] = useState<string | null>(null);
  const asked = useQuery(versionsQuery(name));
  const chosen = TABS.find((tab) => tab.key === params.get("tab"))?.key ?? TABS[0].key;
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={1}><Anchor component={Link} to="/prompts" inherit>Prompts</Anchor> / {name}</Title>
        {may("write") && <Button variant="subtle" color="red" onClick={() => setRemoving(name)}>Remove</Button>}
      </Group>
      {asked.isPending && <Waiting what="Loading the versions" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && (
        <Tabs value={chosen} onChange={(tab) => setParams(tab === null ? {} : { tab }, { replace: true })} keepMounted={false}>
          <Tabs.List mb="sm">{TABS.map((tab) => <Tabs.Tab key={tab.key} value={tab.key}>{tab.title}</Tabs.Tab>)}</Tabs.List>
          {TABS.map((tab) => <Tabs.Panel key={tab.key} value={tab.key}><tab.part name={name} versions={asked.data.data} /></Tabs.Panel>)}
        </Tabs>
      )}
      <Remove removing={removing} close={() => setRemoving(null)} />
    </Stack>
  );
}

function Remove({ removing, close }: { removing: string | null; close: () => void }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  return (
    <Confirm
      subject={removing} close={close} title={(name) => `Remove ${name}?`} verb="Remove"
      act={async (name) => {
        await take(api.DELETE("/api/v1/prompts/{name}", { params: { path: { name } } }));
        void navigate("/prompts");
        queries.removeQueries({ queryKey: [...PROMPTS, name] });
        await queries.invalidateQueries({ queryKey: PROMPTS, exact: true });
      }}
    >
      All versions, labels and comments go. Calls that name the prompt are refused from then on.
    </Confirm>
  );
}
