/** Makes a judge: from one that is there already, from a file with a definition, or from a file of OpenAI Evals. */

import { Button, Group, Modal, SegmentedControl, Select, Stack, TagsInput, Text, Textarea, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useNavigate } from "react-router";
import { api, type Schemas, take } from "../../api/client";
import { type JudgeDefinition, unsaidOf } from "../../lib/judges";
import { Failed } from "../../parts/states";
import { JUDGES, modelsQuery, type Ready } from "./ask";
import { linkTo } from "./JudgeList";

type Recipe = Schemas["JudgeRecipe"];

export function NewJudge({ from, close }: { from: Ready | "file" | null; close: () => void }) {
  const title = from === null || from === "file" ? "New judge" : `A judge from ${from.name}`;
  return <Modal opened={from !== null} onClose={close} title={title} size="lg" closeButtonProps={{ "aria-label": "Close" }}>{from !== null && <Form ready={from === "file" ? null : from} close={close} />}</Modal>;
}

function Form({ ready, close }: { ready: Ready | null; close: () => void }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const known = useQuery(modelsQuery);
  const [name, setName] = useState(ready?.name ?? "");
  const [kind, setKind] = useState("definition");
  const [file, setFile] = useState("");
  const [models, setModels] = useState<string[]>([]);
  const [combine, setCombine] = useState("majority");
  const [settings, setSettings] = useState<Record<string, string>>({});
  const unsaid = ready === null ? [] : unsaidOf(ready.definition as unknown as JudgeDefinition);
  const make = useMutation({
    mutationFn: () => {
      const recipe: Recipe = {
        ...(ready !== null ? { ready: ready.name } : kind === "evals" ? { evals: { file } } : { file }),
        models: models.length > 0 ? models : undefined,
        combine: models.length > 1 ? combine : undefined,
        settings: unsaid.length > 0 ? (settings as Recipe["settings"]) : undefined,
      };
      return take(api.POST("/api/v1/judges", { body: { name: name.trim(), from: recipe } }));
    },
    onSuccess: async (made) => {
      close();
      await queries.invalidateQueries({ queryKey: [JUDGES] });
      void navigate(linkTo(made.name));
    },
  });

  function submit(event: FormEvent) {
    event.preventDefault();
    make.mutate();
  }

  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <TextInput label="Name" description="A version of a judge that there is already, or a new one" required value={name} onChange={(event) => setName(event.currentTarget.value)} autoComplete="off" data-autofocus />
        {ready === null && <SegmentedControl aria-label="From what" data={[{ value: "definition", label: "A definition" }, { value: "evals", label: "A file of OpenAI Evals" }]} value={kind} onChange={setKind} />}
        {ready === null && <Textarea label={kind === "evals" ? "File, as YAML" : "Definition, as YAML or JSON"} required rows={12} classNames={{ input: "mono" }} value={file} onChange={(event) => setFile(event.currentTarget.value)} spellCheck={false} />}
        <TagsInput
          label="Who judges" description={ready === null ? "In the place of the definition’s model; several are a jury" : "A model; several are a jury"} placeholder={models.length === 0 ? "Choose, or type a name" : undefined}
          data={(known.data?.data ?? []).map(({ id }) => id)} value={models} onChange={setModels} clearable acceptValueOnBlur
        />
        {models.length > 1 && <Select label="The jury decides by" data={["majority", "mean", "median"]} value={combine} onChange={(value) => setCombine(value ?? "majority")} allowDeselect={false} />}
        {unsaid.map((setting) => <TextInput key={setting} label={setting.replaceAll("_", " ")} description="This judge needs it to be said" required value={settings[setting] ?? ""} onChange={(event) => { const { value } = event.currentTarget; setSettings((old) => ({ ...old, [setting]: value })); }} autoComplete="off" />)}
        <Text size="xs" c="dimmed">What its models stand for now is part of the version: it asks nobody else later.</Text>
        {make.isError && <Failed error={make.error} />}
        <Group justify="flex-end"><Button variant="default" onClick={close}>Close</Button><Button type="submit" loading={make.isPending}>Make the judge</Button></Group>
      </Stack>
    </form>
  );
}
