/** Alerts: rules and how each stands, what was told, whom, and who is not told for now. */

import { Stack, Tabs, Title } from "@mantine/core";
import { useSearchParams } from "react-router";
import { Inbox } from "./alerts/Inbox";
import { Receivers } from "./alerts/Receivers";
import { Rules } from "./alerts/Rules";
import { Silences } from "./alerts/Silences";

const TABS = [
  { key: "rules", title: "Rules", part: Rules },
  { key: "inbox", title: "Inbox", part: Inbox },
  { key: "receivers", title: "Receivers", part: Receivers },
  { key: "silences", title: "Silences", part: Silences },
] as const;

export default function Alerts() {
  const [params, setParams] = useSearchParams();
  const chosen = TABS.find((tab) => tab.key === params.get("tab"))?.key ?? TABS[0].key;
  return (
    <Stack gap="sm">
      <Title order={1}>Alerts</Title>
      <Tabs value={chosen} onChange={(tab) => setParams(tab === null ? {} : { tab }, { replace: true })} keepMounted={false}>
        <Tabs.List mb="sm">{TABS.map((tab) => <Tabs.Tab key={tab.key} value={tab.key}>{tab.title}</Tabs.Tab>)}</Tabs.List>
        {TABS.map((tab) => <Tabs.Panel key={tab.key} value={tab.key}><tab.part /></Tabs.Panel>)}
      </Tabs>
    </Stack>
  );
}
