/** Accounts: people who sign in with a name and a password. */

import { Badge, Button, Group, Modal, PasswordInput, Select, Stack, Switch, Table, Text, TextInput, Tooltip } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { ago, time } from "../../lib/format";
import { Confirm } from "../../parts/Confirm";
import { Empty, Failed, Waiting } from "../../parts/states";
import { useSession } from "../../signin/session";
import { type Account, changeAccount, createAccount, listAccounts, PASSWORD_MIN, removeAccount, type Role, ROLES } from "./calls";

const ACCOUNTS = ["accounts"];

export function Accounts() {
  const asked = useQuery({ queryKey: ACCOUNTS, queryFn: listAccounts });
  const [editing, setEditing] = useState<Account | "new" | null>(null);
  const [removing, setRemoving] = useState<Account | null>(null);
  const create = <Button onClick={() => setEditing("new")}>New account</Button>;
  const accounts = asked.data ?? [];
  return (
    <Stack gap="sm">
      <Group justify="space-between"><Text size="sm" c="dimmed">People sign in with an account; programs use keys.</Text>{accounts.length > 0 && create}</Group>
      {asked.isPending && <Waiting what="Loading the accounts" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && accounts.length === 0 && <Empty title="No accounts yet" action={create}>Give each person their own: the audit log then says who changed what, and one can leave without the others noticing.</Empty>}
      {accounts.length > 0 && <AccountTable accounts={accounts} edit={setEditing} remove={setRemoving} />}
      <Modal opened={editing !== null} onClose={() => setEditing(null)} title={editing === null || editing === "new" ? "New account" : `Change ${editing.name}`} closeButtonProps={{ "aria-label": "Close" }}>
        {editing !== null && <Form known={editing === "new" ? null : editing} close={() => setEditing(null)} />}
      </Modal>
      <Remove removing={removing} close={() => setRemoving(null)} />
    </Stack>
  );
}

function AccountTable({ accounts, edit, remove }: { accounts: readonly Account[]; edit: (account: Account) => void; remove: (account: Account) => void }) {
  const { signedIn } = useSession();
  return (
    <Table.ScrollContainer minWidth={700}>
      <Table highlightOnHover>
        <Table.Thead><Table.Tr>{["Name", "Role", "State", "Made", "Changed"].map((name) => <Table.Th key={name} scope="col">{name}</Table.Th>)}<Table.Td /></Table.Tr></Table.Thead>
        <Table.Tbody>
          {accounts.map((account) => (
            <Table.Tr key={account.name}>
              <Table.Td>{account.name}{account.name === signedIn.account && <Text span size="xs" c="dimmed"> – you</Text>}</Table.Td>
              <Table.Td><Badge variant="default">{account.role}</Badge></Table.Td>
              <Table.Td>{account.disabled ? "disabled" : "may sign in"}</Table.Td>
              <Table.Td><Tooltip label={time(account.created)}><span>{ago(account.created)}</span></Tooltip></Table.Td>
              <Table.Td><Tooltip label={time(account.updated)}><span>{ago(account.updated)}</span></Tooltip></Table.Td>
              <Table.Td>
                <Group gap={4} justify="flex-end" wrap="nowrap">
                  <Button variant="default" size="compact-xs" onClick={() => edit(account)} aria-label={`Edit ${account.name}`}>Edit</Button>
                  <Button variant="subtle" color="red" size="compact-xs" disabled={account.name === signedIn.account} onClick={() => remove(account)} aria-label={`Remove ${account.name}`}>Remove</Button>
                </Group>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Form({ known, close }: { known: Account | null; close: () => void }) {
  const { signedIn } = useSession();
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [role, setRole] = useState<Role>(known?.role ?? "viewer");
  const [disabled, setDisabled] = useState(known?.disabled ?? false);
  const save = useMutation({
    mutationFn: () => (known === null ? createAccount({ name: name.trim(), password, role }) : changeAccount(known.name, changes(known))),
    onSuccess: () => { void queries.invalidateQueries({ queryKey: ACCOUNTS }); close(); },
    gcTime: 0,
  });
  const own = known !== null && known.name === signedIn.account;

  /** Only what differs, so that nothing else is undone. */
  function changes(from: Account) {
    return { ...(role === from.role ? {} : { role }), ...(disabled === from.disabled ? {} : { disabled }), ...(password === "" ? {} : { password }) };
  }

  function submit(event: FormEvent) {
    event.preventDefault();
    save.mutate();
  }

  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        {known === null && <TextInput label="Name" value={name} onChange={(event) => setName(event.currentTarget.value)} required maxLength={100} autoComplete="off" data-autofocus />}
        <PasswordInput
          label="Password" value={password} onChange={(event) => setPassword(event.currentTarget.value)} required={known === null} minLength={PASSWORD_MIN} autoComplete="new-password"
          description={known === null ? `At least ${PASSWORD_MIN} characters.` : `Empty: it stays. At least ${PASSWORD_MIN} characters.`} visibilityToggleButtonProps={{ "aria-label": "Show the password" }}
        />
        <Select label="Role" data={ROLES} value={role} onChange={(value) => setRole((value as Role | null) ?? "viewer")} allowDeselect={false} disabled={own} />
        {known !== null && !own && <Switch size="xs" label="May not sign in" description="Those signed in are signed out at once." checked={disabled} onChange={(event) => setDisabled(event.currentTarget.checked)} />}
        {save.isError && <Failed error={save.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>Cancel</Button>
          <Button type="submit" loading={save.isPending}>{known === null ? "Create" : "Save"}</Button>
        </Group>
      </Stack>
    </form>
  );
}

function Remove({ removing, close }: { removing: Account | null; close: () => void }) {
  const queries = useQueryClient();
  return (
    <Confirm
      subject={removing} close={close} title={(account) => `Remove ${account.name}?`} verb="Remove"
      act={async (account) => {
        await removeAccount(account.name);
        await queries.invalidateQueries({ queryKey: ACCOUNTS });
      }}
    >
      Whoever is signed in with it is signed out at once. What the audit log says of it stays.
    </Confirm>
  );
}
