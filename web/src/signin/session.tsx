/** Who is signed in. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useCallback, useContext, useMemo } from "react";
import { ApiError, changeHeaders, errorOf, getJson, setCsrfToken } from "../api/client";
import { Failed, Waiting } from "../parts/states";
import { SignIn } from "./SignIn";

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

export type Credentials = { key: string } | { account: string; password: string };

interface Session {
  signedIn: SignedIn;
  may: (scope: Scope) => boolean;
  signOut: () => Promise<void>;
}

const PATH = "/api/v1/sign-in";
const SessionContext = createContext<Session | null>(null);

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (session === null) throw new Error("useSession stands outside SessionGate");
  return session;
}

async function current(): Promise<SignedIn | null> {
  try {
    const found = await getJson<SignedIn>(PATH);
    setCsrfToken(found.csrf_token);
    return found;
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return null;
    throw error;
  }
}

async function signIn(credentials: Credentials): Promise<SignedIn> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(PATH, { method: "POST", credentials: "same-origin", headers, body: JSON.stringify(credentials) });
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) throw errorOf(response.status, body);
  setCsrfToken((body as SignedIn).csrf_token);
  return body as SignedIn;
}

/** Shows the page to whoever is signed in, and the way in to everybody else. */
export function SessionGate({ children }: { children: ReactNode }) {
  const queries = useQueryClient();
  const asked = useQuery({ queryKey: ["sign-in"], queryFn: current, staleTime: Infinity, retry: false });
  const enter = useCallback(
    async (credentials: Credentials) => queries.setQueryData(["sign-in"], await signIn(credentials)),
    [queries],
  );
  const signOut = useCallback(async () => {
    await fetch(PATH, { method: "DELETE", credentials: "same-origin", headers: changeHeaders() });
    setCsrfToken("");
    // Nothing of what was shown or written stays behind.
    sessionStorage.clear();
    queries.removeQueries({ predicate: (query) => query.queryKey[0] !== "sign-in" });
    queries.setQueryData(["sign-in"], null);
  }, [queries]);
  const session = useMemo(() => {
    if (!asked.data) return null;
    const signedIn = asked.data;
    const may = (scope: Scope) => signedIn.scopes.includes("admin") || signedIn.scopes.includes(scope);
    return { signedIn, may, signOut };
  }, [asked.data, signOut]);
  if (asked.isPending) return <Waiting what="Looking who is signed in" />;
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  if (session === null) return <SignIn enter={enter} />;
  return <SessionContext.Provider value={session}>{children}</SessionContext.Provider>;
}
