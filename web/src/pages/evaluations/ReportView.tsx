/** The report: each score of each target with its interval drawn, corrected where people said something, how scores lie, and what targets take. */

import { Alert, Stack, Table, Text, Title } from "@mantine/core";
import { Link } from "react-router";
import { inUnit } from "../../lib/cells";
import { axisOfScores, itemsIn, missingTold, peopleOf, type Score, scoreOf, scoresOf, type Target } from "../../lib/evaluations";
import { count, duration, money, percent } from "../../lib/format";
import type { Axis, Estimate } from "../../lib/interval";
import { calibrationTold } from "../../lib/judges";
import { Histogram } from "../../parts/Histogram";
import { IntervalBar } from "../../parts/IntervalBar";
import { Empty } from "../../parts/states";
import { Uncalibrated } from "../../parts/Uncalibrated";
import type { Opened } from "./ask";

const PICODOLLARS = 1e12;

export function ReportView({ evaluation: { report } }: { evaluation: Opened }) {
  const names = scoresOf(report);
  const shown = report.comparisons.filter((one) => one.verdict !== "not_shown");
  if (report.targets.every((target) => target.answers === 0)) return <Empty title="Nothing is known yet">There are no answers.</Empty>;
  return (
    <Stack gap="md">
      {shown.length > 0 && (
        <Alert variant="outline" color="teal" title="What is shown" data-testid="shown">{shown.map((one) => <Text key={`${one.scorer} ${one.a} ${one.b}`} size="sm">{one.scorer.replaceAll("_", " ")}: {one.sentence}.</Text>)}</Alert>
      )}
      {shown.length === 0 && report.comparisons.length > 0 && <Alert variant="outline" color="gray" title="No difference between targets is shown" data-testid="shown"><Text size="sm">By none of the scores, over these items. That is not to say that there is none.</Text></Alert>}
      <div className="score-grid">{names.map((name) => <ScoreBox key={name} name={name} targets={report.targets} />)}</div>
      <Taken targets={report.targets} />
      <Text size="xs" c="dimmed">Intervals hold the truth with 95 % confidence. What has no score is missing, with the reason, and is no 0. A bar of a distribution leads to the items that lie in it.</Text>
    </Stack>
  );
}

function ScoreBox({ name, targets }: { name: string; targets: readonly Target[] }) {
  const known = targets.flatMap((target) => scoreOf(target, name) ?? []);
  const axis = axisOfScores(known);
  const [first] = known;
  return (
    <section className="score-box" aria-label={name}>
      <Title order={2} mb={6}>{name.replaceAll("_", " ")} {first?.better === "lower" && <Text component="span" size="xs" c="dimmed">lower is better</Text>}</Title>
      <Stack gap="sm">{targets.map((target) => <OfTarget key={target.name} name={name} target={target} alone={targets.length === 1} axis={axis} />)}</Stack>
    </section>
  );
}

function OfTarget({ name, target, alone, axis }: { name: string; target: Target; alone: boolean; axis: Axis }) {
  const score = scoreOf(target, name);
  if (score === undefined) return null;
  const say = (value: number) => inUnit(score.unit, value);
  const { judge } = score;
  const corrected = judge?.corrected;
  const raw = judge == null ? "" : ", the judge alone";
  return (
    <div>
      {!alone && <Text size="sm" fw={600} title={target.label}>{target.name} <Text component="span" size="xs" c="dimmed" fw={400}>{target.label}</Text></Text>}
      {corrected != null && <Drawn title="corrected by people’s labels" estimate={corrected} axis={axis} label={`${name} of ${target.name}, corrected`} say={say} />}
      <Drawn title={corrected == null ? (judge == null ? "estimate" : "the judge alone") : "the judge alone"} estimate={score} axis={axis} label={`${name} of ${target.name}${raw}`} say={say} weak={corrected != null} />
      {corrected != null && <Drawn title={`${count(corrected.labels)} labels alone`} estimate={peopleOf(corrected)} axis={axis} label={`${name} of ${target.name}, people alone`} say={say} weak />}
      {judge != null && <JudgeLine judge={judge} />}
      <Told score={score} />
      {score.distribution != null && <Histogram distribution={score.distribution} label={`Distribution of ${name} of ${target.name}`} say={say} to={(low, high) => itemsIn(alone ? null : target.name, name, low, high)} />}
      <Missing name={name} score={score} target={target} alone={alone} />
      {score.classes != null && <Classes name={name} score={score} target={target} />}
    </div>
  );
}

function Drawn({ title, estimate, axis, label, say, weak }: { title: string; estimate: Estimate; axis: Axis; label: string; say: (value: number) => string; weak?: boolean }) {
  const { value, low, high } = estimate;
  return (
    <div className="score-estimate">
      <Text size="xs" c="dimmed">{title}</Text>
      <IntervalBar estimate={estimate} axis={axis} label={label} say={say} weak={weak} />
      <span className="num">{value == null ? "–" : <b>{say(value)}</b>} {low != null && high != null && <Text component="span" size="xs" c="dimmed">{say(low)} to {say(high)}</Text>}</span>
    </div>
  );
}

/** What the judge's word is worth stands beside every number that is made of it. */
function JudgeLine({ judge }: { judge: NonNullable<Score["judge"]> }) {
  const [name] = judge.judge.split("@");
  const { calibration, corrected } = judge;
  return (
    <Text size="xs" component="div" mt={2} mb={4}>
      {judge.judge.startsWith("ready/") ? judge.judge : <Link to={`/judges/${encodeURIComponent(name ?? "")}`}>{judge.judge}</Link>}{" "}
      {calibration == null ? <Uncalibrated /> : <Text component="span" size="xs" c="dimmed" title={calibration.sentence}>{calibrationTold(calibration)}</Text>}
      {corrected != null && <Text size="xs" c="dimmed">as good as {count(corrected.effective_labels)} labels of people; the judge counts {percent(corrected.lambda)}</Text>}
      {judge.notes.map((note) => <Text key={note} size="xs" c="dimmed">{note}</Text>)}
    </Text>
  );
}

/** What belongs to the number besides its interval. */
function Told({ score }: { score: Score }) {
  const { signature, sentence_mean: mean } = score;
  if (signature == null && mean == null) return null;
  return <Text size="xs" c="dimmed">{mean != null && `Of the corpus; single answers have ${inUnit(score.unit, mean)} on average. `}{signature != null && <code>{signature}</code>}</Text>;
}

function Missing({ name, score, target, alone }: { name: string; score: Score; target: Target; alone: boolean }) {
  const params = new URLSearchParams({ tab: "items", scorer: name, missing: "1", ...(alone ? {} : { target: target.name }) });
  return (
    <Text size="xs" c="dimmed">
      {count(score.items)} items{score.missing > 0 && <> · <Link to={`?${params}`}>{count(score.missing)} missing</Link>: {missingTold(score)}</>}{score.failures_as_zero > 0 && ` · ${count(score.failures_as_zero)} failed calls count as 0`}
    </Text>
  );
}

function Classes({ name, score: { classes }, target }: { name: string; score: Score; target: Target }) {
  const all = classes!;
  const more = [["ROC AUC", all.roc_auc], ["average precision", all.average_precision], ["Brier", all.brier], ["calibration error", all.calibration_error]] as const;
  return (
    <div>
      <Table aria-label={`Classes of ${name} of ${target.name}`} mt={4}>
        <Table.Thead><Table.Tr><Table.Th scope="col">Class</Table.Th>{["Precision", "Recall", "F1", "There are"].map((head) => <Table.Th key={head} scope="col" className="num">{head}</Table.Th>)}<Table.Th scope="col">Told where it is right</Table.Th></Table.Tr></Table.Thead>
        <Table.Tbody>
          {all.classes.map((one) => (
            <Table.Tr key={one.class}>
              <Table.Td>{one.class}</Table.Td>
              {[one.precision, one.recall, one.f1].map((value, at) => <Table.Td key={at} className="num">{percent(value)}</Table.Td>)}
              <Table.Td className="num">{count(one.support)}</Table.Td>
              <Table.Td>{Object.entries(one.told).map(([other, times]) => `${other} ${times}`).join(", ")}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <Text size="xs" c="dimmed">accuracy {percent(all.accuracy)} · macro F1 {percent(all.macro.f1)} · weighted F1 {percent(all.weighted.f1)}{more.flatMap(([title, value]) => (value == null ? [] : [` · ${title} ${value.toFixed(3)}`])).join("")}</Text>
    </div>
  );
}

/** What each target takes. */
function Taken({ targets }: { targets: readonly Target[] }) {
  const heads = ["Answers", "Failed", "Empty", "From before", "Cost of a call", "Spent", "On judges", "Latency p50", "p95", "Tokens in", "out"];
  return (
    <Table.ScrollContainer minWidth={1000}>
      <Table aria-label="What targets take">
        <Table.Thead><Table.Tr><Table.Th scope="col">Target</Table.Th>{heads.map((head) => <Table.Th key={head} scope="col" className="num">{head}</Table.Th>)}</Table.Tr></Table.Thead>
        <Table.Tbody>
          {targets.map((target) => (
            <Table.Tr key={target.name}>
              <Table.Td><b>{target.name}</b> <Text component="span" size="xs" c="dimmed">{target.label}</Text></Table.Td>
              {[
                count(target.answers), count(target.failed), count(target.empty), count(target.cached), money(target.cost_per_call_usd == null ? null : target.cost_per_call_usd * PICODOLLARS), money(target.spent_picodollars),
                money(target.spent_on_scorers_picodollars), duration(target.latency_p50_ms), duration(target.latency_p95_ms), count(target.input_tokens), count(target.output_tokens),
              ].map((text, at) => <Table.Td key={at} className="num">{text}</Table.Td>)}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
