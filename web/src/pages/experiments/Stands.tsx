/** Where an experiment stands. */

import { api, take } from "../../api/client";
import { Standing as Line } from "../../parts/Standing";
import { EXPERIMENTS, type Opened } from "./ask";

export function Standing({ experiment }: { experiment: Opened }) {
  const { name, version, definition, report } = experiment;
  const path = { params: { path: { name } } };
  return (
    <Line
      run={experiment} noun="experiment" list={EXPERIMENTS[0]!} answers={report.answers} failed={report.failed} usd={definition.budget?.usd}
      resume={({ retry_failed, budget }) => take(api.POST("/api/v1/experiments/{name}/resume", { ...path, body: { version, retry_failed, budget: budget && { ...definition.budget, ...budget } } }))}
      remove={() => take(api.DELETE("/api/v1/experiments/{name}", path))}
    >
      All versions of this experiment go with their answers, for good: nothing brings them back, and asking again is paid for again. Its prompts, its dataset and the traces of its calls stay.
    </Line>
  );
}
