/** Stands beside every word of a judge whose worth nobody knows. */

import { Badge, Text } from "@mantine/core";

export function Uncalibrated() {
  const dot = <Text component="span" c="yellow.6" fz={10} lh={1} aria-hidden>●</Text>;
  return <Badge variant="default" miw="max-content" leftSection={dot} title="It was not compared with people: nobody knows what its word is worth">uncalibrated</Badge>;
}
