/** Who is signed in. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useCallback, useContext, useMemo } from "react";
import { changeHeaders, errorOf, setCsrfToken } from "../api/client";
import { Failed, Waiting } from "../parts/states";
import { type Scope, SIGN_IN_PATH, SIGNED_IN, type SignedIn } from "./ask";
import { SignIn } from "./SignIn";

export type Credentials = { key: string } | { account: string; password: string };

interface Session {
  signedIn: SignedIn;
  may: (scope: Scope) => boolean;
  signOut: () => Promise<void>;
}

const SessionContext = createContext<Session | null>(null);

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (session === null) throw new Error("useSession stands outside SessionGate");
  return session;
}

async function signIn(credentials: Credentials): Promise<SignedIn> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(SIGN_IN_PATH, { method: "POST", credentials: "same-origin", headers, body: JSON.stringify(credentials) });
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) throw errorOf(response.status, body);
  setCsrfToken((body as SignedIn).csrf_token);
  return body as SignedIn;
}

/** Shows the page to whoever is signed in, and the way in to everybody else. */
export function SessionGate({ children }: { children: ReactNode }) {
  const queries = useQueryClient();
  const asked = useQuery(SIGNED_IN);
  const enter = useCallback(
    async (credentials: Credentials) => queries.setQueryData(SIGNED_IN.queryKey, await signIn(credentials)),
    [queries],
  );
  const signOut = useCallback(async () => {
    await fetch(SIGN_IN_PATH, { method: "DELETE", credentials: "same-origin", headers: changeHeaders() });
    setCsrfToken("");
    // Nothing of what was shown or written stays behind.
    sessionStorage.clear();
    queries.removeQueries({ predicate: (query) => query.queryKey[0] !== SIGNED_IN.queryKey[0] });
    queries.setQueryData(SIGNED_IN.queryKey, null);
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
