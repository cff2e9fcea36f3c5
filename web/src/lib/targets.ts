/** The targets of a route as lines of text, `provider/model`. */

export interface Target { provider: string; model: string }

export function writeTargets(targets: readonly Target[]): string {
  return targets.map((target) => `${target.provider}/${target.model}`).join("\n");
}

/** Reads what a person typed. Only the first slash parts: a model's own name may hold more of them. Throws on a line without a provider. */
export function readTargets(text: string): Target[] {
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return lines.map((line) => {
    const slash = line.indexOf("/");
    if (slash < 1 || slash === line.length - 1) throw new Error(`“${line}” is not provider/model.`);
    return { provider: line.slice(0, slash), model: line.slice(slash + 1) };
  });
}
