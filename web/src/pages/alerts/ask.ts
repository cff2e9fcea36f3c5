/** What the parts of the page ask for, and how states look. */

import { queryOptions } from "@tanstack/react-query";
import { api, take, type Schemas } from "../../api/client";

export type Alert = Schemas["Alert"];
export type Receiver = Schemas["AlertReceiver"];
export type Silence = Schemas["AlertSilence"];
export type AlertEvent = Schemas["AlertEvent"];

/** All that is asked for about alerts, so that a change can make it old. */
export const ALERTS = ["alerts"];

/** Rules are evaluated without the page's doing, so it looks again. */
const AGAIN_MS = 15_000;

export const RULES = queryOptions({ queryKey: ["alerts", "rules"], queryFn: () => take(api.GET("/api/v1/alerts/rules")), refetchInterval: AGAIN_MS });
export const RECEIVERS = queryOptions({ queryKey: ["alerts", "receivers"], queryFn: () => take(api.GET("/api/v1/alerts/receivers")), refetchInterval: AGAIN_MS });
export const SILENCES = queryOptions({ queryKey: ["alerts", "silences"], queryFn: () => take(api.GET("/api/v1/alerts/silences")) });

/** Mantine's colours of states and changes. */
export const COLOURS: Record<string, string> = { ok: "green", resolved: "green", pending: "yellow", firing: "red", recovering: "orange", no_data: "gray", error: "grape" };

/** `no_data` as people write it. */
export function words(state: string): string {
  return state.replace("_", " ");
}
