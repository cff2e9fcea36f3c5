/** The pieces that forms of experiments and of evaluations share: rows of a dataset, prompts, scorers. */

import "./form.css";

import { ActionIcon, Button, Checkbox, Fieldset, Group, NumberInput, Select, Text, Textarea, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { type Draft, type DraftPrompt, type DraftScorer, hasExtract, isMetric } from "../../lib/experimentDraft";
import { count } from "../../lib/format";
import { datasetQuery, datasetsQuery } from "../datasets/ask";
import { promptsQuery, versionsQuery } from "../prompts/ask";

/** What the list becomes when one of its entries is changed, or dropped. */
export const changed = <T extends { id: number }>(all: readonly T[], id: number, to: Partial<T>): T[] => all.map((one) => (one.id === id ? { ...one, ...to } : one));
export const without = <T extends { id: number }>(all: readonly T[], id: number): T[] => all.filter((one) => one.id !== id);

export function Row({ children, drop, what }: { children: ReactNode; drop: () => void; what: string }) {
  return (
    <Group gap={6} align="flex-end" wrap="nowrap">
      {children}
      <ActionIcon variant="subtle" color="gray" mb={6} aria-label={`Drop ${what}`} onClick={drop}>✕</ActionIcon>
    </Group>
  );
}

export const Add = ({ children, onClick }: { children: string; onClick: () => void }) => <Group><Button variant="subtle" size="compact-xs" onClick={onClick}>+ {children}</Button></Group>;

type AskedDraft = Pick<Draft, "dataset" | "datasetVersion" | "limit" | "itemSeed">;

/** The rows that are asked about. */
export function Asked({ draft, edit }: { draft: AskedDraft; edit: (to: Partial<AskedDraft>) => void }) {
  const asked = useQuery(datasetsQuery);
  const detail = useQuery({ ...datasetQuery(draft.dataset), enabled: draft.dataset !== "" });
  const versions = [
    { value: "", label: "latest" },
    ...(detail.data?.labels ?? []).map(({ label, version }) => ({ value: label, label: `${label} (${version})` })),
    ...(detail.data?.versions ?? []).map(({ version }) => ({ value: String(version), label: String(version) })),
  ];
  return (
    <Fieldset legend="Asked about">
      <Group grow align="flex-start">
        <Select
          label="Dataset" description="A split is a dataset of its own" placeholder={asked.isPending ? "Loading…" : "Choose one"} searchable required data={(asked.data?.data ?? []).map(({ name, rows }) => ({ value: name, label: `${name} · ${count(rows)} rows` }))}
          value={draft.dataset || null} onChange={(dataset) => edit({ dataset: dataset ?? "", datasetVersion: "" })} error={asked.isError ? asked.error.message : undefined}
        />
        <Select label="Version" description="Noted when it is made" data={versions} value={draft.datasetVersion} allowDeselect={false} disabled={draft.dataset === ""} onChange={(datasetVersion) => edit({ datasetVersion: datasetVersion ?? "" })} />
        <NumberInput label="Rows" description="Drawn at random; empty for all" min={1} max={10_000} value={draft.limit} onChange={(limit) => edit({ limit })} />
        <NumberInput label="Seed" description="The same draws the same" min={0} value={draft.itemSeed} onChange={(itemSeed) => edit({ itemSeed })} />
      </Group>
    </Fieldset>
  );
}

/** A prompt and which of its versions. */
export function PromptChoice({ prompt, place, change }: { prompt: DraftPrompt; place: number; change: (to: Partial<DraftPrompt>) => void }) {
  const asked = useQuery(promptsQuery);
  const detail = useQuery({ ...versionsQuery(prompt.name), enabled: prompt.name !== "" });
  const versions = [{ value: "", label: "the usual one" }, ...(detail.data?.data ?? []).flatMap(({ version, labels }) => [...labels.map((label) => ({ value: label, label: `${label} (${version})` })), { value: String(version), label: String(version) }])];
  return (
    <>
      <Select flex={1} miw={180} label={place === 1 ? "Prompt" : undefined} aria-label={`Prompt ${place}`} placeholder={asked.isPending ? "Loading…" : "Choose one"} searchable data={(asked.data?.data ?? []).map(({ name }) => name)} value={prompt.name || null} onChange={(name) => change({ name: name ?? "", version: "" })} error={asked.isError ? asked.error.message : undefined} />
      <Select w={190} label={place === 1 ? "Version" : undefined} aria-label={`Version of prompt ${place}`} data={versions} value={prompt.version} allowDeselect={false} disabled={prompt.name === ""} onChange={(version) => change({ version: version ?? "" })} />
    </>
  );
}

/** What options of metrics look like. */
const OPTIONS: Record<string, string> = {
  bleu: '{"tokenise": "13a"}', chrf: '{"word_order": 2}', ter: '{"normalized": true}', rouge: '{"variant": "lsum"}', meteor: '{"stages": ["exact", "stem"]}',
  edit_similarity: '{"measure": "levenshtein"}', readability: '{"index": "flesch_reading_ease"}', leak: '{"kinds": ["email"]}', toxic: '{"kinds": ["threat"]}',
};

/** What else may be said of a scorer. */
export function ScorerOptions({ scorer, place, change }: { scorer: DraftScorer; place: number; change: (to: Partial<DraftScorer>) => void }) {
  const { kind } = scorer;
  const isText = kind === "exact_match" || kind === "contains";
  return (
    <Group gap="xs" flex={1} wrap="nowrap" align="center" mih={36}>
      {isText && <Checkbox label="ignore case" checked={scorer.ignoreCase} aria-label={`Scorer ${place} ignores case`} onChange={(event) => change({ ignoreCase: event.currentTarget.checked })} />}
      {isText && <Checkbox label="ignore punctuation" checked={scorer.ignorePunctuation} aria-label={`Scorer ${place} ignores punctuation`} onChange={(event) => change({ ignorePunctuation: event.currentTarget.checked })} />}
      {hasExtract(kind) && <TextInput flex={1} placeholder="only what this pattern finds" aria-label={`Pattern that scorer ${place} takes from the answer`} classNames={{ input: "mono" }} value={scorer.extract} onChange={(event) => change({ extract: event.currentTarget.value })} autoComplete="off" />}
      {kind === "number_match" && <NumberInput w={140} placeholder="tolerance" aria-label={`Tolerance of scorer ${place}`} min={0} value={scorer.tolerance} onChange={(tolerance) => change({ tolerance })} />}
      {kind === "regex" && <TextInput flex={1} placeholder="pattern" aria-label={`Pattern of scorer ${place}`} classNames={{ input: "mono" }} value={scorer.pattern} onChange={(event) => change({ pattern: event.currentTarget.value })} autoComplete="off" />}
      {kind === "json_schema" && <Textarea flex={1} placeholder='{"type": "object"}' aria-label={`JSON schema of scorer ${place}`} classNames={{ input: "mono" }} autosize minRows={1} maxRows={8} value={scorer.schema} onChange={(event) => change({ schema: event.currentTarget.value })} spellCheck={false} />}
      {kind === "length" && <Select w={150} aria-label={`Unit of scorer ${place}`} data={["characters", "words", "tokens"]} value={scorer.unit} allowDeselect={false} onChange={(unit) => change({ unit: unit ?? "characters" })} />}
      {kind === "length" && <Select w={150} aria-label={`What scorer ${place} calls better`} data={[{ value: "lower", label: "shorter is better" }, { value: "higher", label: "longer is better" }]} value={scorer.better} allowDeselect={false} onChange={(better) => change({ better: better ?? "lower" })} />}
      {isMetric(kind) && <TextInput flex={1} placeholder={OPTIONS[kind] ?? "options, as JSON"} aria-label={`Options of scorer ${place}`} classNames={{ input: "mono" }} value={scorer.options} onChange={(event) => change({ options: event.currentTarget.value })} autoComplete="off" spellCheck={false} />}
      {kind === "latency" && <Text size="sm" c="dimmed">milliseconds of each call</Text>}
      {kind === "cost" && <Text size="sm" c="dimmed">dollars of each call, where its price is known</Text>}
    </Group>
  );
}
