/** The keyboard: `g` and a letter goes to a page, `/` searches, `?` helps, `j` and `k` move in lists. */

import { useEffect, useRef } from "react";
import { useNavigate, useSearchParams } from "react-router";
import { PAGES, placeOf } from "../pages";
import { useSession } from "../signin/session";

/** `g` counts as the beginning of a pair for so long. */
const PAIR_MS = 1200;

/** Whether a key press belongs to what is being typed. */
export function isTyping(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement | null;
  return target !== null && (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));
}

export function useNavigationKeys({ openHelp, openPalette }: { openHelp: () => void; openPalette: () => void }): void {
  const navigate = useNavigate();
  const { may } = useSession();
  const [params] = useSearchParams();
  const pairSince = useRef(0);
  useEffect(() => {
    function press(event: KeyboardEvent) {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        return openPalette();
      }
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
      const paired = Date.now() - pairSince.current < PAIR_MS;
      pairSince.current = 0;
      if (paired) {
        const page = PAGES.find((known) => known.key === event.key && may(known.scope));
        if (page) navigate(placeOf(page, params));
        return;
      }
      if (event.key === "g") pairSince.current = Date.now();
      else if (event.key === "?") openHelp();
      else if (event.key === "/") focusSearch(event);
    }
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, [navigate, may, params, openHelp, openPalette]);
}

/** The search field of a page carries `data-search`. */
function focusSearch(event: KeyboardEvent): void {
  const field = document.querySelector<HTMLInputElement>("[data-search]");
  if (field === null) return;
  event.preventDefault();
  field.focus();
  field.select();
}

/** `j` and `k` move, `Enter` opens: for lists. Calls are given the step: 1 or -1. */
export function useListKeys(move: (step: 1 | -1) => void, open: () => void): void {
  const latest = useRef({ move, open });
  latest.current = { move, open };
  useEffect(() => {
    function press(event: KeyboardEvent) {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
      if (event.key === "j") latest.current.move(1);
      else if (event.key === "k") latest.current.move(-1);
      else if (event.key === "Enter" && (event.target as HTMLElement).closest("a,button,[role=button],[role=menuitem],[role=option]") === null) latest.current.open();
    }
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, []);
}
