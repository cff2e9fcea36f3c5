/** The form that makes an evaluation: whose answers to which rows, what is looked at, and what must hold. */

import { Alert, Button, Checkbox, Fieldset, Group, NumberInput, SegmentedControl, Select, Stack, Text, Textarea, TextInput, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useMemo, useState } from "react";
import { Link, useNavigate } from "react-router";
import { api, take } from "../../api/client";
import { callsOf, type Definition, definitionOf, type Draft, type DraftLook, type DraftTarget, emptyDraft, LOOK_KINDS, newLook, newTarget, withoutColumns } from "../../lib/evaluationDraft";
import { type DraftScorer, KINDS } from "../../lib/experimentDraft";
import { count } from "../../lib/format";
import { Failed } from "../../parts/states";
import { useSession } from "../../signin/session";
import { datasetQuery, versionQuery } from "../datasets/ask";
import { Add, Asked, changed, PromptChoice, Row, ScorerOptions, without } from "../experiments/form";
import { judgesQuery, modelsQuery } from "../judges/ask";
import { EVALUATIONS } from "./ask";
import { linkTo } from "./EvaluationList";

export default function NewEvaluation() {
  const [draft, setDraft] = useState(emptyDraft);
  const made = useMemo(() => definitionOf(draft), [draft]);
  const edit = (to: Partial<Draft>) => setDraft((old) => {
    const changed = { ...old, ...to };
    return changed.dataset === old.dataset ? changed : withoutColumns(changed);
  });
  return (
    <Stack gap="sm">
      <Title order={1}><Link to="/evaluations" className="row-link">Evaluations</Link> / New</Title>
      <div className="definition-form">
        <Stack gap="sm">
          <Asked draft={draft} edit={edit} />
          <Answered draft={draft} edit={edit} />
          <Looked draft={draft} edit={edit} />
          <Held draft={draft} edit={edit} />
        </Stack>
        <Aside draft={draft} made={made} />
      </div>
    </Stack>
  );
}

interface PartProps {
  draft: Draft;
  edit: (to: Partial<Draft>) => void;
}

/** The version that is meant. */
function useVersion({ dataset, datasetVersion }: Pick<Draft, "dataset" | "datasetVersion">) {
  const detail = useQuery({ ...datasetQuery(dataset), enabled: dataset !== "" && datasetVersion === "" });
  const version = useQuery({ ...versionQuery(dataset, datasetVersion), enabled: dataset !== "" && datasetVersion !== "" });
  return datasetVersion === "" ? detail.data?.latest : version.data;
}

/** Names of its columns. */
const useColumns = (draft: Draft): string[] => (useVersion(draft)?.columns ?? []).map(({ name }) => name);

/** Whose answers are looked at. */
function Answered({ draft, edit }: PartProps) {
  const { dataset, targets } = draft;
  const columns = useColumns(draft);
  const change = (id: number, to: Partial<DraftTarget>) => edit({ targets: changed(targets, id, to) });
  return (
    <Fieldset legend="Whose answers">
      <Stack gap="xs">
        {targets.map((target, at) => (
          <Row key={target.id} what={`target ${at + 1}`} drop={() => edit({ targets: without(targets, target.id) })}>
            <TextInput w={130} label={at === 0 ? "Name" : undefined} aria-label={`Name of target ${at + 1}`} placeholder={targets.length === 1 ? "target" : `target_${at + 1}`} value={target.name} onChange={(event) => change(target.id, { name: event.currentTarget.value })} autoComplete="off" />
            <SegmentedControl mb={1} flex="none" aria-label={`Where answers of target ${at + 1} come from`} data={[{ value: "column", label: "A column" }, { value: "prompt", label: "A model" }]} value={target.from} onChange={(from) => change(target.id, { from: from as DraftTarget["from"] })} />
            {target.from === "column" ? (
              <Select flex={1} label={at === 0 ? "Column with the answers" : undefined} aria-label={`Column of target ${at + 1}`} placeholder="Choose one" searchable data={columns} value={target.column || null} disabled={dataset === ""} onChange={(column) => change(target.id, { column: column ?? "" })} />
            ) : (
              <Model target={target} place={at + 1} change={(to) => change(target.id, to)} />
            )}
          </Row>
        ))}
        <Add onClick={() => edit({ targets: [...targets, newTarget()] })}>Target</Add>
      </Stack>
    </Fieldset>
  );
}

function Model({ target, place, change }: { target: DraftTarget; place: number; change: (to: Partial<DraftTarget>) => void }) {
  const { may } = useSession();
  const known = useQuery({ ...modelsQuery, enabled: may("infer") });
  return (
    <Group flex={1} gap={6} align="flex-end">
      <PromptChoice prompt={target.prompt} place={place} change={(to) => change({ prompt: { ...target.prompt, ...to } })} />
      <Select w={190} label={place === 1 ? "Model" : undefined} aria-label={`Model of target ${place}`} placeholder="the prompt’s own" searchable clearable data={(known.data?.data ?? []).map(({ id }) => id)} value={target.model || null} onChange={(model) => change({ model: model ?? "" })} />
      <TextInput flex={1} miw={170} label={place === 1 ? "Parameters" : undefined} aria-label={`Parameters of target ${place}`} placeholder='{"temperature": 0}' classNames={{ input: "mono" }} value={target.parameters} onChange={(event) => change({ parameters: event.currentTarget.value })} autoComplete="off" spellCheck={false} />
    </Group>
  );
}

/** The scorers: functions of one answer, metrics of all, judges. */
function Looked({ draft, edit }: PartProps) {
  const { scorers } = draft;
  const columns = useColumns(draft);
  const change = (id: number, to: Partial<DraftLook>) => edit({ scorers: changed(scorers, id, to) });
  return (
    <Fieldset legend="Looked at">
      <Stack gap="xs">
        {scorers.map((scorer, at) => (
          <Row key={scorer.id} what={`scorer ${at + 1}`} drop={() => edit({ scorers: without(scorers, scorer.id) })}>
            <TextInput w={130} placeholder="name" aria-label={`Name of scorer ${at + 1}`} value={scorer.name} onChange={(event) => change(scorer.id, { name: event.currentTarget.value })} autoComplete="off" />
            <Select w={180} aria-label={`Scorer ${at + 1}`} data={LOOK_KINDS.map((kind) => ({ value: kind, label: kind.replaceAll("_", " ") }))} value={scorer.kind} allowDeselect={false} onChange={(kind) => change(scorer.id, { kind: kind as DraftLook["kind"] })} />
            <Options scorer={scorer} place={at + 1} columns={columns} change={(to) => change(scorer.id, to)} />
          </Row>
        ))}
        <Add onClick={() => edit({ scorers: [...scorers, newLook(LOOK_KINDS.find((kind) => scorers.every((one) => one.kind !== kind)) ?? "judge")] })}>Scorer</Add>
      </Stack>
    </Fieldset>
  );
}

const isOfExperiments = (scorer: DraftLook): scorer is DraftLook & DraftScorer => (KINDS as readonly string[]).includes(scorer.kind);

function Options({ scorer, place, columns, change }: { scorer: DraftLook; place: number; columns: string[]; change: (to: Partial<DraftLook>) => void }) {
  if (isOfExperiments(scorer)) return <ScorerOptions scorer={scorer} place={place} change={change} />;
  return (
    <Group gap="xs" flex={1} wrap="nowrap" align="center" mih={36}>
      {scorer.kind === "judge" && <JudgeChoice judge={scorer.judge} place={place} change={(judge) => change({ judge })} />}
      {scorer.kind === "judge" && <Select w={220} aria-label={`Column with what people say, of scorer ${place}`} placeholder="column of people’s labels" clearable data={columns} value={scorer.human || null} onChange={(human) => change({ human: human ?? "" })} />}
      {scorer.kind === "embedding_similarity" && <TextInput flex={1} placeholder="the embedded model" aria-label={`Model of scorer ${place}`} value={scorer.model} onChange={(event) => change({ model: event.currentTarget.value })} autoComplete="off" />}
      {scorer.kind === "classification" && <Select w={220} aria-label={`Column with the class, of scorer ${place}`} placeholder="the reference" clearable data={columns} value={scorer.label || null} onChange={(label) => change({ label: label ?? "" })} />}
      {scorer.kind === "classification" && <Checkbox label="ignore case" checked={scorer.ignoreCase} aria-label={`Scorer ${place} ignores case`} onChange={(event) => change({ ignoreCase: event.currentTarget.checked })} />}
      {scorer.kind === "classification" && <TextInput flex={1} placeholder="only what this pattern finds" aria-label={`Pattern that scorer ${place} takes from the answer`} classNames={{ input: "mono" }} value={scorer.extract} onChange={(event) => change({ extract: event.currentTarget.value })} autoComplete="off" />}
    </Group>
  );
}

function JudgeChoice({ judge, place, change }: { judge: string; place: number; change: (judge: string) => void }) {
  const asked = useQuery(judgesQuery);
  const names = (asked.data?.data ?? []).map(({ name }) => name);
  return <Select flex={1} aria-label={`Judge of scorer ${place}`} placeholder={asked.data && names.length === 0 ? "There are no judges yet: make one on the page Judges" : "Choose a judge"} searchable data={names} value={judge || null} onChange={(name) => change(name ?? "")} error={asked.isError ? asked.error.message : undefined} />;
}

/** What must hold, and where to stop. */
function Held({ draft, edit }: PartProps) {
  return (
    <Fieldset legend="What must hold, and where to stop">
      <Stack gap="xs">
        <Textarea label="Gates" description="One on each line; with several targets the target’s name stands before the score" placeholder={"exact_match >= 0.8\nlatency_p95_ms < 2000"} classNames={{ input: "mono" }} autosize minRows={2} maxRows={8} value={draft.gates} onChange={(event) => edit({ gates: event.currentTarget.value })} spellCheck={false} />
        <Group grow align="flex-start">
          <NumberInput label="Dollars" placeholder="no limit" min={0} decimalScale={6} value={draft.usd} onChange={(usd) => edit({ usd })} />
          <NumberInput label="Calls at once" min={1} max={64} value={draft.concurrency} onChange={(concurrency) => edit({ concurrency })} />
        </Group>
        <Checkbox label="Take answers and judgements of the same calls from earlier ones" checked={draft.cache} onChange={(event) => edit({ cache: event.currentTarget.checked })} />
      </Stack>
    </Fieldset>
  );
}

/** What it would take, and the button that begins it. */
function Aside({ draft, made }: { draft: Draft; made: ReturnType<typeof definitionOf> }) {
  const { may } = useSession();
  const [typed, setTyped] = useState("");
  const { items, calls, judged } = callsOf(draft, useVersion(draft)?.rows);
  return (
    <Stack gap="sm" component="aside" aria-label="What it would take" className="definition-aside">
      <TextInput label="Name" description="Another version of one that there is, or a new one" placeholder={draft.dataset || "name"} value={typed} onChange={(event) => setTyped(event.currentTarget.value)} autoComplete="off" />
      {"wrong" in made && <Alert color="gray" variant="outline" role="status" title="Not yet an evaluation">{made.wrong}</Alert>}
      {"definition" in made && items !== undefined && calls !== undefined && (
        <Stack gap={6} data-testid="taken">
          <Text fw={600}>{count(items)} {items === 1 ? "row" : "rows"}: {calls === 0 ? "nobody is asked for answers" : `${count(calls)} answers asked for`}</Text>
          {judged && <Text size="sm">Judges are asked about each answer on top of that.</Text>}
        </Stack>
      )}
      {may("write") && may("infer") ? <Start name={typed.trim() || draft.dataset} definition={"definition" in made ? made.definition : null} /> : <Text size="sm" c="dimmed">To start one takes the scopes write and infer.</Text>}
    </Stack>
  );
}

function Start({ name, definition }: { name: string; definition: Definition | null }) {
  const navigate = useNavigate();
  const queries = useQueryClient();
  const begin = useMutation({
    mutationFn: (wanted: Definition) => take(api.POST("/api/v1/evaluations", { body: { name, definition: wanted } })),
    onSuccess: async (made) => {
      await queries.invalidateQueries({ queryKey: [EVALUATIONS] });
      void navigate(linkTo(made.name));
    },
  });
  function submit(event: FormEvent) {
    event.preventDefault();
    if (definition !== null) begin.mutate(definition);
  }
  return (
    <form onSubmit={submit}>
      {begin.isError && <Failed error={begin.error} />}
      <Button type="submit" fullWidth loading={begin.isPending} disabled={definition === null || name === ""}>Start the evaluation</Button>
    </form>
  );
}
