/** Asks before something that cannot be undone. */

import { Button, Group, Modal, Stack, Text } from "@mantine/core";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { Failed } from "./states";

interface Props<T> {
  /** What it is done to; the dialog is open while there is one. */
  subject: T | null;
  close: () => void;
  title: (subject: T) => string;
  /** What the button says. */
  verb: string;
  /** The dialog closes when it is done; what it throws is shown. */
  act: (subject: T) => Promise<unknown>;
  children: ReactNode;
}

export function Confirm<T>({ subject, close, title, verb, act, children }: Props<T>) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  // The words stay while the dialog fades.
  const last = useRef(subject);
  if (subject !== null) last.current = subject;
  useEffect(() => setError(null), [subject]);

  async function go() {
    if (subject === null) return;
    setBusy(true);
    setError(null);
    try {
      await act(subject);
      close();
    } catch (cause) {
      setError(cause);
    }
    setBusy(false);
  }

  return (
    <Modal opened={subject !== null} onClose={close} title={last.current === null ? "" : title(last.current)} closeButtonProps={{ "aria-label": "Close" }}>
      <Stack gap="sm">
        <Text size="sm" component="div">{children}</Text>
        {error !== null && <Failed error={error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={close} data-autofocus>Cancel</Button>
          <Button color="red" loading={busy} onClick={() => void go()}>{verb}</Button>
        </Group>
      </Stack>
    </Modal>
  );
}
