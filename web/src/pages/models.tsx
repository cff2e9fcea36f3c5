/** Models: pulled from the catalogue, loaded into memory, unloaded, removed. */

import { Anchor, Badge, Button, Drawer, Group, SegmentedControl, Stack, Table, Text, TextInput, Title } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useSearchParams } from "react-router";
import { api, take, type Schemas } from "../api/client";
import { bytes, count, time } from "../lib/format";
import type { Job } from "../lib/jobEvents";
import { tilesOf } from "../lib/measures";
import { callsLink } from "../lib/traceFilter";
import { CodeBlock } from "../parts/Code";
import { Confirm } from "../parts/Confirm";
import { LiveJob } from "../parts/JobProgress";
import { Empty, Failed, Waiting } from "../parts/states";
import { useListKeys } from "../shell/keys";
import { useSession } from "../signin/session";
import { overviewQuery } from "./overview/ask";

type Model = Schemas["LocalModel"];

const MODELS = ["models"];
const COLUMNS = ["Model", "Kind", "Size", "Context", "Licence", "State"];

export default function Models() {
  const asked = useQuery({ queryKey: MODELS, queryFn: () => take(api.GET("/api/v1/models")) });
  const pulls = usePulls();
  const { may } = useSession();
  const [params, setParams] = useSearchParams();
  const [removing, setRemoving] = useState<Model | null>(null);
  const which = params.get("which") ?? "all";
  const wanted = (params.get("name") ?? "").toLowerCase();
  const all = asked.data?.data ?? [];
  const shown = all.filter((model) => isWanted(model, which) && [model.name, ...model.aliases].some((name) => name.toLowerCase().includes(wanted)));
  const chosen = all.find((model) => model.name === params.get("model"));
  const set = (name: string, value: string | null) => setParams((old) => changed(old, name, value), { replace: name !== "model" });
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={1}>Models</Title>
        <Group>
          <TextInput data-search aria-label="Find a model" placeholder="Name  ( / )" value={params.get("name") ?? ""} onChange={(event) => set("name", event.currentTarget.value)} />
          <SegmentedControl aria-label="Which models" value={which} onChange={(value) => set("which", value === "all" ? null : value)} data={["all", "installed", "loaded"]} />
        </Group>
      </Group>
      {asked.isPending && <Waiting what="Loading the models" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && shown.length === 0 && (
        <Empty title="No such model" action={<Button variant="default" onClick={() => setParams({})}>Show all</Button>}>
          {which === "loaded" ? `A model is loaded by the first request that asks for it${may("admin") ? ", or here" : ""}.` : which === "installed" ? "A model of the catalogue is installed by pulling it." : "Neither the catalogue nor what is installed has that name."}
        </Empty>
      )}
      {shown.length > 0 && <ModelTable models={shown} pulls={pulls} open={(model) => set("model", model.name)} remove={setRemoving} />}
      <Drawer opened={chosen !== undefined} onClose={() => set("model", null)} title={chosen?.name ?? ""} position="right" size="lg" closeButtonProps={{ "aria-label": "Close" }}>
        {chosen && <Details model={chosen} />}
      </Drawer>
      <Remove removing={removing} close={() => setRemoving(null)} />
    </Stack>
  );
}

function isWanted(model: Model, which: string): boolean {
  if (which === "loaded") return model.loaded.length > 0;
  return which === "installed" ? Boolean(model.installed) : true;
}

function changed(old: URLSearchParams, name: string, value: string | null): URLSearchParams {
  const fresh = new URLSearchParams(old);
  if (value === null || value === "") fresh.delete(name);
  else fresh.set(name, value);
  return fresh;
}

/** The pulls that are under way, by the name that they were asked for. */
function usePulls(): Map<string, Job> {
  const asked = useQuery({
    queryKey: ["jobs", "pulls"],
    queryFn: async () => {
      const of = (state: string) => take(api.GET("/api/v1/jobs", { params: { query: { kind: "model.pull", state } } }));
      const [queued, running] = await Promise.all([of("queued"), of("running")]);
      return [...queued.data, ...running.data];
    },
  });
  return new Map((asked.data ?? []).map((job) => [String((job.payload as { name?: unknown } | null)?.name), job]));
}

interface Actions {
  pulls: Map<string, Job>;
  open: (model: Model) => void;
  remove: (model: Model) => void;
}

function ModelTable({ models, ...actions }: { models: readonly Model[] } & Actions) {
  const [at, setAt] = useState(-1);
  useListKeys(
    (step) => setAt((old) => Math.max(0, Math.min(models.length - 1, old + step))),
    () => models[at] && actions.open(models[at]),
  );
  return (
    <Table.ScrollContainer minWidth={900}>
      <Table highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            {COLUMNS.map((name) => <Table.Th key={name} scope="col" className={name === "Size" || name === "Context" ? "num" : ""}>{name}</Table.Th>)}
            <Table.Td />
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>{models.map((model, index) => <Row key={model.name} model={model} selected={index === at} {...actions} />)}</Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Row({ model, selected, pulls, open, remove }: { model: Model; selected: boolean } & Actions) {
  const { may } = useSession();
  const pull = [model.name, ...model.aliases].map((name) => pulls.get(name)).find((job) => job !== undefined);
  return (
    <Table.Tr aria-selected={selected} bg={selected ? "var(--mantine-color-default-hover)" : undefined}>
      <Table.Td maw={340}>
        <Anchor component="button" size="sm" fw={600} onClick={() => open(model)}>{model.name}</Anchor>
        <Text size="xs" c="dimmed" className="clip" title={model.description ?? ""}>{model.description}</Text>
      </Table.Td>
      <Table.Td>{model.kind}</Table.Td>
      <Table.Td className="num">{bytes(model.size_bytes)}</Table.Td>
      <Table.Td className="num">{count(model.context)}</Table.Td>
      <Table.Td className="clip" maw={150} title={model.licence ?? ""}>{model.licence ?? "–"}</Table.Td>
      <Table.Td>{pull ? <LiveJob job={pull} live after={["jobs", "models"]} /> : <State model={model} />}</Table.Td>
      <Table.Td>{may("admin") && !pull && <Buttons model={model} remove={remove} />}</Table.Td>
    </Table.Tr>
  );
}

function State({ model }: { model: Model }) {
  if (model.loaded.length > 0) {
    const speed = Math.max(...model.loaded.map((loaded) => (loaded.stats as { completion_tokens_per_s?: number }).completion_tokens_per_s ?? 0));
    return <Group gap="xs" wrap="nowrap"><Badge color="teal" variant="default" miw="fit-content">loaded</Badge>{speed > 0 && <Text size="xs" c="dimmed">{count(speed)} tokens/s</Text>}</Group>;
  }
  return model.installed ? <Badge variant="default">installed</Badge> : <Text size="sm" c="dimmed">in the catalogue</Text>;
}

function Buttons({ model, remove }: { model: Model; remove: (model: Model) => void }) {
  const queries = useQueryClient();
  const path = { params: { path: { name: model.name } } };
  const ask = useMutation({
    mutationFn: async (verb: "pull" | "load" | "unload") => {
      if (verb === "pull") await take(api.POST("/api/v1/models/pull", { body: { name: model.name } }));
      else if (verb === "load") await take(api.POST("/api/v1/models/{name}/load", path));
      else await take(api.POST("/api/v1/models/{name}/unload", path));
    },
    onSettled: () => Promise.all([queries.invalidateQueries({ queryKey: MODELS }), queries.invalidateQueries({ queryKey: ["jobs"] })]),
    onError: (error, verb) => notifications.show({ color: "red", title: `${model.name}: ${verb} did not work`, message: error.message, closeButtonProps: { "aria-label": "Close" } }),
  });
  const button = (verb: "pull" | "load" | "unload", label: string) => (
    <Button variant="default" size="compact-xs" loading={ask.isPending} onClick={() => ask.mutate(verb)} aria-label={`${label} ${model.name}`}>{label}</Button>
  );
  return (
    <Group gap={4} justify="flex-end" wrap="nowrap">
      {!model.installed && button("pull", "Pull")}
      {model.installed && (model.loaded.length > 0 ? button("unload", "Unload") : button("load", "Load"))}
      {model.installed && <Button variant="subtle" color="red" size="compact-xs" onClick={() => remove(model)} aria-label={`Remove ${model.name}`}>Remove</Button>}
    </Group>
  );
}

function Details({ model }: { model: Model }) {
  const { installed } = model;
  const manifest = (installed?.manifest ?? {}) as Record<string, unknown>;
  const rows: [string, string][] = [
    ["Also called", model.aliases.join(", ") || "–"],
    ["Kind and format", `${model.kind}, ${model.format}`],
    ["Size", bytes(model.size_bytes)],
    ["Context", model.context ? `${model.context.toLocaleString("en-US")} tokens` : "–"],
    ["Licence", model.licence ?? "–"],
    ["Architecture", String(manifest.architecture ?? "–")],
    ["Parameters", typeof manifest.parameters === "number" ? count(manifest.parameters) : "–"],
    ["Quantisation", String(manifest.quantisation ?? "–")],
    ["Installed", installed ? `version ${installed.version}, ${time(installed.created)}` : "no"],
    ...model.loaded.map((loaded): [string, string] => [`Loaded as ${loaded.name}`, `${loaded.slots} slots of ${loaded.context.toLocaleString("en-US")} tokens`]),
  ];
  return (
    <Stack gap="sm">
      <Text size="sm">{model.description}</Text>
      <Table>
        <Table.Tbody>{rows.map(([name, value]) => <Table.Tr key={name}><Table.Th scope="row" w={170}>{name}</Table.Th><Table.Td>{value}</Table.Td></Table.Tr>)}</Table.Tbody>
      </Table>
      {installed && <Measured name={model.name} />}
      {model.loaded.map((loaded) => (
        <section key={loaded.name}><Title order={3} mb={4}>Counters of {loaded.name}</Title><CodeBlock code={JSON.stringify(loaded.stats, null, 2)} /></section>
      ))}
      {installed && <section><Title order={3} mb={4}>Manifest</Title><CodeBlock code={JSON.stringify(manifest, null, 2)} /></section>}
    </Stack>
  );
}

/** How long calls count for what is measured of a model. */
const MEASURED = "30d";

/** What calls of the model came to on this machine. */
function Measured({ name }: { name: string }) {
  const params = new URLSearchParams({ range: MEASURED, provider: "local", model: name });
  const asked = useQuery(overviewQuery(params));
  if (asked.isPending) return <Waiting what="Measuring" />;
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  const { total } = asked.data;
  const tiles = tilesOf(total).filter((tile) => ["Requests", "Latency p50", "First token p50", "Output tokens"].includes(tile.title));
  return (
    <section>
      <Title order={3} mb={4}>As measured here in 30 days</Title>
      {total.requests === 0 && <Text size="sm" c="dimmed">Nobody called it. The <Anchor component={Link} to="/playground" inherit underline="always">playground</Anchor> does.</Text>}
      {total.requests > 0 && (
        <Table>
          <Table.Tbody>{tiles.map((tile) => <Table.Tr key={tile.title}><Table.Th scope="row" w={170}>{tile.title}</Table.Th><Table.Td><Anchor component={Link} size="sm" to={callsLink(params, tile.narrowed)}>{tile.value}</Anchor>{tile.note && <Text span size="xs" c="dimmed"> {tile.note}</Text>}</Table.Td></Table.Tr>)}</Table.Tbody>
        </Table>
      )}
    </section>
  );
}

function Remove({ removing, close }: { removing: Model | null; close: () => void }) {
  const queries = useQueryClient();
  return (
    <Confirm
      subject={removing} close={close} title={(model) => `Remove ${model.name}?`} verb="Remove"
      act={async (model) => {
        const removed = await take(api.DELETE("/api/v1/models/{name}", { params: { path: { name: model.name } } }));
        notifications.show({ message: `${model.name} is gone; ${bytes(removed.freed_bytes)} are free again.`, closeButtonProps: { "aria-label": "Close" } });
        await queries.invalidateQueries({ queryKey: MODELS });
      }}
    >
      All its versions are unloaded and their files deleted. One of the catalogue can be pulled again.
    </Confirm>
  );
}
