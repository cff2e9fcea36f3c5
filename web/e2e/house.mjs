/** The real binary over an empty data folder, and a real browser with an empty profile. */

import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const ROOT = resolve(import.meta.dirname, "../..");
export const BINARY = process.env.QUARTERDECK_BIN ?? join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "release/quarterdeck");
const MODELS = process.env.QUARTERDECK_TEST_MODELS ?? join(homedir(), ".cache/quarterdeck/test-models");
export const MODEL = "smollm2-135m-instruct";
/** Longer than anything takes on a slow machine. */
export const PATIENCE_MS = Number(process.env.PATIENCE_MS ?? 60_000);

function freePort() {
  return new Promise((found, failed) => {
    const probe = createServer();
    probe.once("error", failed);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => found(port));
    });
  });
}

/**
 * Starts the server; `stop` ends it and removes its data. With `model` the embedded one is fetched from the tests' own copy, and
 * nothing is found there without; `variables` are added to its environment.
 */
export async function openHouse({ model = false, config = "", variables = {} } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "quarterdeck-console-"));
  const port = await freePort();
  const file = join(folder, "quarterdeck.toml");
  const defaults = model ? `["${MODEL}"]` : "[]";
  await writeFile(file, `[server]\naddress = "127.0.0.1:${port}"\n[models]\ndefaults = ${defaults}\npreload = []\nmirror = "${model ? MODELS : ""}"\n${config}`);
  // Threads that spin while they wait for each other starve when the browser needs the cores too.
  const outside = Object.entries(process.env).filter(([name]) => !name.startsWith("QUARTERDECK_"));
  const env = { ...Object.fromEntries(outside), OMP_WAIT_POLICY: "passive", ...variables };
  const common = ["--config", file, "--data", join(folder, "data")];
  const server = spawn(BINARY, [...common, "serve"], { stdio: ["ignore", "pipe", "pipe"], env });
  let log = "";
  server.stderr.on("data", (text) => (log += text));
  const greeting = await greetingOf(server, () => log);
  const url = `http://127.0.0.1:${port}`;
  const key = /qd-\S+/.exec(greeting)?.[0].replace(/["',]+$/, "");
  const stop = async () => {
    const ended = new Promise((done) => server.once("exit", done));
    server.kill("SIGTERM");
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  const house = { url, key, folder, stop, log: () => log, api: (path, options) => ask(url, key, path, options), cli: (...words) => run(words, common, env) };
  if (model) await until("the model is installed", async () => (await house.api("/v1/models")).data.some((known) => known.id === MODEL));
  return house;
}

async function greetingOf(server, log) {
  let text = "";
  for await (const line of createInterface({ input: server.stdout })) {
    text += line + "\n";
    if (line.includes("curl ")) return text;
  }
  throw new Error(`the server ended before it greeted:\n${text}${log()}`);
}

/** A request with the first key; throws what a refusal says. */
async function ask(url, key, path, { method = "GET", body } = {}) {
  const headers = { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { "content-type": "application/json" }) };
  const answer = await fetch(url + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text.slice(0, 500)}`);
  return text === "" ? null : JSON.parse(text);
}

function run(words, common, env, input = "") {
  return new Promise((done, failed) => {
    const child = spawn(BINARY, [...common, ...words], { stdio: ["pipe", "pipe", "pipe"], env });
    let [out, err] = ["", ""];
    child.stdout.on("data", (text) => (out += text));
    child.stderr.on("data", (text) => (err += text));
    child.stdin.end(input);
    child.once("exit", (code) => (code === 0 ? done(out) : failed(new Error(`${words.join(" ")}: ${err}`))));
  });
}

/** Asks again until something holds. */
export async function until(what, holds) {
  const giveUp = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (Date.now() > giveUp) throw new Error(`it never came to pass that ${what}`);
    await new Promise((next) => setTimeout(next, 50));
  }
}

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** Debian's Chromium. */
export async function openBrowser() {
  const path = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
  if (path === undefined) throw new Error("there is no Chromium: scripts/setup browser");
  return chromium.launch({ executablePath: path, args: FLAGS });
}

/** A page that fails the test when it throws, when a policy blocks something, or when it asks another host. */
export async function openPage(browser, house, { theme = "light", width = 1440, height = 900 } = {}) {
  const context = await browser.newContext({ colorScheme: theme, viewport: { width, height }, reducedMotion: "reduce" });
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    // The browser writes a line for every answer of 400 and more; those are the page's to show.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) faults.push(message.text());
  });
  page.on("request", (request) => {
    if (!/^(data|blob):/.test(request.url()) && !request.url().startsWith(house.url)) faults.push(`it asked ${request.url()}`);
  });
  page.setDefaultTimeout(PATIENCE_MS);
  return { page, faults, context };
}

export async function signIn(page, house) {
  await page.goto(house.url + "/");
  await page.getByPlaceholder("qd-…").fill(house.key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("navigation", { name: "Pages" }).waitFor();
}

const AXE = readFileSync(join(import.meta.dirname, "../node_modules/axe-core/axe.min.js"), "utf8");

/** What axe calls serious or critical on the page as it stands, one line each. */
export async function violations(page) {
  await page.evaluate(AXE);
  // What fades in has not yet the colours it will have. What moves for ever, a spinner, is not waited for.
  await page.waitForFunction(() =>
    document.getAnimations().every((one) => one.playState !== "running" || one.effect?.getComputedTiming().endTime === Infinity),
  );
  const { violations: found } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const bad = found.filter((violation) => ["serious", "critical"].includes(violation.impact));
  return bad.map((violation) => `${violation.id}: ${violation.help} (${violation.nodes.map((node) => node.target.join(" ")).slice(0, 4).join("; ")})`);
}

/** Paths of all pages; a trace and a session are added where there are some. */
export const PATHS = ["/", "/stats", "/traces", "/sessions", "/users", "/alerts", "/sql", "/playground", "/prompts", "/datasets", "/experiments", "/evaluations", "/judges", "/leaderboards", "/models", "/providers", "/keys", "/jobs", "/audit", "/settings"];

/** A little traffic of several models, users and sessions, with one failure. */
export async function seed(house, { traces = 60 } = {}) {
  const now = Date.now();
  const models = [["gpt-4o-mini", "openai"], ["claude-haiku", "anthropic"], ["smollm2-135m-instruct", "local"]];
  const spans = [];
  for (let i = 0; i < traces; i += 1) {
    const [model, provider] = models[i % 3];
    const started = now - (traces - i) * 240_000 - 5_000;
    const took = 300 + ((i * 137) % 1700);
    const trace = (i + 1).toString(16).padStart(32, "0");
    const root = (i * 2 + 1).toString(16).padStart(16, "0");
    const failed = i % 13 === 5;
    const common = { trace_id: trace, session_id: `conversation-${i % 7}`, user_id: `user-${i % 4}`, environment: "production", tags: ["demo"] };
    spans.push({ ...common, span_id: root, kind: "chain", name: "answer", start_time: new Date(started).toISOString(), end_time: new Date(started + took + 40).toISOString(), status: failed ? "error" : "ok" });
    spans.push({
      ...common, span_id: (i * 2 + 2).toString(16).padStart(16, "0"), parent_id: root, kind: "llm", name: "chat", provider, model, model_requested: model,
      start_time: new Date(started + 20).toISOString(), end_time: new Date(started + 20 + took).toISOString(), ttft_ms: 60 + (i % 9) * 12,
      status: failed ? "error" : "ok", status_message: failed ? "the upstream answered 529: overloaded" : null, parameters: { temperature: 0.2, max_tokens: 256 },
      input: [{ role: "system", content: "You are a ship's officer and answer briefly." }, { role: "user", content: `Question ${i}: how far is the harbour?` }],
      output: failed ? null : [{ role: "assistant", content: `About **${3 + (i % 9)} miles**. Steer:\n\n1. north-east\n2. then along the shore` }],
      input_tokens: 40 + (i % 11) * 7, output_tokens: failed ? 0 : 30 + (i % 17) * 5, cached_tokens: i % 2 === 0 ? 16 : 0, cost_picodollars: failed ? 0 : 20_000_000 + i * 350_000,
    });
  }
  await house.api("/api/v1/traces", { method: "POST", body: { spans } });
}
