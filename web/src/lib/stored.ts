/** What this browser remembers between visits; a browser that stores nothing only forgets. */

import { useCallback, useState } from "react";

/** Longer texts are not kept. */
const LIMIT = 50_000;

export function useStored<T>(key: string, initial: T, valid: (value: unknown) => value is T): [T, (value: T) => void] {
  const [value, setValue] = useState<T>(() => {
    try {
      const found: unknown = JSON.parse(localStorage.getItem(`quarterdeck.${key}`) ?? "null");
      return valid(found) ? found : initial;
    } catch {
      return initial;
    }
  });
  const store = useCallback(
    (next: T) => {
      setValue(next);
      try {
        const text = JSON.stringify(next);
        if (text.length <= LIMIT) localStorage.setItem(`quarterdeck.${key}`, text);
      } catch {
        // Storage may be full or forbidden: the choice then lasts as long as the page.
      }
    },
    [key],
  );
  return [value, store];
}

export const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every((item) => typeof item === "string");
