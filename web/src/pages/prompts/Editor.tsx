/** The editor: a draft, what it says with values, and saving it as a version. */

import { ActionIcon, Alert, Button, Checkbox, Group, SegmentedControl, Select, Stack, Text, Textarea, TextInput, Title, Tooltip } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useMemo, useState } from "react";
import { useLocation, useNavigate, useSearchParams } from "react-router";
import { api, take } from "../../api/client";
import { messagesOf } from "../../lib/chat";
import { type Content, contentOf, type Draft, draftOf, emptyDraft, lacking, newMessage, newVariable, ROLES, TYPES, undeclared, valuesOf } from "../../lib/promptDraft";
import { Failed, Waiting } from "../../parts/states";
import { useSession } from "../../signin/session";
import { PROMPTS, type Rendered, type Summary, versionQuery } from "./ask";

/** So long nothing is typed before the draft is rendered. */
const RENDER_AFTER_MS = 300;

export function NewPrompt() {
  const begun = (useLocation().state as { content?: Content } | null)?.content;
  return (
    <Stack gap="sm">
      <Title order={1}>New prompt</Title>
      <Editor name={null} begin={begun ? draftOf(begun) : emptyDraft()} />
    </Stack>
  );
}

export function EditVersion({ name, versions }: { name: string; versions: readonly Summary[] }) {
  const [params, setParams] = useSearchParams();
  const version = versions.find((one) => String(one.version) === params.get("version"))?.version ?? versions[0]?.version ?? 1;
  const asked = useQuery(versionQuery(name, version));
  return (
    <Stack gap="sm">
      <Select
        label="Begin with" w={260} data={versions.map((one) => ({ value: String(one.version), label: [`Version ${one.version}`, ...one.labels].join(" · ") }))} value={String(version)} allowDeselect={false}
        onChange={(value) => setParams({ tab: "editor", version: value ?? "" }, { replace: true })}
      />
      {asked.isPending && <Waiting what="Loading the version" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && <Editor key={version} name={name} begin={draftOf(asked.data.content)} />}
    </Stack>
  );
}

function Editor({ name, begin }: { name: string | null; begin: Draft }) {
  const { may } = useSession();
  const [draft, setDraft] = useState(begin);
  const made = useMemo(() => contentOf(draft), [draft]);
  const edit = (to: Partial<Draft>) => setDraft((old) => ({ ...old, ...to }));
  return (
    <div className="prompt-editor">
      <Stack gap="sm">
        <SegmentedControl w={200} data={[{ value: "chat", label: "Chat" }, { value: "text", label: "Text" }]} value={draft.kind} onChange={(kind) => edit({ kind: kind as Draft["kind"] })} aria-label="Kind" />
        {draft.kind === "chat" ? <Messages draft={draft} edit={edit} /> : <Textarea label="Text" classNames={{ input: "mono" }} autosize minRows={6} maxRows={30} value={draft.text} onChange={(event) => edit({ text: event.currentTarget.value })} />}
        <Variables draft={draft} edit={edit} />
        <TextInput label="Model" description="Asked when a call names none." value={draft.model} onChange={(event) => edit({ model: event.currentTarget.value })} autoComplete="off" />
        <Textarea label="Parameters" description="A JSON object: temperature, max_tokens, …" classNames={{ input: "mono" }} autosize minRows={2} maxRows={12} value={draft.parameters} onChange={(event) => edit({ parameters: event.currentTarget.value })} />
        <Textarea label="Examples, tools, form of the answer" description="A JSON object with examples, tools, tool_choice, response_format." classNames={{ input: "mono" }} autosize minRows={2} maxRows={20} value={draft.rest} onChange={(event) => edit({ rest: event.currentTarget.value })} />
      </Stack>
      <Stack gap="sm">
        {"wrong" in made ? <Alert color="yellow" title="Not yet a prompt">{made.wrong}</Alert> : <Preview name={name ?? "draft"} content={made.content} />}
        {may("write") && <Save name={name} content={"content" in made ? made.content : null} />}
      </Stack>
    </div>
  );
}

interface PartProps {
  draft: Draft;
  edit: (to: Partial<Draft>) => void;
}

function Messages({ draft, edit }: PartProps) {
  const change = (id: number, to: object) => edit({ messages: draft.messages.map((message) => (message.id === id ? { ...message, ...to } : message)) });
  return (
    <Stack gap="xs">
      {draft.messages.map(({ id, role, content }, at) => (
        <div key={id}>
          <Group gap={4} justify="space-between" wrap="nowrap">
            <Select variant="unstyled" size="xs" w={120} data={[...ROLES]} value={role} allowDeselect={false} aria-label={`Role of message ${at + 1}`} onChange={(chosen) => change(id, { role: chosen })} />
            <Tooltip label="Drop the message"><ActionIcon variant="subtle" color="gray" size="sm" aria-label={`Drop message ${at + 1}`} onClick={() => edit({ messages: draft.messages.filter((message) => message.id !== id) })}>✕</ActionIcon></Tooltip>
          </Group>
          {role === "placeholder"
            ? <TextInput aria-label={`Placeholder, message ${at + 1}`} placeholder="A variable of the type messages, or examples" value={content} onChange={(event) => change(id, { content: event.currentTarget.value })} />
            : <Textarea aria-label={`Template of message ${at + 1}`} placeholder="Text, with {{ variables }}" classNames={{ input: "mono" }} autosize minRows={2} maxRows={24} value={content} onChange={(event) => change(id, { content: event.currentTarget.value })} />}
        </div>
      ))}
      <Group><Button variant="subtle" size="compact-xs" onClick={() => edit({ messages: [...draft.messages, newMessage("user")] })}>+ Message</Button></Group>
    </Stack>
  );
}

function Variables({ draft, edit }: PartProps) {
  const change = (id: number, to: object) => edit({ variables: draft.variables.map((variable) => (variable.id === id ? { ...variable, ...to } : variable)) });
  const missing = undeclared(draft);
  return (
    <Stack gap="xs" role="group" aria-label="Variables">
      <Title order={2} size="sm">Variables</Title>
      {draft.variables.map((variable, at) => (
        <Group key={variable.id} gap={6} wrap="nowrap">
          <TextInput aria-label={`Name of variable ${at + 1}`} placeholder="name" value={variable.name} onChange={(event) => change(variable.id, { name: event.currentTarget.value })} autoComplete="off" />
          <Select w={130} aria-label={`Type of variable ${at + 1}`} data={[...TYPES]} value={variable.type} allowDeselect={false} onChange={(type) => change(variable.id, { type })} />
          <TextInput aria-label={`Description of variable ${at + 1}`} placeholder="what it is for" value={variable.description} onChange={(event) => change(variable.id, { description: event.currentTarget.value })} />
          <TextInput aria-label={`Default of variable ${at + 1}`} placeholder="default" value={variable.default} onChange={(event) => change(variable.id, { default: event.currentTarget.value })} />
          <Checkbox size="xs" label="required" checked={variable.required} onChange={(event) => change(variable.id, { required: event.currentTarget.checked })} />
          <ActionIcon variant="subtle" color="gray" size="sm" aria-label={`Drop variable ${at + 1}`} onClick={() => edit({ variables: draft.variables.filter((one) => one.id !== variable.id) })}>✕</ActionIcon>
        </Group>
      ))}
      <Group gap={6}>
        <Button variant="subtle" size="compact-xs" onClick={() => edit({ variables: [...draft.variables, newVariable()] })}>+ Variable</Button>
        {missing.length > 0 && <Button variant="light" size="compact-xs" onClick={() => edit({ variables: [...draft.variables, ...missing.map(newVariable)] })}>Declare {missing.join(", ")}</Button>}
      </Group>
    </Stack>
  );
}

/** What the draft says with these values, as the server renders it. */
function Preview({ name, content }: { name: string; content: Content }) {
  const [typed, setTyped] = useState<Record<string, string>>({});
  const variables = content.variables ?? [];
  const given = valuesOf(variables, typed);
  const missing = lacking(variables, "values" in given ? given.values : typed);
  const [question] = useDebouncedValue(JSON.stringify({ content, variables: "values" in given ? given.values : {} }), RENDER_AFTER_MS);
  const asked = useQuery({
    queryKey: ["prompt-preview", name, question], enabled: missing.length === 0, placeholderData: keepPreviousData, gcTime: 0, retry: false,
    queryFn: () => take(api.POST("/api/v1/prompts/{name}/render", { params: { path: { name } }, body: JSON.parse(question) as { content: Content; variables: Record<string, never> } })),
  });
  return (
    <Stack gap="xs" component="section" aria-label="Preview">
      <Title order={2} size="sm">Preview</Title>
      {variables.filter((variable) => variable.name !== "").map((variable) => (
        <Textarea
          key={variable.name} label={variable.name} description={variable.description} aria-label={`Value of ${variable.name}`} placeholder={variable.type === "string" ? undefined : variable.type ?? undefined} autosize minRows={1} maxRows={8}
          value={typed[variable.name] ?? ""} onChange={(event) => { const { value } = event.currentTarget; setTyped((old) => ({ ...old, [variable.name]: value })); }}
        />
      ))}
      {"wrong" in given && <Alert color="yellow">{given.wrong}</Alert>}
      {missing.length > 0 && <Text size="xs" c="dimmed">Give {missing.join(", ")} to see what it says.</Text>}
      {missing.length === 0 && (asked.isError ? <Alert color="yellow" title="It cannot be rendered" role="status">{asked.error.message}</Alert> : asked.data && <Said said={asked.data} />)}
    </Stack>
  );
}

function Said({ said }: { said: Rendered }) {
  const messages = messagesOf(said.messages ?? said.text ?? "", "user") ?? [];
  return (
    <Stack gap="xs" data-testid="rendered">
      {messages.map((message, at) => (
        <div key={at}>
          <Text size="xs" c="dimmed">{said.messages == null ? "text" : message.role}</Text>
          <p className="prompt-said">{message.parts.map((part) => (part.kind === "text" ? part.text : JSON.stringify(part))).join("")}</p>
        </div>
      ))}
      <Text size="xs" c="dimmed">{said.tokens} tokens{said.tokens_estimated && " (estimated)"}</Text>
    </Stack>
  );
}

function Save({ name, content }: { name: string | null; content: Content | null }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [newName, setNewName] = useState("");
  const [message, setMessage] = useState("");
  const saved = useMutation({
    mutationFn: (body: Content) => take(api.POST("/api/v1/prompts", { body: { name: name ?? newName.trim(), content: body, message: message.trim() === "" ? null : message.trim() } })),
    onSuccess: async (version) => {
      await queries.invalidateQueries({ queryKey: PROMPTS });
      void navigate(`/prompts/${encodeURIComponent(version.name)}`);
    },
  });

  function submit(event: FormEvent) {
    event.preventDefault();
    if (content !== null) saved.mutate(content);
  }

  return (
    <form onSubmit={submit}>
      <Stack gap="xs">
        {name === null && <TextInput label="Name" description="Programs call it by this name." value={newName} onChange={(event) => setNewName(event.currentTarget.value)} required maxLength={128} autoComplete="off" />}
        <TextInput label="Why" description="For those who look at the versions." value={message} onChange={(event) => setMessage(event.currentTarget.value)} maxLength={500} autoComplete="off" />
        {saved.isError && <Failed error={saved.error} />}
        <Group><Button type="submit" loading={saved.isPending} disabled={content === null || (name === null && newName.trim() === "")}>Save version</Button></Group>
      </Stack>
    </form>
  );
}
