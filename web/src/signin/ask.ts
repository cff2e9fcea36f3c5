/** The question of who is signed in. */

import { queryOptions } from "@tanstack/react-query";
import { ApiError, getJson, setCsrfToken } from "../api/client";

export type Scope = "read" | "write" | "infer" | "admin";

export interface SignedIn {
  account: string | null;
  key_id: string | null;
  role: string | null;
  scopes: Scope[];
  project: string;
  csrf_token: string;
  expires: string;
}

export const SIGN_IN_PATH = "/api/v1/sign-in";

async function current(): Promise<SignedIn | null> {
  try {
    const found = await getJson<SignedIn>(SIGN_IN_PATH);
    setCsrfToken(found.csrf_token);
    return found;
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return null;
    throw error;
  }
}

export const SIGNED_IN = queryOptions({ queryKey: ["sign-in"], queryFn: current, staleTime: Infinity, retry: false });
