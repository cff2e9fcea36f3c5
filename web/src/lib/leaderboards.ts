/** Leaderboards: places that are told as ranges, filters in the address, and what tasks ask. */

import type { Schemas } from "../api/client";
import { percent } from "./format";

export type Report = Schemas["LeaderboardReport"];
export type Model = Schemas["LeaderboardModel"];
export type TaskReport = Schemas["LeaderboardTaskReport"];

const GB = 1e9;

/** Scores are of 100 when normalised, and shares of wins otherwise. */
export function scoreTold(style: string, value: number): string {
  return style === "win_rate" ? percent(value) : value.toFixed(1);
}

/** `1`, `1–3`: the places that a model may have; null where it is not ranked. */
export function placesTold({ rank_best: best, rank_worst: worst }: Pick<Model, "rank_best" | "rank_worst">): string | null {
  if (best == null || worst == null) return null;
  return best === worst ? String(best) : `${best}–${worst}`;
}

/** The models that may be the first. */
export function leadersOf({ models }: Report): Model[] {
  return models.filter((model) => model.rank_best === 1);
}

/** The columns of a board: every task that any model has, in the order of the report. */
export function tasksOf({ models }: Report): { key: string; task: string; metric: string }[] {
  const known = new Map<string, { key: string; task: string; metric: string }>();
  for (const { entry, task, metric } of models.flatMap((model) => model.tasks)) known.set(`${entry} ${task}`, { key: `${entry} ${task}`, task, metric });
  return [...known.values()];
}

export const taskOf = (model: Model, key: string): TaskReport | undefined => model.tasks.find(({ entry, task }) => `${entry} ${task}` === key);

/** `0.412 ± 0.014`; of shares in percent. */
export function valueTold({ value, stderr }: Pick<TaskReport, "value" | "stderr">): string {
  if (value == null) return "–";
  const share = value >= 0 && value <= 1;
  const said = share ? (value * 100).toFixed(1) : value.toFixed(2);
  return stderr == null ? said : `${said} ± ${share ? (stderr * 100).toFixed(1) : stderr.toFixed(2)}`;
}

/** What somebody would take, as the address has it. */
export interface Filter {
  max_size_bytes?: number;
  min_tokens_per_second?: number;
  min_context?: number;
  max_output_usd_per_million?: number;
  licence?: string;
}

/** Sizes stand in the address in gigabytes; what is no number above zero is no filter. */
export function filterOf(params: URLSearchParams): Filter {
  const number = (name: string) => {
    const value = Number(params.get(name) ?? "");
    return Number.isFinite(value) && value > 0 ? value : undefined;
  };
  const size = number("size");
  return {
    max_size_bytes: size === undefined ? undefined : Math.round(size * GB), min_tokens_per_second: number("speed"), min_context: number("context"), max_output_usd_per_million: number("usd"),
    licence: params.get("licence") || undefined,
  };
}

export const isFiltered = (filter: Filter): boolean => Object.values(filter).some((value) => value !== undefined);

/** Licences that models of a report have, to choose from. */
export function licencesOf({ models }: Report): string[] {
  return [...new Set(models.flatMap((model) => model.facts.licence ?? []))].sort();
}

/** `135M`, `1.2B`. */
export function parametersTold(parameters: number | null | undefined): string {
  if (parameters == null) return "–";
  return parameters >= 1e9 ? `${(parameters / 1e9).toFixed(1)}B` : `${Math.round(parameters / 1e6)}M`;
}


/** What a task asks about a document, as its JSON tells it. */
export type Ask =
  | { kind: "choices"; context: Prompt; continuations: string[] }
  | { kind: "rolling"; text: string }
  | { kind: "generate"; prompt: Prompt; generation: { until?: string[]; max_tokens?: number | null; temperature?: number }; repeats: number };

export type Prompt = { text: string } | { chat: { messages: { role: string; content: unknown }[]; goes_on?: boolean } };

/** A prompt as one reads it: a text, or messages one after the other. */
export function promptTold(prompt: Prompt): string {
  if ("text" in prompt) return prompt.text;
  return prompt.chat.messages.map(({ role, content }) => `[${role}]\n${typeof content === "string" ? content : JSON.stringify(content)}`).join("\n\n");
}

/** Requests of several choices that share a context stand together already; what differs between them is told. */
export function askTold(ask: Ask): { prompt: string; asked: string } {
  if (ask.kind === "rolling") return { prompt: ask.text, asked: "How likely is all of it?" };
  if (ask.kind === "choices") return { prompt: promptTold(ask.context), asked: `How likely is it that it goes on with each of these ${ask.continuations.length}?` };
  const { until = [], max_tokens: most, temperature } = ask.generation;
  const ends = until.length > 0 ? `, until ${until.map((text) => JSON.stringify(text)).join(" or ")}` : "";
  return { prompt: promptTold(ask.prompt), asked: `What comes next${ends}${most != null ? `, ${most} tokens at most` : ""}${temperature !== undefined ? `, at temperature ${temperature}` : ""}${ask.repeats > 1 ? `, ${ask.repeats} times` : ""}?` };
}
