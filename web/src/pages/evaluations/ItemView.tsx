/** One item: what was asked, what it should be answered, and the answers side by side with all that was said of them. */

import { Group, Stack, Switch, Text } from "@mantine/core";
import { Link, useSearchParams } from "react-router";
import { usePut } from "../../lib/addressBar";
import { inUnit } from "../../lib/cells";
import { type Answer, type Report, scoreOf, whyTold } from "../../lib/evaluations";
import { count, duration, money } from "../../lib/format";
import type { Judgement } from "../../lib/judges";
import { markedAgainst } from "../../lib/wordDiff";
import { JudgementView } from "../../parts/JudgementView";
import { Long, LongText } from "../../parts/Long";
import type { Item } from "./ask";

/** So much of what was asked is shown before one asks for all of it. */
const ASKED_CHARS = 1_200;

export function ItemView({ item, report }: { item: Item; report: Report }) {
  const [params] = useSearchParams();
  const put = usePut();
  const marked = params.get("marks") !== "off";
  const values = Object.entries(item.values as Record<string, unknown>).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)] as const);
  return (
    <Stack gap="sm">
      {values.filter(([, text]) => text !== "null" && text !== item.row_id && !item.references.includes(text)).map(([name, text]) => <section key={name}><Text size="xs" c="dimmed">{name}</Text><LongText text={text} short={ASKED_CHARS} /></section>)}
      <section>
        <Text size="xs" c="dimmed">{item.references.length > 1 ? "References, of which any will do" : "Reference"}</Text>
        {item.references.length === 0 ? <Text size="sm" c="dimmed">none</Text> : item.references.map((reference, at) => <LongText key={at} text={reference} short={ASKED_CHARS} />)}
      </section>
      {item.references.length > 0 && <Switch label="Mark what answers lack of the reference" checked={marked} onChange={(event) => put({ marks: event.currentTarget.checked ? null : "off" })} />}
      <div className="beside">{item.answers.map((answer) => <AnswerView key={answer.target} answer={answer} references={marked ? item.references : []} report={report} />)}</div>
    </Stack>
  );
}

/** An answer with its scores, what judges said and what people say. */
export function AnswerView({ answer, references, report, title = answer.target }: { answer: Answer; references: readonly string[]; report: Report; title?: string }) {
  const text = answer.output ?? "";
  return (
    <section aria-label={`Answer of ${title}`}>
      <Text size="sm" fw={600} mb={4}>{title}</Text>
      <Scores answer={answer} report={report} />
      {answer.error != null ? <Text size="sm" className="failed">{answer.error}</Text> : text === "" ? <Text size="sm" c="dimmed">an empty answer</Text> : <Long parts={markedAgainst(text, references)} short={ASKED_CHARS} />}
      {Object.entries(answer.judgements).map(([name, judgement]) => <Judged key={name} name={name} judgement={judgement as unknown as Judgement} />)}
      <Took answer={answer} title={title} />
    </section>
  );
}

/** What the answer took, where it was asked for: a column's took nothing. */
function Took({ answer, title }: { answer: Answer; title: string }) {
  if (answer.latency_ms == null && answer.cost_picodollars == null && answer.trace_id == null) return null;
  return (
    <Text size="xs" c="dimmed" mt={4}>
      {answer.latency_ms != null && `${duration(answer.latency_ms)} · `}{answer.output_tokens != null && `${count(answer.output_tokens)} ${answer.output_tokens === 1 ? "token" : "tokens"} · `}{money(answer.cost_picodollars)}{answer.cached ? " · taken from before" : ""}{answer.finish_reason && answer.finish_reason !== "stop" ? ` · ended by ${answer.finish_reason}` : ""}
      {answer.trace_id != null && <> · <Link to={`/traces/${answer.trace_id}`} aria-label={`Trace of the answer of ${title}`}>trace</Link></>}
    </Text>
  );
}

function Scores({ answer, report }: { answer: Answer; report: Report }) {
  const target = report.targets.find((one) => one.name === answer.target) ?? report.targets[0];
  return (
    <Group gap={8} mb={4}>
      {Object.entries(answer.scores).map(([name, value]) => {
        const unit = scoreOf(target, name)?.unit ?? "count";
        const right = unit === "share" && value !== null ? (value >= 1 ? "dot dot-ok" : value <= 0 ? "dot dot-error" : "dot") : "dot";
        const why = answer.why[name];
        const human = answer.human[name];
        return (
          <Text key={name} size="xs">
            <span className={right} aria-hidden />{name.replaceAll("_", " ")} {value === null ? `none: ${why === undefined ? "unknown" : whyTold(why)}` : inUnit(unit, value)}{human !== undefined && ` (people: ${inUnit(unit, human)})`}
          </Text>
        );
      })}
    </Group>
  );
}

/** What a judge said, with its reasons: they are why one looks. */
function Judged({ name, judgement }: { name: string; judgement: Judgement }) {
  return <div className="below"><Text size="xs" c="dimmed">{name.replaceAll("_", " ")} says</Text><JudgementView judgement={judgement} /></div>;
}
