/** Accounts over HTTP. */

import { changeHeaders, errorOf, getJson } from "../../api/client";

export const ROLES = [
  { value: "viewer", label: "viewer – reads traces, sessions, models, jobs" },
  { value: "editor", label: "editor – that, and calls models, sends spans, cancels jobs" },
  { value: "admin", label: "admin – everything" },
] as const;

export type Role = (typeof ROLES)[number]["value"];

export interface Account {
  name: string;
  project: string;
  role: Role;
  disabled: boolean;
  created: string;
  updated: string;
}

/** What the server asks of a password. */
export const PASSWORD_MIN = 12;

const PATH = "/api/v1/accounts";

export async function listAccounts(): Promise<Account[]> {
  return (await getJson<{ data: Account[] }>(PATH)).data;
}

export function createAccount(account: { name: string; password: string; role: Role }): Promise<void> {
  return send("POST", PATH, account);
}

export function changeAccount(name: string, change: { role?: Role; password?: string; disabled?: boolean }): Promise<void> {
  return send("PUT", `${PATH}/${encodeURIComponent(name)}`, change);
}

export function removeAccount(name: string): Promise<void> {
  return send("DELETE", `${PATH}/${encodeURIComponent(name)}`);
}

/** Of the account that is signed in; its other sign-ins end. */
export function changeOwnPassword(current: string, password: string): Promise<void> {
  return send("PUT", "/api/v1/sign-in/password", { current, password });
}

async function send(method: string, path: string, body?: unknown): Promise<void> {
  const headers = { ...changeHeaders(), ...(body === undefined ? {} : { "content-type": "application/json" }) };
  const response = await fetch(path, { method, headers, credentials: "same-origin", body: body === undefined ? undefined : JSON.stringify(body) });
  if (!response.ok) throw errorOf(response.status, await response.json().catch(() => null));
}
