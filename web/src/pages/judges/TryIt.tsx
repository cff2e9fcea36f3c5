/** One item judged now. */

import { Alert, Button, Group, Stack, Text, Textarea } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Link } from "react-router";
import { api, type Schemas, take } from "../../api/client";
import { count, duration, money } from "../../lib/format";
import { inputsOf, type JudgeDefinition, type Judgement, valuesOf } from "../../lib/judges";
import { JudgementView } from "../../parts/JudgementView";
import { Empty, Failed } from "../../parts/states";
import { Uncalibrated } from "../../parts/Uncalibrated";
import { useSession } from "../../signin/session";
import type { Judge, Judged } from "./ask";

export function TryIt({ judge: { name, version, definition } }: { judge: Judge }) {
  const { may } = useSession();
  const inputs = inputsOf(definition as unknown as JudgeDefinition);
  const [typed, setTyped] = useState<Record<string, string>>({});
  const ask = useMutation({
    mutationFn: () => {
      const values = valuesOf(inputs, typed) as unknown as Schemas["NewJudgement"]["values"];
      return take(api.POST("/api/v1/judges/{name}/judgements", { params: { path: { name } }, body: { values, version } }));
    },
  });
  if (!may("write") || !may("infer")) return <Empty title="Asking models is not open to you">It needs the scopes <code>write</code> and <code>infer</code>.</Empty>;

  function submit(event: FormEvent) {
    event.preventDefault();
    ask.mutate();
  }

  return (
    <form onSubmit={submit} className="judge-definition">
      <Stack gap="sm">
        {inputs.map(({ name: input, description, list, required }) => (
          <Textarea
            key={input} label={input.replaceAll("_", " ")} description={[description, list ? "One text a line." : ""].filter(Boolean).join(" ") || undefined} required={required !== false} autosize minRows={2} maxRows={12}
            value={typed[input] ?? ""} onChange={(event) => { const { value } = event.currentTarget; setTyped((old) => ({ ...old, [input]: value })); }}
          />
        ))}
        <Group><Button type="submit" loading={ask.isPending}>Judge it</Button><Text size="xs" c="dimmed">What is judged is kept nowhere but in the traces of the calls.</Text></Group>
        {ask.isError && <Failed error={ask.error} />}
        {ask.data && <Said judged={ask.data} />}
      </Stack>
    </form>
  );
}

function Said({ judged }: { judged: Judged }) {
  return (
    <Alert variant="outline" color="gray" title={<Group gap={8}>{judged.judge} says{!judged.calibrated && <Uncalibrated />}</Group>} data-testid="judged">
      <JudgementView judgement={judged.judgement as unknown as Judgement} />
      <Text size="xs" c="dimmed" mt={6}>
        {count(judged.calls)} {judged.calls === 1 ? "call" : "calls"} · {duration(judged.latency_ms)} · {count(judged.input_tokens)} tokens in, {count(judged.output_tokens)} out · {money(judged.cost_picodollars)}
        {judged.trace != null && <> · <Link to={`/traces/${judged.trace}`}>trace</Link></>}
      </Text>
    </Alert>
  );
}
