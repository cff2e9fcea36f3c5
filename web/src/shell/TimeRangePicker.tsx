import { Button, Menu } from "@mantine/core";
import { time } from "../lib/format";
import { RANGES } from "../lib/timeRange";
import { useTimeRange } from "../lib/useTimeRange";

export function TimeRangePicker() {
  const { range, setRelative } = useTimeRange();
  const label = RANGES.find((known) => known.key === range.key)?.label ?? `${time(range.from).slice(0, 16)} – ${time(range.to).slice(0, 16)}`;
  const shown = range.key === null ? label : `Last ${label}`;
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target><Button variant="default" aria-label={`Time range: ${shown}`}>{shown}</Button></Menu.Target>
      <Menu.Dropdown>
        {RANGES.map((known) => <Menu.Item key={known.key} onClick={() => setRelative(known.key)} fw={known.key === range.key ? 650 : 400}>Last {known.label}</Menu.Item>)}
      </Menu.Dropdown>
    </Menu>
  );
}
