/** Erases an end user from the project, after the user's name was typed. */

import { Button, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, take } from "../api/client";
import { count } from "../lib/format";
import { useSession } from "../signin/session";
import { Failed } from "./states";

export function EraseUser({ user, close }: { user: string | null; close: () => void }) {
  return (
    <Modal opened={user !== null} onClose={close} title="Erase this user?" closeButtonProps={{ "aria-label": "Close" }}>
      {user !== null && <Ask user={user} close={close} />}
    </Modal>
  );
}

function Ask({ user, close }: { user: string; close: () => void }) {
  const { signedIn } = useSession();
  const queries = useQueryClient();
  const [typed, setTyped] = useState("");
  const erase = useMutation({
    mutationFn: () => take(api.DELETE("/api/v1/users/{id}", { params: { path: { id: user } } })),
    onSuccess: async (erased) => {
      notifications.show({
        message: `${count(erased.rows)} rows are hidden for good; the job user.erase takes them off the disk.`,
        closeButtonProps: { "aria-label": "Close" },
      });
      close();
      await queries.invalidateQueries();
    },
  });

  function submit(event: FormEvent) {
    event.preventDefault();
    if (typed === user) erase.mutate();
  }

  return (
    <form onSubmit={submit} aria-label="Erase a user">
      <Stack gap="sm">
        <Text size="sm">
          Every trace of <b>{user}</b> in the project {signedIn.project} goes, with its scores and payloads, and whatever had been set aside as damaged. Nothing brings it back. What
          arrives afterwards is new, and stays.
        </Text>
        <TextInput label="Type the user's name" value={typed} onChange={(event) => setTyped(event.currentTarget.value)} autoComplete="off" data-autofocus />
        {erase.isError && <Failed error={erase.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>Cancel</Button>
          <Button type="submit" color="red" loading={erase.isPending} disabled={typed !== user}>Erase</Button>
        </Group>
      </Stack>
    </form>
  );
}
