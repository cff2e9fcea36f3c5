/** The form that makes an experiment: what is asked, what is looked at, and what that would take before it is begun. */

import { Alert, Button, Checkbox, Divider, Fieldset, Group, NumberInput, SegmentedControl, Select, Stack, TagsInput, Text, TextInput, Title } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useMemo, useState } from "react";
import { Link, useNavigate } from "react-router";
import { api, getJson, take } from "../../api/client";
import { CHOICES, type Definition, definitionOf, type Draft, type DraftScorer, type DraftShots, emptyDraft, type Kind, KINDS, newParameter, newPrompt, newScorer, newShots } from "../../lib/experimentDraft";
import { count, money } from "../../lib/format";
import { Failed } from "../../parts/states";
import { useSession } from "../../signin/session";
import { EXPERIMENTS, type Preview } from "./ask";
import { Add, Asked, changed, PromptChoice, Row, ScorerOptions, without } from "./form";

/** So long nothing is changed before the server is asked what it would take. */
const ASK_AFTER_MS = 400;
/** Cells whose names are shown. */
const MOST_CELLS = 12;

export default function NewExperiment() {
  const [draft, setDraft] = useState(emptyDraft);
  const made = useMemo(() => definitionOf(draft), [draft]);
  const edit = (to: Partial<Draft>) => setDraft((old) => ({ ...old, ...to }));
  return (
    <Stack gap="sm">
      <Title order={1}><Link to="/experiments" className="row-link">Experiments</Link> / New</Title>
      <div className="definition-form">
        <Stack gap="sm">
          <Asked draft={draft} edit={edit} />
          <Compared draft={draft} edit={edit} />
          <Looked draft={draft} edit={edit} />
          <Limits draft={draft} edit={edit} />
        </Stack>
        <Aside made={made} dataset={draft.dataset} />
      </div>
    </Stack>
  );
}

interface PartProps {
  draft: Draft;
  edit: (to: Partial<Draft>) => void;
}

/** What is compared: prompts, models, parameters, examples. */
function Compared({ draft, edit }: PartProps) {
  const { may } = useSession();
  const known = useQuery({ queryKey: ["v1-models"], queryFn: ({ signal }) => getJson<{ data: { id: string }[] }>("/v1/models", signal), retry: false, enabled: may("infer") });
  const { prompts, parameters, shots } = draft;
  return (
    <Fieldset legend="Compared">
      <Stack gap="xs">
        {prompts.map((prompt, at) => (
          <Row key={prompt.id} what={`prompt ${at + 1}`} drop={() => edit({ prompts: without(prompts, prompt.id) })}>
            <PromptChoice prompt={prompt} place={at + 1} change={(to) => edit({ prompts: changed(prompts, prompt.id, to) })} />
          </Row>
        ))}
        <Add onClick={() => edit({ prompts: [...prompts, newPrompt()] })}>Prompt</Add>
        <TagsInput
          label="Models" description="Each prompt’s own when there are none" placeholder={draft.models.length === 0 ? "Choose, or type a name" : undefined} data={(known.data?.data ?? []).map(({ id }) => id)}
          value={draft.models} onChange={(models) => edit({ models })} clearable acceptValueOnBlur
        />
        {parameters.map((parameter, at) => (
          <Row key={parameter.id} what={`parameter ${at + 1}`} drop={() => edit({ parameters: without(parameters, parameter.id) })}>
            <TextInput w={220} label={at === 0 ? "Parameter" : undefined} aria-label={`Name of parameter ${at + 1}`} placeholder="temperature" value={parameter.name} onChange={(event) => edit({ parameters: changed(parameters, parameter.id, { name: event.currentTarget.value }) })} autoComplete="off" />
            <TextInput flex={1} label={at === 0 ? "Values, between commas" : undefined} aria-label={`Values of parameter ${at + 1}`} placeholder="0, 0.7" classNames={{ input: "mono" }} value={parameter.values} onChange={(event) => edit({ parameters: changed(parameters, parameter.id, { values: event.currentTarget.value }) })} autoComplete="off" />
          </Row>
        ))}
        <Add onClick={() => edit({ parameters: [...parameters, newParameter()] })}>Parameter</Add>
        {shots.map((one, at) => (
          <Row key={one.id} what={`number of examples ${at + 1}`} drop={() => edit({ shots: without(shots, one.id) })}>
            <Shots shots={one} place={at + 1} change={(to) => edit({ shots: changed(shots, one.id, to) })} />
          </Row>
        ))}
        <Add onClick={() => edit({ shots: [...shots, newShots(shots.length === 0 ? 0 : 3)] })}>Number of examples</Add>
        {shots.length > 0 && <TextInput label="Examples from" description="A dataset, for prompts that bring none; other rows of the same when empty" value={draft.examples} onChange={(event) => edit({ examples: event.currentTarget.value })} autoComplete="off" />}
      </Stack>
    </Fieldset>
  );
}

function Shots({ shots, place, change }: { shots: DraftShots; place: number; change: (to: Partial<DraftShots>) => void }) {
  return (
    <>
      <NumberInput w={220} label={place === 1 ? "Examples shown" : undefined} aria-label={`Number of examples ${place}`} min={0} max={50} value={shots.count} onChange={(value) => change({ count: value })} />
      <Select flex={1} label={place === 1 ? "Chosen" : undefined} aria-label={`How examples ${place} are chosen`} data={[...CHOICES]} value={shots.choose} allowDeselect={false} disabled={shots.count === 0} onChange={(choose) => change({ choose: choose ?? "prompt" })} />
      {shots.choose === "random" && <NumberInput w={150} aria-label={`Seed of examples ${place}`} placeholder="seed" min={0} value={shots.seed} onChange={(seed) => change({ seed })} />}
      {shots.choose === "similar" && <TextInput w={240} aria-label={`Model of embeddings of examples ${place}`} placeholder="the embedded model" value={shots.embeddingModel} onChange={(event) => change({ embeddingModel: event.currentTarget.value })} autoComplete="off" />}
    </>
  );
}

/** The scorers: the first is what cells are ranked by. */
function Looked({ draft: { scorers }, edit }: PartProps) {
  const change = (id: number, to: Partial<DraftScorer>) => edit({ scorers: changed(scorers, id, to) });
  return (
    <Fieldset legend="Looked at">
      <Stack gap="xs">
        <Text size="xs" c="dimmed">Cells are ranked by the first.</Text>
        {scorers.map((scorer, at) => (
          <Row key={scorer.id} what={`scorer ${at + 1}`} drop={() => edit({ scorers: without(scorers, scorer.id) })}>
            <TextInput w={130} placeholder="name" aria-label={`Name of scorer ${at + 1}`} value={scorer.name} onChange={(event) => change(scorer.id, { name: event.currentTarget.value })} autoComplete="off" />
            <Select w={180} aria-label={`Scorer ${at + 1}`} data={KINDS.map((kind) => ({ value: kind, label: kind.replaceAll("_", " ") }))} value={scorer.kind} allowDeselect={false} onChange={(kind) => change(scorer.id, { kind: kind as Kind })} />
            <ScorerOptions scorer={scorer} place={at + 1} change={(to) => change(scorer.id, to)} />
          </Row>
        ))}
        <Add onClick={() => edit({ scorers: [...scorers, newScorer(KINDS.find((kind) => scorers.every((one) => one.kind !== kind)) ?? "latency")] })}>Scorer</Add>
      </Stack>
    </Fieldset>
  );
}

const SEARCHES = [{ value: "grid", label: "All cells" }, { value: "random", label: "Some, at random" }, { value: "halving", label: "Halving" }];

/** Which cells are tried, and where to stop. */
function Limits({ draft, edit }: PartProps) {
  const { search } = draft;
  const usual = { grid: {}, random: { first: 20, second: 0 }, halving: { first: 20, second: 3 } };
  return (
    <Fieldset legend="Tried, and where to stop">
      <Stack gap="xs">
        <Group align="flex-end">
          <SegmentedControl data={SEARCHES} value={search} aria-label="Search" onChange={(value) => edit({ search: value as Draft["search"], ...usual[value as Draft["search"]] })} />
          {search === "random" && <NumberInput w={130} label="Cells" min={1} max={200} value={draft.first} onChange={(first) => edit({ first })} />}
          {search === "random" && <NumberInput w={130} label="Seed" aria-label="Seed of the search" min={0} value={draft.second} onChange={(second) => edit({ second })} />}
          {search === "halving" && <NumberInput w={150} label="Rows at first" min={5} value={draft.first} onChange={(first) => edit({ first })} />}
          {search === "halving" && <NumberInput w={150} label="Keep one in" min={2} max={10} value={draft.second} onChange={(second) => edit({ second })} />}
        </Group>
        <Group grow align="flex-start">
          <NumberInput label="Dollars" placeholder="no limit" min={0} decimalScale={6} value={draft.usd} onChange={(usd) => edit({ usd })} />
          <NumberInput label="Tokens" placeholder="no limit" min={1} thousandSeparator="," value={draft.tokens} onChange={(tokens) => edit({ tokens })} />
          <NumberInput label="Seconds" placeholder="no limit" min={1} value={draft.seconds} onChange={(seconds) => edit({ seconds })} />
        </Group>
        <Group grow align="flex-start">
          <NumberInput label="Calls at once" min={1} max={64} value={draft.concurrency} onChange={(concurrency) => edit({ concurrency })} />
          <NumberInput label="Answers to each row" min={1} max={50} value={draft.repeats} onChange={(repeats) => edit({ repeats })} />
        </Group>
        <Checkbox label="Take answers to the same calls from earlier experiments" checked={draft.cache} onChange={(event) => edit({ cache: event.currentTarget.checked })} />
      </Stack>
    </Fieldset>
  );
}

/** What it would take, and the button that begins it. */
function Aside({ made, dataset }: { made: ReturnType<typeof definitionOf>; dataset: string }) {
  const { may } = useSession();
  const [typed, setTyped] = useState("");
  const name = typed.trim() || dataset;
  const definition = "definition" in made ? made.definition : null;
  const [question] = useDebouncedValue(JSON.stringify(definition), ASK_AFTER_MS);
  const asked = useQuery({
    queryKey: [...EXPERIMENTS, "preview", question], enabled: question !== "null", placeholderData: keepPreviousData, gcTime: 0, retry: false,
    queryFn: ({ signal }) => take(api.POST("/api/v1/experiments/{name}/preview", { params: { path: { name: "new" } }, body: JSON.parse(question) as Definition, signal })),
  });
  const isStale = asked.isFetching || question !== JSON.stringify(definition);
  const ready = definition !== null && asked.isSuccess && !isStale;
  return (
    <Stack gap="sm" component="aside" aria-label="What it would take" className="definition-aside">
      <TextInput label="Name" description="Another version of one that there is, or a new one" placeholder={dataset || "name"} value={typed} onChange={(event) => setTyped(event.currentTarget.value)} autoComplete="off" />
      {"wrong" in made && <Alert color="gray" variant="outline" role="status" title="Not yet an experiment">{made.wrong}</Alert>}
      {definition !== null && asked.isError && !isStale && <Alert color="gray" variant="outline" role="status" title="It cannot be run like this">{asked.error.message}</Alert>}
      {definition !== null && asked.data && !asked.isError && <Taken preview={asked.data} isStale={isStale} />}
      {may("write") && may("infer") ? <Start name={name} definition={ready ? definition : null} /> : <Text size="sm" c="dimmed">To start one takes the scopes write and infer.</Text>}
    </Stack>
  );
}

function Taken({ preview, isStale }: { preview: Preview; isStale: boolean }) {
  const { cells, items, calls, unpriced, unknown } = preview;
  return (
    <Stack gap={6} opacity={isStale ? 0.6 : 1} data-testid="taken" data-stale={isStale}>
      <Text fw={600}>{count(cells.length)} {cells.length === 1 ? "cell" : "cells"} × {count(items)} {items === 1 ? "row" : "rows"}: {count(calls)} calls</Text>
      <Text size="sm">About {count(preview.input_tokens)} tokens in, {preview.output_tokens == null ? "and answers of any length" : `at most ${count(preview.output_tokens)} out`}.</Text>
      <Text size="sm">{costOf(preview)}</Text>
      {unpriced.length > 0 && <Text size="sm" c="dimmed">The price is not known of {unpriced.join(", ")}.</Text>}
      {unknown.length > 0 && <Alert color="gray" variant="outline" role="status">There is no model called {unknown.join(", ")}.</Alert>}
      <Divider />
      {cells.slice(0, MOST_CELLS).map((cell) => <Text key={cell.id} size="xs" c="dimmed">{cell.id} · {cell.label}</Text>)}
      {cells.length > MOST_CELLS && <Text size="xs" c="dimmed">and {count(cells.length - MOST_CELLS)} more</Text>}
    </Stack>
  );
}

function costOf({ most_cost_picodollars: most, input_cost_picodollars: input }: Preview): string {
  if (most != null) return most === 0 ? "It costs nothing." : `It costs ${money(most)} at most.`;
  if (input == null) return "What it costs is not known.";
  return input === 0 ? "It costs nothing to ask; set max_tokens to know what answers cost at most." : `${money(input)} for what is sent; set max_tokens to know what answers cost at most.`;
}

function Start({ name, definition }: { name: string; definition: Definition | null }) {
  const navigate = useNavigate();
  const queries = useQueryClient();
  const begin = useMutation({
    mutationFn: (wanted: Definition) => take(api.POST("/api/v1/experiments", { body: { name, definition: wanted } })),
    onSuccess: async (made) => {
      await queries.invalidateQueries({ queryKey: EXPERIMENTS });
      void navigate(`/experiments/${encodeURIComponent(made.name)}`);
    },
  });
  function submit(event: FormEvent) {
    event.preventDefault();
    if (definition !== null) begin.mutate(definition);
  }
  return (
    <form onSubmit={submit}>
      {begin.isError && <Failed error={begin.error} />}
      <Button type="submit" fullWidth loading={begin.isPending} disabled={definition === null || name === ""}>Start the experiment</Button>
    </form>
  );
}
