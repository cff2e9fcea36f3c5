/** Settings: who may sign in, what calls cost, how long rows are kept, how the server fares, one's own password. */

import { Anchor, Stack, Table, Tabs, Text, Title } from "@mantine/core";
import { useSearchParams } from "react-router";
import { useSession } from "../signin/session";
import { Accounts } from "./settings/Accounts";
import { Password } from "./settings/Password";
import { Prices } from "./settings/Prices";
import { Retention } from "./settings/Retention";
import { Server } from "./settings/Server";

export default function Settings() {
  const { may, signedIn } = useSession();
  const [params, setParams] = useSearchParams();
  const tabs = [
    ...(may("admin") ? [{ key: "accounts", title: "Accounts" }] : []), { key: "prices", title: "Prices" }, { key: "retention", title: "Retention" }, { key: "server", title: "Server" },
    ...(signedIn.account === null ? [] : [{ key: "password", title: "Password" }]), { key: "about", title: "About" },
  ];
  const chosen = tabs.find((tab) => tab.key === params.get("tab"))?.key ?? tabs[0]!.key;
  return (
    <Stack gap="sm">
      <Title order={1}>Settings</Title>
      <Tabs value={chosen} onChange={(tab) => setParams(tab === null ? {} : { tab }, { replace: true })} keepMounted={false}>
        <Tabs.List mb="sm">{tabs.map((tab) => <Tabs.Tab key={tab.key} value={tab.key}>{tab.title}</Tabs.Tab>)}</Tabs.List>
        <Tabs.Panel value="accounts"><Accounts /></Tabs.Panel>
        <Tabs.Panel value="prices"><Prices /></Tabs.Panel>
        <Tabs.Panel value="retention"><Retention /></Tabs.Panel>
        <Tabs.Panel value="server"><Server /></Tabs.Panel>
        {signedIn.account !== null && <Tabs.Panel value="password"><Password account={signedIn.account} /></Tabs.Panel>}
        <Tabs.Panel value="about"><About /></Tabs.Panel>
      </Tabs>
    </Stack>
  );
}

function About() {
  const { signedIn } = useSession();
  const rows: [string, string][] = [
    ["Signed in", signedIn.account ?? `with the API key ${signedIn.key_id ?? ""}`],
    ["Role", signedIn.role ?? "that of the key"],
    ["Scopes", signedIn.scopes.join(", ")],
    ["Project", signedIn.project],
    ["Until", new Date(signedIn.expires).toLocaleString()],
  ];
  return (
    <Stack gap="sm" maw={640}>
      <Table>
        <Table.Tbody>{rows.map(([name, value]) => <Table.Tr key={name}><Table.Th scope="row" w={140}>{name}</Table.Th><Table.Td>{value}</Table.Td></Table.Tr>)}</Table.Tbody>
      </Table>
      <Text size="sm">
        Quarterdeck serves models, forwards calls to providers and keeps a trace of each, in one program. This console asks nobody but this server. Its HTTP API is
        described in <Anchor href="/openapi.json" target="_blank" rel="noreferrer" size="sm" underline="always">openapi.json</Anchor>. Sizes and limits stand in the configuration file; the command line does whatever stands here.
      </Text>
    </Stack>
  );
}
