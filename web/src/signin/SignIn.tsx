/** The way in: an API key, or an account with its password. */

import { Alert, Button, Center, Paper, PasswordInput, SegmentedControl, Stack, Text, TextInput, Title } from "@mantine/core";
import { type FormEvent, useState } from "react";
import type { Credentials } from "./session";

export function SignIn({ enter }: { enter: (credentials: Credentials) => Promise<unknown> }) {
  const [by, setBy] = useState<"key" | "account">("key");
  const [key, setKey] = useState("");
  const [account, setAccount] = useState("");
  const [password, setPassword] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await enter(by === "key" ? { key: key.trim() } : { account: account.trim(), password });
    } catch (cause) {
      setError(cause instanceof Error ? cause.message : String(cause));
      setBusy(false);
    }
  }

  return (
    <Center mih="100vh" p="md" component="main">
      <Paper withBorder p="xl" w={400} maw="100%">
        <form onSubmit={submit}>
          <Stack gap="sm">
            <Title order={1}>Quarterdeck</Title>
            <SegmentedControl
              fullWidth aria-label="Sign in with" value={by} onChange={(value) => setBy(value === "key" ? "key" : "account")}
              data={[{ value: "key", label: "API key" }, { value: "account", label: "Account" }]}
            />
            {by === "key" ? (
              <>
                <PasswordInput label="API key" placeholder="qd-…" value={key} onChange={(event) => setKey(event.currentTarget.value)} required autoFocus autoComplete="off" />
                <Text size="xs" c="dimmed">
                  The server printed a first key when it started. Another: <code>quarterdeck key create NAME --scope admin</code>
                </Text>
              </>
            ) : (
              <>
                <TextInput label="Account" value={account} onChange={(event) => setAccount(event.currentTarget.value)} required autoFocus autoComplete="username" />
                <PasswordInput label="Password" value={password} onChange={(event) => setPassword(event.currentTarget.value)} required autoComplete="current-password" />
              </>
            )}
            {error !== null && <Alert color="red" role="alert">{error}</Alert>}
            <Button type="submit" size="sm" loading={busy}>Sign in</Button>
          </Stack>
        </form>
      </Paper>
    </Center>
  );
}
