/** Changes of the address bar that build on what stands there now. */

import { useCallback } from "react";
import { useSearchParams } from "react-router";

export type ChangeAddress = (change: (params: URLSearchParams) => URLSearchParams, replace?: boolean) => void;

/** The router tells of a new address only once the page for it is rendered: a key pressed before that must not bring the old one back. */
export function useChangeAddress(): ChangeAddress {
  const [, setParams] = useSearchParams();
  return useCallback((change, replace = false) => setParams(change(new URLSearchParams(window.location.search)), { replace }), [setParams]);
}
