import { api, take, type Schemas } from "../../api/client";

/** Runs a statement. The route answers in other forms too when Accept asks for them; this asks for JSON. */
export async function askSql(sql: string, maxRows: number, signal?: AbortSignal): Promise<Schemas["SqlAnswer"]> {
  const answer = await take(api.POST("/api/v1/sql", { body: { sql, max_rows: maxRows }, headers: { accept: "application/json" }, signal }));
  if (typeof answer === "string") throw new Error("The server answered in another form than JSON.");
  return answer as Schemas["SqlAnswer"];
}
