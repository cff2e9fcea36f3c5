/** An evaluation as the form holds it, and the definition that it makes. */

import type { Schemas } from "../api/client";
import { type DraftPrompt, type DraftScorer, filled, KINDS, newId, newPrompt, newScorer, number, objectOf, scorerOf } from "./experimentDraft";

export type Definition = Schemas["EvaluationDefinition"];
type Target = Schemas["EvaluationTarget"];
type Scorer = Schemas["EvaluationScorer"];

/** What only evaluations look at. */
export const OWN_KINDS = ["judge", "embedding_similarity", "classification"] as const;
type OwnKind = (typeof OWN_KINDS)[number];
export const LOOK_KINDS = [...KINDS, ...OWN_KINDS];

export interface DraftTarget {
  id: number;
  name: string;
  from: "column" | "prompt";
  column: string;
  prompt: DraftPrompt;
  /** Empty for the prompt's own. */
  model: string;
  /** A JSON object, or nothing. */
  parameters: string;
}

export interface DraftLook extends Omit<DraftScorer, "kind"> {
  kind: DraftScorer["kind"] | OwnKind;
  /** Of a judge. */
  judge: string;
  /** Of a judge: the column with what people say. */
  human: string;
  /** Of embeddings. */
  model: string;
  /** Of classes. */
  label: string;
}

export interface Draft {
  dataset: string;
  datasetVersion: string;
  limit: number | string;
  itemSeed: number | string;
  targets: DraftTarget[];
  scorers: DraftLook[];
  /** One on each line. */
  gates: string;
  usd: number | string;
  concurrency: number | string;
  cache: boolean;
}

export const newTarget = (name = ""): DraftTarget => ({ id: newId(), name, from: "column", column: "", prompt: newPrompt(), model: "", parameters: "" });
export const newLook = (kind: DraftLook["kind"]): DraftLook => ({ ...newScorer("exact_match"), ignoreCase: kind === "exact_match", kind, judge: "", human: "", model: "", label: "" });

export const emptyDraft = (): Draft => ({
  dataset: "", datasetVersion: "", limit: 100, itemSeed: 0, targets: [newTarget()], scorers: [newLook("exact_match")], gates: "", usd: "", concurrency: 4, cache: true,
});

/** The draft about another dataset, whose columns are other ones. */
export const withoutColumns = (draft: Draft): Draft => ({
  ...draft,
  targets: draft.targets.map((target) => ({ ...target, column: "" })),
  scorers: draft.scorers.map((scorer) => ({ ...scorer, human: "", label: "" })),
});

const isOwn = (kind: string): kind is OwnKind => (OWN_KINDS as readonly string[]).includes(kind);

/** The definition that a draft makes, or what is missing of it. */
export function definitionOf(draft: Draft): { definition: Definition } | { wrong: string } {
  if (draft.dataset === "") return { wrong: "Choose a dataset: its rows are what is answered." };
  const targets: Record<string, Target> = {};
  for (const [at, one] of draft.targets.entries()) {
    const name = filled(one.name) ?? (draft.targets.length === 1 ? "target" : `target_${at + 1}`);
    if (name in targets) return { wrong: `Two targets are called ${name}.` };
    const made = targetOf(one, name);
    if ("wrong" in made) return made;
    targets[name] = made.target;
  }
  const names = Object.keys(targets);
  if (names.length === 0) return { wrong: "Say whose answers are looked at: an evaluation needs a target." };
  const scorers: Scorer[] = [];
  for (const look of draft.scorers) {
    const made = lookOf(look);
    if ("wrong" in made) return made;
    scorers.push(made.scorer);
  }
  if (scorers.length === 0) return { wrong: "Say what is looked at: an evaluation needs a scorer." };
  const gates = draft.gates.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const isSingle = names.length === 1 && names[0] === "target";
  return {
    definition: {
      dataset: draft.datasetVersion === "" ? draft.dataset : `${draft.dataset}@${draft.datasetVersion}`,
      items: { limit: number(draft.limit), seed: number(draft.itemSeed) },
      ...(isSingle ? { target: targets["target"] } : { targets }),
      scorers,
      cache: draft.cache ? undefined : false,
      concurrency: number(draft.concurrency),
      budget: number(draft.usd) === undefined ? undefined : { usd: number(draft.usd) },
      gate: gates.length > 0 ? gates : undefined,
    },
  };
}

function targetOf(draft: DraftTarget, name: string): { target: Target } | { wrong: string } {
  if (draft.from === "column") return draft.column === "" ? { wrong: `Choose the column that has the answers of ${name}.` } : { target: { column: draft.column } };
  const { prompt } = draft;
  if (prompt.name === "") return { wrong: `Choose the prompt that ${name} is asked with.` };
  const parameters = filled(draft.parameters) === undefined ? undefined : objectOf(draft.parameters);
  if (filled(draft.parameters) !== undefined && parameters === undefined) return { wrong: `The parameters of ${name} are no JSON object.` };
  return { target: { prompt: prompt.version === "" ? prompt.name : `${prompt.name}@${prompt.version}`, model: filled(draft.model), parameters: parameters as Target["parameters"] } };
}

function lookOf(draft: DraftLook): { scorer: Scorer } | { wrong: string } {
  const { kind } = draft;
  if (!isOwn(kind)) return scorerOf({ ...draft, kind });
  const name = filled(draft.name);
  if (kind === "embedding_similarity") return { scorer: { kind, name, model: filled(draft.model) } };
  if (kind === "classification") return { scorer: { kind, name, label: filled(draft.label), extract: filled(draft.extract), ignore_case: draft.ignoreCase || undefined } };
  const judge = filled(draft.judge);
  if (judge === undefined) return { wrong: "Choose the judge." };
  return { scorer: { kind, name, judge, human: filled(draft.human) as Extract<Scorer, { human?: unknown }>["human"] } };
}

/** Calls that answers take, at most: those that stand in a column take none, and what judges ask comes on top. */
export function callsOf(draft: Draft, rows: number | undefined): { items: number | undefined; calls: number | undefined; judged: boolean } {
  const most = number(draft.limit);
  const items = rows === undefined ? undefined : Math.min(rows, most ?? rows);
  const asked = draft.targets.filter((target) => target.from === "prompt").length;
  return { items, calls: items === undefined ? undefined : items * asked, judged: draft.scorers.some((scorer) => scorer.kind === "judge") };
}
