/** The cells: a heat map of one number, and a table of all. */

import { Button, Group, Select, Stack, Text } from "@mantine/core";
import { useSearchParams } from "react-router";
import { usePut } from "../../lib/addressBar";
import { type Measure, measuresOf } from "../../lib/cells";
import { useChosen } from "./address";
import { MOST_BESIDE, type Opened, type Report } from "./ask";
import { CellTable } from "./CellTable";
import { HeatMap } from "./HeatMap";

export function Cells({ experiment: { report } }: { experiment: Opened }) {
  const [params] = useSearchParams();
  const put = usePut();
  const measures = measuresOf(report.cells, report.metric);
  const measure = measures.find((known) => known.key === params.get("by")) ?? measures[0];
  const { asked, chosen, toggle } = useChosen(report);
  return (
    <Stack gap="sm">
      <Group gap="sm" align="flex-end">
        <Select
          label="Colour by" w={220} data={measures.map((known) => ({ value: known.key, label: known.title }))} value={measure.key} allowDeselect={false}
          onChange={(value) => put({ by: value === measures[0].key ? null : value })}
        />
        <Chosen report={report} asked={asked} chosen={chosen} />
      </Group>
      <HeatMap report={report} measure={measure} chosen={asked} toggle={toggle} />
      <CellTable report={report} measures={measures} chosen={asked} toggle={toggle} />
      <Notes measure={measures[0]} />
    </Stack>
  );
}

/** Where the chosen cells are looked at. */
function Chosen({ report, asked, chosen }: { report: Report; asked: readonly string[]; chosen: readonly string[] }) {
  const put = usePut();
  const cells = chosen.join(",");
  if (report.cells.length < 2) return null;
  return (
    <Group gap={6}>
      <Text size="sm" role="status">{asked.length === 0 ? "Choose cells, or begin with these:" : `Chosen: ${asked.join(", ")}`}</Text>
      <Button variant="default" disabled={chosen.length < 2} onClick={() => put({ tab: "compare", cells })}>Compare {chosen.slice(0, 2).join(" and ")}</Button>
      <Button variant="default" onClick={() => put({ tab: "items", cells })}>Answers of {chosen.join(", ")}</Button>
    </Group>
  );
}

function Notes({ measure }: { measure: Measure }) {
  return (
    <Text size="xs" c="dimmed">
      Intervals hold the truth with 95 % confidence. “p to the best” is of the paired test of {measure.title} against the best cell, corrected for all pairs of cells (Holm). On the front are cells that no other one is at least as
      good, cheap and fast as and better in something, by the numbers as they stand. Choose up to {MOST_BESIDE} cells to look at them side by side.
    </Text>
  );
}
