/** Changes of the address bar that build on what stands there now. */

import { useCallback } from "react";
import { useSearchParams } from "react-router";

export type ChangeAddress = (change: (params: URLSearchParams) => URLSearchParams, replace?: boolean) => void;

/** The router tells of a new address only once the page for it is rendered: a key pressed before that must not bring the old one back. */
export function useChangeAddress(): ChangeAddress {
  const [, setParams] = useSearchParams();
  return useCallback((change, replace = false) => setParams(change(new URLSearchParams(window.location.search)), { replace }), [setParams]);
}

export type Put = (values: Record<string, string | null>) => void;

/** Writes some parameters and leaves the others; null removes one. */
export function usePut(): Put {
  const change = useChangeAddress();
  return (values) =>
    change((params) => {
      for (const [name, value] of Object.entries(values)) {
        if (value === null) params.delete(name);
        else params.set(name, value);
      }
      return params;
    }, true);
}
