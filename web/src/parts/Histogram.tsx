/** How scores lie: a bar for each bin, which leads to what lies in it. */

import { Group, Text } from "@mantine/core";
import { Link, type To } from "react-router";
import { binsOf, type Distribution } from "../lib/histogram";
import { count } from "../lib/format";
import "./interval.css";

interface Props {
  distribution: Distribution;
  label: string;
  say: (value: number) => string;
  /** Where the items of a bin are looked at. */
  to?: (low: number, high: number) => To;
}

export function Histogram({ distribution, label, say, to }: Props) {
  const bins = binsOf(distribution);
  if (bins.length === 0) return <Text size="sm" c="dimmed">none</Text>;
  return (
    <div>
      <ul className="histogram" aria-label={label}>
        {bins.map((bin) => {
          const told = `${say(bin.low)} to ${say(bin.high)}: ${count(bin.count)}`;
          const style = { height: `${(bin.height * 100).toFixed(1)}%` };
          return (
            <li key={bin.low} title={told}>
              {bin.count > 0 && to ? <Link className="histogram-bin" style={style} to={to(bin.low, bin.most)} aria-label={told} /> : <span className="histogram-bin" style={style} role="img" aria-label={told} />}
            </li>
          );
        })}
      </ul>
      <Group justify="space-between" gap={4}><Text size="xs" c="dimmed">{say(bins[0]!.low)}</Text><Text size="xs" c="dimmed">{say(bins.at(-1)!.high)}</Text></Group>
    </div>
  );
}
