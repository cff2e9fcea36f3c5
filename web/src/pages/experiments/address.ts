/** What of an experiment is looked at stands in the address. */

import { useSearchParams } from "react-router";
import { useChangeAddress } from "../../lib/addressBar";
import { usualPair } from "../../lib/cells";
import { MOST_BESIDE, type Report } from "./ask";

interface Chosen {
  /** Those that the reader chose. */
  asked: string[];
  /** The same, or two that say most when none were. */
  chosen: string[];
  choose: (cells: readonly string[]) => void;
  toggle: (cell: string) => void;
}

/** The cells that are looked at side by side. */
export function useChosen(report: Report): Chosen {
  const [params] = useSearchParams();
  const change = useChangeAddress();
  const asked = cellsIn(params, report);
  // What was chosen a moment ago stands in the address before the page is drawn anew.
  const write = (next: (now: readonly string[]) => readonly string[]) =>
    change((now) => {
      const cells = next(cellsIn(now, report)).slice(-MOST_BESIDE);
      if (cells.length > 0) now.set("cells", cells.join(","));
      else now.delete("cells");
      now.delete("from");
      return now;
    }, true);
  return {
    asked, chosen: asked.length > 0 ? asked : usualPair(report), choose: (cells) => write(() => cells),
    toggle: (cell) => write((now) => (now.includes(cell) ? now.filter((id) => id !== cell) : [...now, cell])),
  };
}

/** The cells that an address names, each once; those that there are not are left out. */
function cellsIn(params: URLSearchParams, report: Report): string[] {
  const known = new Set(report.cells.map((cell) => cell.id));
  return [...new Set((params.get("cells") ?? "").split(","))].filter((id) => known.has(id)).slice(0, MOST_BESIDE);
}
