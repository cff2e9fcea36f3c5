/** One's own password. */

import { Button, Group, PasswordInput, Stack, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Failed } from "../../parts/states";
import { changeOwnPassword, PASSWORD_MIN } from "./calls";

export function Password({ account }: { account: string }) {
  const [current, setCurrent] = useState("");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const save = useMutation({
    mutationFn: () => changeOwnPassword(current, password),
    onSuccess: () => {
      setCurrent("");
      setPassword("");
      setAgain("");
      notifications.show({ message: "Your password is changed. Other browsers are signed out.", closeButtonProps: { "aria-label": "Close" } });
    },
    gcTime: 0,
  });
  const differs = again !== "" && again !== password;
  const toggle = { visibilityToggleButtonProps: { "aria-label": "Show the password" } };

  function submit(event: FormEvent) {
    event.preventDefault();
    if (!differs) save.mutate();
  }

  return (
    <form onSubmit={submit} aria-label="Change your password">
      <Stack gap="sm" maw={360}>
        <Text size="sm" c="dimmed">You are signed in as {account}. A new password ends your sign-ins in other browsers; this one goes on.</Text>
        {/* For password managers, which ask whose password it is. */}
        <input type="text" name="username" autoComplete="username" value={account} readOnly hidden />
        <PasswordInput label="Current password" value={current} onChange={(event) => setCurrent(event.currentTarget.value)} required autoComplete="current-password" {...toggle} />
        <PasswordInput label="New password" description={`At least ${PASSWORD_MIN} characters.`} value={password} onChange={(event) => setPassword(event.currentTarget.value)} required minLength={PASSWORD_MIN} autoComplete="new-password" {...toggle} />
        <PasswordInput label="New password again" value={again} onChange={(event) => setAgain(event.currentTarget.value)} error={differs ? "This is another one." : undefined} required autoComplete="new-password" {...toggle} />
        {save.isError && <Failed error={save.error} />}
        <Group><Button type="submit" loading={save.isPending} disabled={differs}>Change the password</Button></Group>
      </Stack>
    </form>
  );
}
