/** Two versions side by side: what is known of the difference, then their words. */

import { Group, Select, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useSearchParams } from "react-router";
import { lineDiff } from "../../lib/lineDiff";
import { Empty, Failed, Waiting } from "../../parts/states";
import { diffQuery, type Summary } from "./ask";
import { Evidence } from "./Evidence";

export function Compare({ name, versions }: { name: string; versions: readonly Summary[] }) {
  const [params, setParams] = useSearchParams();
  const latest = versions[0]?.version ?? 1;
  const number = (side: string, usual: number) => versions.find((version) => String(version.version) === params.get(side))?.version ?? usual;
  const [from, to] = [number("from", Math.max(latest - 1, 1)), number("to", latest)];
  const asked = useQuery(diffQuery(name, from, to));
  const rows = useMemo(() => (asked.data ? lineDiff(asked.data.from_text, asked.data.to_text) : []), [asked.data]);
  const options = versions.map((version) => ({ value: String(version.version), label: [`Version ${version.version}`, ...version.labels].join(" · ") }));
  const choose = (side: string) => (value: string | null) => setParams({ tab: "compare", from: String(from), to: String(to), [side]: value ?? "" }, { replace: true });
  return (
    <Stack gap="sm">
      <Group grow>
        <Select label="Before" data={options} value={String(from)} onChange={choose("from")} allowDeselect={false} />
        <Select label="After" data={options} value={String(to)} onChange={choose("to")} allowDeselect={false} />
      </Group>
      {from !== to && <Evidence name={name} from={from} to={to} />}
      {asked.isPending && <Waiting what="Comparing" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && asked.data.unified === "" && <Empty title="No difference">Both say the same.</Empty>}
      {asked.data && asked.data.unified !== "" && (
        <table className="prompt-diff" aria-label={`Version ${from} and version ${to}`}>
          <thead><tr><th scope="col"><Text size="xs" c="dimmed">Version {from}</Text></th><th scope="col"><Text size="xs" c="dimmed">Version {to}</Text></th></tr></thead>
          <tbody>
            {rows.map((row, at) => (
              <tr key={at}>
                <td data-side="old" data-kind={row.kind}>{row.old}</td>
                <td data-side="new" data-kind={row.kind}>{row.new}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Stack>
  );
}
