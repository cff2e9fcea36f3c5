/** The typed client of the HTTP API, and the one place where errors of the server become errors of a page. */

import createClient, { type Middleware } from "openapi-fetch";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

/** What the server answered instead of what was asked for. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly code: string | null,
    readonly param: string | null,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

let csrfToken = "";

/** The token that every change needs when the browser is signed in by a cookie. */
export function setCsrfToken(token: string): void {
  csrfToken = token;
}

/** The headers of a change made outside the typed client, such as a streamed chat. */
export function changeHeaders(): Record<string, string> {
  return csrfToken === "" ? {} : { "x-csrf-token": csrfToken };
}

const signedInByCookie: Middleware = {
  onRequest({ request }) {
    if (request.method !== "GET" && csrfToken !== "") request.headers.set("x-csrf-token", csrfToken);
    return request;
  },
};

export const api = createClient<paths>({ baseUrl: "/", credentials: "same-origin" });
api.use(signedInByCookie);

/** The error that a response's body tells. */
export function errorOf(status: number, body: unknown): ApiError {
  const error = (body as { error?: { message?: string; code?: string | null; param?: string | null } } | null)?.error;
  return new ApiError(status, error?.message ?? `The server answered with status ${status}.`, error?.code ?? null, error?.param ?? null);
}

/** The data of an answer; throws what the server said instead. */
export async function take<T>(asked: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await asked;
  if (!response.ok) throw errorOf(response.status, error);
  return data as T;
}

/** A GET of a path that the typed client does not know, such as one with a payload of any shape. */
export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await fetch(path, { credentials: "same-origin", signal });
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) throw errorOf(response.status, body);
  return body as T;
}
