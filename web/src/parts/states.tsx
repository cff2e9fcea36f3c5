/** What a page shows when there is nothing, not yet anything, or something went wrong. */

import { Alert, Button, Center, Loader, Stack, Text, Title } from "@mantine/core";
import type { ReactNode } from "react";

/** Nothing here: says why, and what to do about it. */
export function Empty({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <Center py="xl">
      <Stack align="center" gap="xs" maw={560}>
        <Title order={2}>{title}</Title>
        <Text c="dimmed" ta="center" component="div">{children}</Text>
        {action}
      </Stack>
    </Center>
  );
}

/** Something went wrong: what the server said, and a way to try again. */
export function Failed({ error, retry }: { error: unknown; retry?: () => void }) {
  const message = error instanceof Error ? error.message : String(error);
  return (
    <Alert color="red" title="This did not work" role="alert" my="sm">
      <Text size="sm" mb={retry ? "xs" : 0}>{message}</Text>
      {retry && <Button variant="default" onClick={retry}>Try again</Button>}
    </Alert>
  );
}

/** Something is coming. */
export function Waiting({ what = "Loading" }: { what?: string }) {
  return (
    <Center py="xl" role="status" aria-label={what}>
      <Loader size="sm" />
    </Center>
  );
}
