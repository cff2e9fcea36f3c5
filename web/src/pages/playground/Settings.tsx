/** What goes with the messages of a column: parameters, tools, the answer's form. */

import { NumberInput, SimpleGrid, Switch, Textarea } from "@mantine/core";
import { type Dispatch, memo } from "react";
import type { Change, Column, Parameters } from "./conversation";

type NumberName = Exclude<keyof Parameters, "stop">;

const NUMBERS: readonly { name: NumberName; label: string; spoken?: string; min: number; max?: number; step: number }[] = [
  { name: "temperature", label: "Temperature", min: 0, max: 2, step: 0.1 },
  { name: "top_p", label: "Top p", min: 0, max: 1, step: 0.05 },
  { name: "max_tokens", label: "Max tokens", min: 1, step: 64 },
  { name: "seed", label: "Seed", min: Number.MIN_SAFE_INTEGER, step: 1 },
  { name: "presence_penalty", label: "Presence", spoken: "Presence penalty", min: -2, max: 2, step: 0.1 },
  { name: "frequency_penalty", label: "Frequency", spoken: "Frequency penalty", min: -2, max: 2, step: 0.1 },
];

interface Props {
  column: Column;
  place: string;
  dispatch: Dispatch<Change>;
}

export const Settings = memo(function Settings({ column, place, dispatch }: Props) {
  const { parameters } = column;
  const edit = (to: Partial<Column>) => dispatch({ kind: "edit", column: column.id, to });
  const set = (to: Partial<Parameters>) => edit({ parameters: { ...parameters, ...to } });
  return (
    <div className="playground-settings">
      <details>
        <summary>Parameters <span className="playground-hint">{told(parameters)}</span></summary>
        <SimpleGrid cols={3} spacing={6} verticalSpacing={6}>
          {NUMBERS.map(({ name, label, spoken, min, max, step }) => (
            <NumberInput
              key={name} label={label} aria-label={`${spoken ?? label}, ${place}`} placeholder="default" min={min} max={max} step={step} value={parameters[name]}
              allowDecimal={step < 1} onChange={(value) => set({ [name]: typeof value === "number" ? value : "" })} hideControls
            />
          ))}
        </SimpleGrid>
        <Textarea
          label="Stop" aria-label={`Stop sequences, one a line, ${place}`} placeholder="One a line, \n for a line break" autosize minRows={1} maxRows={4} mt={6} value={parameters.stop}
          onChange={(event) => set({ stop: event.currentTarget.value })}
        />
      </details>
      <details>
        <summary>Tools <span className="playground-hint">{column.tools.trim() === "" ? "none" : "JSON"}</span></summary>
        <Textarea
          aria-label={`Tools as JSON, ${place}`} placeholder='[{"name": "distance", "parameters": {"type": "object"}}]' classNames={{ input: "mono" }} autosize minRows={3} maxRows={14}
          value={column.tools} onChange={(event) => edit({ tools: event.currentTarget.value })} spellCheck={false}
        />
      </details>
      <details>
        <summary>JSON schema <span className="playground-hint">{column.schema.trim() === "" ? "free text" : "the answer follows it"}</span></summary>
        <Textarea
          aria-label={`JSON schema of the answer, ${place}`} placeholder='{"type": "object", "properties": {}}' classNames={{ input: "mono" }} autosize minRows={3} maxRows={14}
          value={column.schema} onChange={(event) => edit({ schema: event.currentTarget.value })} spellCheck={false}
        />
      </details>
      <Switch
        size="xs" label="Log-probabilities" checked={column.logprobs} aria-label={`Log-probabilities, ${place}`} mt={6}
        onChange={(event) => edit({ logprobs: event.currentTarget.checked })}
      />
    </div>
  );
});

/** The parameters that are set, in a line. */
function told(parameters: Parameters): string {
  const set = NUMBERS.filter(({ name }) => parameters[name] !== "").map(({ name, label, spoken }) => `${(spoken ?? label).toLowerCase()} ${parameters[name]}`);
  return [...set, ...(parameters.stop === "" ? [] : ["stop"])].join(" · ") || "defaults";
}
