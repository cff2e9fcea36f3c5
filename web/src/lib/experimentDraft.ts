/** An experiment as the form holds it: texts that may not be right yet, and the definition that they make. */

import type { Schemas } from "../api/client";

export type Definition = Schemas["ExperimentDefinition"];
type Scorer = Schemas["ExperimentScorer"];

/** How examples are chosen: as the prompt says, or in a way of their own. */
export const CHOICES = [
  { value: "prompt", label: "as the prompt says" },
  { value: "fixed", label: "the first ones" },
  { value: "random", label: "at random" },
  { value: "similar", label: "similar to the item" },
] as const;

/** Scorers whose options are many and seldom said: they are written as JSON. */
const METRICS = ["bleu", "chrf", "ter", "rouge", "meteor", "edit_similarity", "readability", "leak", "toxic"] as const;
export const KINDS = ["exact_match", "contains", "number_match", "token_f1", "regex", "json_schema", "length", ...METRICS, "latency", "cost"] as const;
export type Kind = (typeof KINDS)[number];
export const isMetric = (kind: string): boolean => (METRICS as readonly string[]).includes(kind);

export interface DraftPrompt {
  id: number;
  name: string;
  /** A number, a label, or empty for the one that calls get. */
  version: string;
}

export interface DraftParameter {
  id: number;
  name: string;
  /** Values between commas, each as JSON or text. */
  values: string;
}

export interface DraftShots {
  id: number;
  count: number | string;
  choose: string;
  /** Of random ones. */
  seed: number | string;
  /** Of similar ones. */
  embeddingModel: string;
}

export interface DraftScorer {
  id: number;
  kind: Kind;
  /** Empty for that of its kind. */
  name: string;
  ignoreCase: boolean;
  ignorePunctuation: boolean;
  extract: string;
  tolerance: number | string;
  pattern: string;
  schema: string;
  unit: string;
  better: string;
  /** Of metrics: a JSON object, or nothing. */
  options: string;
}

export interface Draft {
  dataset: string;
  /** A number or a label; empty for the latest. */
  datasetVersion: string;
  limit: number | string;
  itemSeed: number | string;
  prompts: DraftPrompt[];
  models: string[];
  parameters: DraftParameter[];
  shots: DraftShots[];
  examples: string;
  repeats: number | string;
  search: "grid" | "random" | "halving";
  /** Cells of a random search, or items of the first rung. */
  first: number | string;
  /** The seed of a random search, or how many times the cells become fewer. */
  second: number | string;
  scorers: DraftScorer[];
  usd: number | string;
  tokens: number | string;
  seconds: number | string;
  concurrency: number | string;
  cache: boolean;
}

let ids = 0;
export const newId = () => (ids += 1);

export const newPrompt = (): DraftPrompt => ({ id: newId(), name: "", version: "" });
export const newParameter = (name = "", values = ""): DraftParameter => ({ id: newId(), name, values });
export const newShots = (count: number | string = 0): DraftShots => ({ id: newId(), count, choose: "prompt", seed: "", embeddingModel: "" });
export const newScorer = (kind: Kind): DraftScorer => ({ id: newId(), kind, name: "", ignoreCase: kind === "exact_match", ignorePunctuation: false, extract: "", tolerance: "", pattern: "", schema: "", unit: "characters", better: "lower", options: "" });

export function emptyDraft(): Draft {
  return {
    dataset: "", datasetVersion: "", limit: 100, itemSeed: 0, prompts: [newPrompt()], models: [], parameters: [newParameter("temperature", "0")], shots: [], examples: "",
    repeats: 1, search: "grid", first: 20, second: 3, scorers: [newScorer("exact_match")], usd: "", tokens: "", seconds: "", concurrency: 4, cache: true,
  };
}

export const number = (value: number | string): number | undefined => (typeof value === "number" ? value : undefined);
export const filled = (text: string): string | undefined => (text.trim() === "" ? undefined : text.trim());

/** The definition that a draft makes, or what is missing of it. */
export function definitionOf(draft: Draft): { definition: Definition } | { wrong: string } {
  const prompts = draft.prompts.filter((prompt) => prompt.name !== "").map(({ name, version }) => (version === "" ? name : `${name}@${version}`));
  if (draft.dataset === "") return { wrong: "Choose a dataset: its rows are what is asked about." };
  if (prompts.length === 0) return { wrong: "Choose a prompt: experiments compare them." };
  const parameters: Record<string, unknown[]> = {};
  for (const { name, values } of draft.parameters.filter((one) => one.name.trim() !== "" || one.values.trim() !== "")) {
    if (name.trim() === "") return { wrong: `The values ${values} belong to no parameter.` };
    const read = valuesOf(values);
    if (read.length === 0) return { wrong: `Say which values of ${name.trim()} are compared.` };
    parameters[name.trim()] = read;
  }
  const scorers: Scorer[] = [];
  for (const scorer of draft.scorers) {
    const made = scorerOf(scorer);
    if ("wrong" in made) return made;
    scorers.push(made.scorer);
  }
  if (scorers.length === 0) return { wrong: "Say what is looked at: an experiment needs a scorer." };
  const budget = { usd: number(draft.usd), tokens: number(draft.tokens), seconds: number(draft.seconds) };
  return {
    definition: {
      dataset: draft.datasetVersion === "" ? draft.dataset : `${draft.dataset}@${draft.datasetVersion}`,
      items: { limit: number(draft.limit), seed: number(draft.itemSeed) },
      prompts,
      models: draft.models.length > 0 ? draft.models : undefined,
      parameters: Object.keys(parameters).length > 0 ? (parameters as Definition["parameters"]) : undefined,
      shots: draft.shots.length > 0 ? draft.shots.map(shotsOf) : undefined,
      examples: filled(draft.examples) === undefined ? undefined : { dataset: filled(draft.examples) },
      repeats: number(draft.repeats),
      search: searchOf(draft),
      scorers,
      cache: draft.cache ? undefined : false,
      concurrency: number(draft.concurrency),
      budget: Object.values(budget).some((value) => value !== undefined) ? budget : undefined,
    },
  };
}

/** Values between commas: JSON where it is some, else text. What is one JSON list is a list of values. */
export function valuesOf(text: string): unknown[] {
  const whole = parsed(text);
  if (Array.isArray(whole)) return whole;
  return text.split(",").map((part) => part.trim()).filter((part) => part !== "").map((part) => parsed(part) ?? part);
}

/** A JSON object, if the text is one. */
export function objectOf(text: string): Record<string, unknown> | undefined {
  const read = parsed(text);
  return typeof read === "object" && read !== null && !Array.isArray(read) ? (read as Record<string, unknown>) : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function shotsOf({ count, choose, seed, embeddingModel }: DraftShots): NonNullable<Definition["shots"]>[number] {
  const many = number(count) ?? 0;
  if (choose === "prompt" || many === 0) return many;
  return { count: many, choose, seed: choose === "random" ? number(seed) : undefined, embedding_model: choose === "similar" ? filled(embeddingModel) : undefined };
}

function searchOf({ search, first, second }: Draft): Definition["search"] {
  if (search === "random") return { kind: "random", cells: number(first), seed: number(second) };
  if (search === "halving") return { kind: "halving", first_items: number(first), factor: number(second) };
  return undefined;
}

/** The scorer that a draft makes, or what is missing of it. */
export function scorerOf(draft: DraftScorer): { scorer: Scorer } | { wrong: string } {
  const { kind } = draft;
  const scorer: Scorer = { kind };
  if (filled(draft.name) !== undefined) scorer.name = filled(draft.name);
  if (isMetric(kind) && filled(draft.options) !== undefined) {
    const options = objectOf(draft.options);
    if (options === undefined) return { wrong: `The options of ${kind} are no JSON object.` };
    Object.assign(scorer, options);
  }
  if (kind === "exact_match" || kind === "contains") {
    if (draft.ignoreCase) scorer.ignore_case = true;
    if (draft.ignorePunctuation) scorer.ignore_punctuation = true;
  }
  if (hasExtract(kind) && filled(draft.extract) !== undefined) scorer.extract = draft.extract;
  if (kind === "number_match" && number(draft.tolerance) !== undefined) scorer.tolerance = number(draft.tolerance);
  if (kind === "regex") {
    if (draft.pattern === "") return { wrong: "Say which pattern the scorer looks for." };
    scorer.pattern = draft.pattern;
  }
  if (kind === "json_schema") {
    const schema = objectOf(draft.schema);
    if (schema === undefined) return { wrong: "The JSON schema of the scorer is no JSON object." };
    scorer.schema = schema as Scorer["schema"];
  }
  if (kind === "length") {
    scorer.unit = draft.unit;
    scorer.better = draft.better;
  }
  return { scorer };
}

export const hasExtract = (kind: Kind): boolean => ["exact_match", "contains", "number_match", "token_f1"].includes(kind);
