/** A filter that is on, with a cross to take it away. */

import { Pill } from "@mantine/core";

interface Props {
  text: string;
  /** What the cross does, for those who hear the page. */
  away: string;
  remove: () => void;
  title?: string;
}

export function FilterPill({ text, away, remove, title }: Props) {
  // Mantine keeps the cross from the keyboard and from readers of the screen: within its own fields a key removes the last one.
  return <Pill withRemoveButton onRemove={remove} title={title} removeButtonProps={{ "aria-label": away, "aria-hidden": false, tabIndex: 0 }}>{text}</Pill>;
}
