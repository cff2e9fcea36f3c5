/** Which columns the list has. */

import { Button, Checkbox, Popover, Stack } from "@mantine/core";
import { COLUMNS, USUAL_COLUMNS } from "./columns";

export function ColumnMenu({ chosen, choose }: { chosen: readonly string[]; choose: (keys: string[]) => void }) {
  const toggle = (key: string) => choose(chosen.includes(key) ? chosen.filter((known) => known !== key) : [...chosen, key]);
  return (
    <Popover position="bottom-end" withinPortal shadow="md" trapFocus>
      <Popover.Target><Button variant="default">Columns</Button></Popover.Target>
      <Popover.Dropdown aria-label="Columns">
        <Stack gap={5}>
          {COLUMNS.map((column) => <Checkbox key={column.key} size="xs" label={column.title} checked={chosen.includes(column.key)} onChange={() => toggle(column.key)} />)}
          <Button variant="subtle" size="compact-xs" onClick={() => choose([...USUAL_COLUMNS])}>The usual ones</Button>
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}
