/** What judges are, and what their cards say, in words. */

import type { Schemas } from "../api/client";
import { duration, percent } from "./format";
import { type Estimate, type Kind, toldEstimate } from "./interval";

export type Card = Schemas["Card"];
export type Stat = Schemas["CardStat"];

/** The parts of a definition that pages read. */
export interface JudgeDefinition {
  description?: string;
  model?: string;
  instruction?: string;
  content?: string;
  question?: string;
  inputs?: Input[];
  settings?: Record<string, unknown>;
  scale?: Scale;
  better?: string;
  method: { kind: string; jurors?: JudgeDefinition[]; combine?: string };
}

export interface Input {
  name: string;
  description?: string;
  required?: boolean;
  list?: boolean;
}

type Scale =
  | { kind: "numeric"; lowest: number; highest: number; levels?: { value: number; means: string }[] }
  | { kind: "categorical"; categories: { name: string; value?: number; means?: string }[] }
  | { kind: "boolean" };

/** How each method asks. */
export const METHODS: Record<string, string> = {
  direct: "a place on the scale", weighted: "a place on the scale, by the probabilities of tokens", pairwise: "which of two is better", reference: "the right answer, which is then compared",
  checklist: "yes or no to each question", claims: "whether each claim is supported", passages: "whether each passage is useful", jury: "several judges", graded: "as a file of OpenAI Evals says",
};

/** `1 to 5`, `yes or no`, `A, B or C`. */
export function scaleOf(definition: JudgeDefinition): string {
  const juror = definition.method.jurors?.[0];
  if (juror !== undefined) return scaleOf(juror);
  const { scale } = definition;
  if (scale === undefined) return definition.method.kind === "pairwise" ? "first, second or tie" : "0 to 1";
  if (scale.kind === "numeric") return `${scale.lowest} to ${scale.highest}`;
  if (scale.kind === "boolean") return "yes or no";
  const names = scale.categories.map((category) => category.name);
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}

/** What the places on a scale mean, where that is said. */
export function meaningsOf({ scale }: JudgeDefinition): { place: string; means: string }[] {
  if (scale?.kind === "numeric") return (scale.levels ?? []).map(({ value, means }) => ({ place: String(value), means }));
  if (scale?.kind !== "categorical") return [];
  return scale.categories.map(({ name, value, means }) => ({ place: value === undefined ? name : `${name} (${value})`, means: means ?? "" })).filter(({ means, place }) => means !== "" || place.endsWith(")"));
}

/** What an item must have; of a jury what any of its jurors needs. */
export function inputsOf(definition: JudgeDefinition): Input[] {
  const all = [...(definition.inputs ?? []), ...(definition.method.jurors ?? []).flatMap(inputsOf)];
  return all.filter((input, at) => all.findIndex((other) => other.name === input.name) === at);
}

/** Settings that somebody has to say before the judge can be used. */
export function unsaidOf({ settings = {} }: JudgeDefinition): string[] {
  return Object.keys(settings).filter((name) => settings[name] === null);
}

/** What is typed for inputs, as the server takes it: a list has one text a line. What is left empty is not sent. */
export function valuesOf(inputs: readonly Input[], typed: Readonly<Record<string, string>>): Record<string, string | string[]> {
  const values: Record<string, string | string[]> = {};
  for (const { name, list } of inputs) {
    const text = typed[name] ?? "";
    if (text.trim() === "") continue;
    values[name] = list === true ? text.split("\n").filter((line) => line.trim() !== "") : text;
  }
  return values;
}

/** Lines `1 = A` as what words of people mean; null where a line says nothing. */
export function meansOf(text: string): Record<string, string> | null {
  const means: Record<string, string> = {};
  for (const line of text.split("\n").filter((one) => one.trim() !== "")) {
    const at = line.indexOf("=");
    const [word, meant] = [line.slice(0, at).trim(), line.slice(at + 1).trim()];
    if (at < 1 || word === "" || meant === "") return null;
    means[word] = meant;
  }
  return means;
}

/** One line of a card's table. */
export interface CardLine {
  key: string;
  title: string;
  stat: Stat;
  kind: Kind;
  say: (value: number) => string;
  /** What the judge is to be held against. */
  weak?: boolean;
}

const plain = (value: number) => value.toFixed(2).replace("-", "−");
const points = (value: number) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${(Math.abs(value) * 100).toFixed(1)} points`;

/** How far the judge says what people say, beside who always says the same and beside people among themselves. */
export function agreementOf(card: Card): CardLine[] {
  const { accuracy, people } = card;
  const lines: (CardLine | null)[] = [
    { key: "all", title: "Right, of all items", stat: accuracy.all, kind: "share", say: percent },
    { key: "told", title: "Right, of those that it told", stat: accuracy.told, kind: "share", say: percent },
    { key: "base", title: accuracy.most_common == null ? "Base rate" : `Base rate: who always says “${accuracy.most_common}”`, stat: accuracy.base_rate, kind: "share", say: percent, weak: true },
    { key: "gain", title: "More often right than the base rate", stat: accuracy.gain, kind: "signed", say: points },
    { key: "kappa", title: "Cohen’s κ", stat: card.kappa, kind: "signed", say: plain },
    line("weighted", "Cohen’s κ, quadratic weights", card.weighted_kappa, "signed", plain),
    { key: "alpha", title: `Krippendorff’s α, ${card.alpha_scale}`, stat: card.alpha, kind: "signed", say: plain },
    people == null ? null : { key: "people", title: "Krippendorff’s α of people among themselves", stat: people.alpha, kind: "signed", say: plain, weak: true },
    line("spearman", "Spearman’s ρ", card.spearman, "signed", plain),
    line("kendall", "Kendall’s τ-b", card.kendall, "signed", plain),
    line("offset", "Its mean above people’s", card.offset, "open", plain),
  ];
  return lines.filter((one) => one !== null);
}

/** What a judge looks at that it should not. */
export function biasesOf({ biases }: Card): CardLine[] {
  if (biases == null) return [];
  const ofPairs = biases.order_flips != null;
  const lines: (CardLine | null)[] = [
    line("flips", "Says something else in the other order", biases.order_flips, "share", percent),
    line("first", "First place wins more often than the second", biases.first_place, "signed", plain),
    { key: "length", title: ofPairs ? "Log-odds for an answer twice as long" : "Gives an answer twice as long more than people do", stat: biases.length, kind: "open", say: plain },
    ofPairs ? line("own", "Prefers answers of its own model more than people do", biases.own, "signed", plain) : line("own", "Gives answers of its own model more than people do", biases.own, "open", plain),
  ];
  return lines.filter((one) => one !== null);
}

/** What a judgement takes. */
export function effortOf({ effort }: Card): CardLine[] {
  const tokens = (value: number) => value.toFixed(1);
  const lines: (CardLine | null)[] = [
    line("usd", "Dollars for 1,000 items", effort.usd_per_1000, "open", (value) => `$${value.toPrecision(3)}`),
    { key: "p50", title: "Latency p50", stat: effort.latency_p50_ms, kind: "open", say: duration },
    { key: "p95", title: "Latency p95", stat: effort.latency_p95_ms, kind: "open", say: duration },
    { key: "calls", title: "Calls of an item", stat: effort.calls, kind: "open", say: tokens },
    { key: "input", title: "Tokens in", stat: effort.input_tokens, kind: "open", say: tokens },
    { key: "output", title: "Tokens out", stat: effort.output_tokens, kind: "open", say: tokens },
  ];
  return lines.filter((one) => one !== null);
}

function line(key: string, title: string, stat: Stat | null | undefined, kind: Kind, say: (value: number) => string): CardLine | null {
  return stat == null ? null : { key, title, stat, kind, say };
}

/** The number by which a judge is told in a list: how often it is right, and Cohen's κ. */
export function headlineOf({ accuracy, kappa }: Card): string {
  return `right ${toldEstimate(accuracy.all, percent)} · κ ${toldEstimate(kappa, plain)}`;
}

/** The headline that reports bring along with each judge's score. */
export function calibrationTold(known: Schemas["EvaluationCalibration"]): string {
  const accuracy: Estimate = { value: known.accuracy, low: known.accuracy_low, high: known.accuracy_high };
  const kappa: Estimate = { value: known.kappa, low: known.kappa_low, high: known.kappa_high };
  return `right ${toldEstimate(accuracy, percent)} · κ ${toldEstimate(kappa, plain)} · ${known.items.toLocaleString("en-US")} items of ${known.dataset}`;
}

/** What a judge said of an item, as its JSON tells it. */
export interface Judgement extends Outcome {
  reasons?: string;
  parts?: (Outcome & { name: string; weight?: number; reasons?: string })[];
  orders?: string;
  reference?: string;
  disagreement?: { pairs: number; spread?: number };
}

interface Outcome {
  outcome?: string;
  value?: number;
  label?: string;
  reason?: string;
  why?: string;
  said?: string;
}

/** `4`, `yes (1)`, `cannot tell: there is no context`. What is no score is never a number. */
export function outcomeTold({ outcome, value, label, reason, why }: Outcome): string {
  if (outcome === "cannot_tell") return `cannot tell${reason ? `: ${reason}` : ""}`;
  if (outcome === "invalid") return `no verdict${why ? `: ${why}` : ""}`;
  if (outcome === "failed") return `failed${why ? `: ${why}` : ""}`;
  const number = value === undefined ? "" : String(Number(value.toPrecision(4)));
  if (label === undefined || label === number) return number === "" ? "–" : number;
  return number === "" ? label : `${label} (${number})`;
}

/** Words for what a pair's two orders said. */
export const ORDERS: Record<string, string> = { agree: "both orders agree", half_agree: "one order has a winner, the other is a tie", flipped: "each order has another winner: the place was judged" };
