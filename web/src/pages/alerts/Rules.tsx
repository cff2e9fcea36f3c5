/** The rules, how each stands, and the form that makes and changes them. */

import { Badge, Button, Group, Modal, Stack, Switch, Table, Text, Tooltip } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, take, type Schemas } from "../../api/client";
import { formOf, ruleOf } from "../../lib/alertRule";
import { ago, time } from "../../lib/format";
import { Confirm } from "../../parts/Confirm";
import { Empty, Failed, Waiting } from "../../parts/states";
import { useSession } from "../../signin/session";
import { type Alert, ALERTS, COLOURS, RULES, words } from "./ask";
import { History } from "./Inbox";
import { RuleDialog } from "./RuleDialog";

export function Rules() {
  const { may } = useSession();
  const asked = useQuery(RULES);
  const [editing, setEditing] = useState<Alert | "new" | null>(null);
  const [removing, setRemoving] = useState<Alert | null>(null);
  const [looking, setLooking] = useState<Alert | null>(null);
  const rules = asked.data?.data ?? [];
  const add = may("write") ? <Button onClick={() => setEditing("new")}>Add rule</Button> : null;
  return (
    <Stack gap="sm">
      <Group justify="space-between"><Text size="sm" c="dimmed">Each rule reads the calls again and again, and tells when something is wrong.</Text>{add}</Group>
      {asked.isPending && <Waiting what="Loading the rules" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && rules.length === 0 && (
        <Empty title="No rules yet" action={add}>
          A rule looks at latency, errors, cost, scores or SQL over a window of time. The form shows how often it would have fired before you save it.
        </Empty>
      )}
      {rules.length > 0 && <RuleTable rules={rules} edit={may("write") ? setEditing : null} remove={setRemoving} look={setLooking} />}
      <RuleDialog editing={editing} close={() => setEditing(null)} />
      <Modal opened={looking !== null} onClose={() => setLooking(null)} title={`History of ${looking?.name ?? ""}`} size="lg" closeButtonProps={{ "aria-label": "Close" }}>
        {looking !== null && <History name={looking.name} />}
      </Modal>
      <Remove removing={removing} close={() => setRemoving(null)} />
    </Stack>
  );
}

interface Acts {
  edit: ((rule: Alert) => void) | null;
  remove: (rule: Alert) => void;
  look: (rule: Alert) => void;
}

function RuleTable({ rules, ...acts }: { rules: readonly Alert[] } & Acts) {
  return (
    <Table.ScrollContainer minWidth={900}>
      <Table highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            {["State", "Name", "Looks for", "Reads", "Since", "Severity", "On"].map((name) => <Table.Th key={name} scope="col">{name}</Table.Th>)}
            <Table.Td />
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>{rules.map((rule) => <RuleRow key={rule.name} rule={rule} {...acts} />)}</Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function RuleRow({ rule, edit, remove, look }: { rule: Alert } & Acts) {
  return (
    <Table.Tr>
      <Table.Td><State rule={rule} /></Table.Td>
      <Table.Td>{rule.name}</Table.Td>
      <Table.Td>{rule.summary}{rule.everywhere ? ", over all projects" : ""}</Table.Td>
      <Table.Td className="clip" maw={220}><Tooltip label={rule.message || "not evaluated yet"} multiline maw={400}><span>{rule.evaluated ? rule.message : "–"}</span></Tooltip></Table.Td>
      <Table.Td><Tooltip label={time(rule.since)}><span>{ago(rule.since)}</span></Tooltip></Table.Td>
      <Table.Td>{rule.severity}</Table.Td>
      <Table.Td>{edit ? <OnOff rule={rule} /> : rule.enabled ? "on" : "off"}</Table.Td>
      <Table.Td>
        <Group gap={4} justify="flex-end" wrap="nowrap">
          <Button variant="default" size="compact-xs" onClick={() => look(rule)} aria-label={`History of ${rule.name}`}>History</Button>
          {edit && <Button variant="default" size="compact-xs" onClick={() => edit(rule)} aria-label={`Edit ${rule.name}`}>Edit</Button>}
          {edit && <Button variant="subtle" color="red" size="compact-xs" onClick={() => remove(rule)} aria-label={`Remove ${rule.name}`}>Remove</Button>}
        </Group>
      </Table.Td>
    </Table.Tr>
  );
}

function State({ rule }: { rule: Alert }) {
  return (
    <Group gap={4} wrap="nowrap">
      <Badge variant="dot" color={rule.enabled ? COLOURS[rule.state] : "gray"}>{rule.enabled ? words(rule.state) : "off"}</Badge>
      {rule.silenced && <Badge variant="default">silenced</Badge>}
    </Group>
  );
}

function OnOff({ rule }: { rule: Alert }) {
  const queries = useQueryClient();
  const change = useMutation({
    mutationFn: (enabled: boolean) => {
      const body = { ...ruleOf(formOf(rule), rule), enabled } as unknown as Schemas["AlertSpec"];
      return take(api.PUT("/api/v1/alerts/rules/{name}", { params: { path: { name: rule.name } }, body }));
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ALERTS }),
  });
  return <Switch size="xs" checked={rule.enabled} disabled={change.isPending} onChange={(event) => change.mutate(event.currentTarget.checked)} aria-label={`Evaluate ${rule.name}`} />;
}

function Remove({ removing, close }: { removing: Alert | null; close: () => void }) {
  const queries = useQueryClient();
  return (
    <Confirm
      subject={removing} close={close} title={(rule) => `Remove ${rule.name}?`} verb="Remove"
      act={async (rule) => {
        await take(api.DELETE("/api/v1/alerts/rules/{name}", { params: { path: { name: rule.name } } }));
        await queries.invalidateQueries({ queryKey: ALERTS });
      }}
    >
      If it fires, receivers are told that it is resolved. What it told stays in the inbox.
    </Confirm>
  );
}
