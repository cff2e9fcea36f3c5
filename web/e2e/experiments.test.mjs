/** A person looks at what came of a sweep: the sentence, the heat map, two cells against each other, the answers side by side. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser, openHouse, openPage, signIn, until, violations } from "./house.mjs";
import { openUpstream } from "./upstream.mjs";

/** The stub adds carefully or is wrong about odd numbers: of 30 items it is known which 15 the cells disagree on. */
const ITEMS = 30;

let house, browser, upstream;

before(async () => {
  upstream = await openUpstream();
  house = await openHouse({ config: upstream.config });
  browser = await openBrowser();
  await seedExperiments();
});

after(async () => {
  await browser?.close();
  await house?.stop();
  await upstream?.close();
});

async function seedExperiments() {
  const post = (path, body) => house.api(path, { method: "POST", body });
  const rows = Array.from({ length: ITEMS + 5 }, (_, n) => ({ id: `r${n}`, question: `What is ${n} + ${n}?`, answer: `The sum is ${2 * n}` }));
  await post("/api/v1/datasets/sums/rows", { add: rows });
  for (const name of ["carefully", "quickly"]) {
    const messages = [{ role: "system", content: `Add ${name}.` }, { placeholder: "examples" }, { role: "user", content: "{{ question }}" }];
    const examples = { template: [{ role: "user", content: "{{ question }}" }, { role: "assistant", content: "{{ output }}" }] };
    await post("/api/v1/prompts", { name, content: { messages, variables: [{ name: "question" }], examples, model: "stub/sums" } });
  }
  const scorers = [{ kind: "exact_match" }, { kind: "token_f1" }, { kind: "latency" }];
  const common = { dataset: "sums", items: { limit: ITEMS }, prompts: ["carefully", "quickly"], scorers };
  await run("sweep", { ...common, shots: [0, 2], parameters: { temperature: [0, 0.7] } });
  await run("pair", { ...common, shots: [0] });
  await seedVersions(post, common);
}

/** Two versions of one prompt, of which the second is wrong about odd numbers; three calls of the first in production. */
async function seedVersions(post, common) {
  for (const words of ["Add carefully.", "Add quickly."]) {
    const messages = [{ role: "system", content: words }, { role: "user", content: "{{ question }}" }];
    await post("/api/v1/prompts", { name: "sum", content: { messages, variables: [{ name: "question" }], model: "stub/sums" } });
  }
  await run("versions", { ...common, prompts: ["sum@1", "sum@2"], parameters: { temperature: [0] } });
  for (let n = 0; n < 3; n += 1) {
    const headers = { authorization: `Bearer ${house.key}`, "content-type": "application/json", "x-quarterdeck-prompt": "sum@1" };
    const said = await fetch(`${house.url}/v1/chat/completions`, { method: "POST", headers, body: JSON.stringify({ prompt_variables: { question: "What is 2 + 2?" } }) });
    assert.equal(said.status, 200);
  }
  await until("three calls are counted", async () => (await house.api("/api/v1/prompts/sum/metrics")).data[0]?.calls === 3);
}

async function run(name, definition) {
  await house.api("/api/v1/experiments", { method: "POST", body: { name, definition } });
  await until(`${name} is finished`, async () => (await house.api(`/api/v1/experiments/${name}`)).state === "finished");
}

for (const theme of ["light", "dark"]) {
  test(`two versions of a prompt are compared by what experiments and production know, ${theme}`, async () => {
    const { page, faults } = await openPage(browser, house, { theme });
    await signIn(page, house);
    await page.goto(`${house.url}/prompts/sum`);
    // Experiments called both versions, production the first one only.
    await page.getByRole("table", { name: "Versions" }).getByRole("link", { name: "3", exact: true }).waitFor();
    await page.getByRole("link", { name: "Compare", exact: true }).click();
    const evidence = page.getByTestId("evidence");
    await evidence.getByText(/Experiment versions@1 on sums@1: exact_match: version 1 beats version 2 by 5\d\.\d points \[/).waitFor();
    await evidence.getByRole("table", { name: "Scores in the experiment" }).getByRole("row").filter({ hasText: "exact match" }).getByText("version 1 is better").waitFor();
    await evidence.getByText("No call in this time said version 2.").waitFor();
    await page.getByRole("table", { name: "Version 1 and version 2" }).getByText("Add quickly.").waitFor();
    assert.deepEqual(await violations(page), []);
    if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/prompt-compare-${theme}.png`, fullPage: true });
    await evidence.getByRole("link", { name: "versions, c1 and c2" }).click();
    await page.getByTestId("compared").waitFor();
    assert.deepEqual(faults, []);
    await page.context().close();
  });
}

test("a winner is named only where there is one", async () => {
  const { page, faults } = await openPage(browser, house);
  await signIn(page, house);
  await page.keyboard.press("g");
  await page.keyboard.press("c");
  await page.waitForURL(/\/experiments/);
  const list = page.getByRole("table", { name: "Experiments" });
  await list.getByRole("row").filter({ hasText: "pair" }).getByText("c1 (carefully@1), 100.0 % [88.6 %, 100.0 %]").waitFor();
  await list.getByRole("row").filter({ hasText: "sweep" }).getByText("no winner").waitFor();
  assert.deepEqual(await violations(page), []);
  await list.getByRole("link", { name: "pair", exact: true }).click();
  const result = page.getByTestId("result");
  await result.getByText("Winner: c1, by exact match").waitFor();
  assert.match(await result.textContent(), /C1 beats c2 by 5\d\.\d points \[|C1 \(carefully@1\)/i);
  await page.goto(`${house.url}/experiments/sweep`);
  await result.getByText("No winner, by exact match").waitFor();
  assert.match(await result.textContent(), /Their exact match: c1 100\.0 % \[88\.6 %, 100\.0 %\] · c2 100\.0 %/);
  assert.deepEqual(faults, []);
  await page.context().close();
});

for (const theme of ["light", "dark"]) {
  test(`cells are read in a heat map and a table, compared, and their answers seen side by side, ${theme}`, async () => {
    const { page, faults } = await openPage(browser, house, { theme });
    await signIn(page, house);
    await page.goto(`${house.url}/experiments/sweep`);
    await theHeatMap(page);
    await theTable(page);
    await theComparison(page);
    await theItems(page);
    assert.deepEqual(faults, []);
    await page.context().close();
  });
}

/** Prompts by examples down, models by parameters across; the number stands in each square, the rest in its name. */
async function theHeatMap(page) {
  const map = page.getByRole("table", { name: "Heat map by exact match" });
  await map.getByRole("columnheader", { name: "temperature 0.7" }).waitFor();
  const heads = await map.locator("thead tr").last().locator("th").allTextContents();
  assert.deepEqual(heads, ["temperature 0", "temperature 0.7"]);
  assert.deepEqual(await map.locator("tbody th").allTextContents(), ["carefully@1", "0 shots", "2 shots", "quickly@1", "0 shots", "2 shots"]);
  const squares = await map.locator("tbody tr").evaluateAll((rows) => rows.map((row) => [...row.querySelectorAll("button")].map((square) => square.textContent)));
  assert.deepEqual(squares.slice(0, 2), [["100.0 %", "100.0 %"], ["100.0 %", "100.0 %"]]);
  assert.ok(squares.slice(2).flat().every((share) => Number.parseFloat(share) < 70), squares.join());
  const named = map.getByRole("button", { name: /^c1: exact match 100\.0 % \[88\.6 %, 100\.0 %\], .*; carefully@1, 0 shots, stub\/sums, temperature 0$/ });
  await named.focus();
  await page.getByRole("tooltip").filter({ hasText: "[88.6 %, 100.0 %]" }).waitFor();
  await named.press("Enter");
  await map.getByRole("button", { name: /quickly@1, 0 shots, stub\/sums, temperature 0$/ }).click();
  await page.waitForURL(/cells=c1%2Cc5/);
  await page.getByText("Chosen: c1, c5").waitFor();
  assert.deepEqual(await violations(page), []);
  await page.getByRole("combobox", { name: "Colour by" }).click();
  await page.getByRole("option", { name: "latency p95" }).click();
  await page.waitForURL(/by=call\.p95/);
  await page.getByRole("table", { name: "Heat map by latency p95" }).waitFor();
}

async function theTable(page) {
  const table = page.getByRole("table", { name: "Cells" });
  const first = () => table.locator("tbody tr").first().locator("b").textContent();
  assert.equal(await first(), "c1");
  await table.getByRole("button", { name: "exact match" }).click();
  await table.getByRole("columnheader", { name: "exact match" }).and(page.locator("[aria-sort=descending]")).waitFor();
  await table.getByRole("button", { name: "exact match" }).click();
  await page.waitForURL(/sort=exact_match/);
  await until("the worst stands first", async () => (await first()) === "c5");
  await table.getByRole("row").filter({ hasText: "c5" }).getByText("< 0.001").waitFor();
}

async function theComparison(page) {
  await page.getByRole("button", { name: "Compare c1 and c5" }).click();
  await page.getByTestId("compared").getByText(/^c1 beats c5 by \d\d\.\d points \[\d\d\.\d, \d\d\.\d\]/i).waitFor();
  const line = page.getByRole("table", { name: "c1 and c5" }).getByRole("row").filter({ hasText: "exact match" });
  const [one] = (await house.api("/api/v1/experiments/sweep/comparison?a=c1&b=c5")).data;
  await line.getByText("McNemar, mid-p").waitFor();
  await line.getByText(`−${(Math.abs(one.difference) * 100).toFixed(1)} points`).waitFor();
  assert.deepEqual(await violations(page), []);
  await line.getByRole("link", { name: "Where they disagree in exact_match" }).click();
}

/** The odd ones: the sum that was wanted is struck out where another was said. */
async function theItems(page) {
  const { total } = await house.api("/api/v1/experiments/sweep/items?cells=c1,c5&disagree=exact_match");
  await page.getByText(`Items 1 to ${total} of ${total}`).waitFor();
  const rows = page.getByRole("table", { name: "Items" }).locator("tbody tr");
  assert.equal(await rows.count(), total);
  const [right, wrong] = [rows.first().locator("td").nth(2), rows.first().locator("td").nth(3)];
  const wanted = (await rows.first().locator("td").nth(1).textContent()).replace("The sum is ", "");
  assert.equal(await right.locator("ins, del").count(), 0);
  assert.deepEqual([await wrong.locator("del").textContent(), await wrong.locator("ins").textContent()], [wanted, String(Number(wanted) + 1)]);
  assert.deepEqual(await violations(page), []);
  await page.getByRole("combobox", { name: "Which items" }).click();
  await page.getByRole("option", { name: "all", exact: true }).click();
  await page.getByText(`Items 1 to 20 of ${ITEMS}`).waitFor();
  await page.getByRole("button", { name: "Next page" }).click();
  await page.getByText(`Items 21 to ${ITEMS} of ${ITEMS}`).waitFor();
  await page.getByRole("link", { name: "Trace of the answer of c1" }).first().click();
  await page.waitForURL(/\/traces\/[0-9a-f]{32}/);
  await page.getByTestId("waterfall").waitFor();
}

test("a sweep is watched, cancelled, and goes on without asking twice", async () => {
  const { page, faults } = await openPage(browser, house);
  await signIn(page, house);
  const questions = () => upstream.asked.filter(({ messages }) => messages[0].content.includes("patiently")).map(({ messages }) => messages.at(-1).content);
  const content = { messages: [{ role: "system", content: "Add patiently." }, { role: "user", content: "{{ question }}" }], variables: [{ name: "question" }], model: "stub/sums" };
  await house.api("/api/v1/prompts", { method: "POST", body: { name: "patiently", content } });
  const definition = { dataset: "sums", items: { limit: 12 }, prompts: ["patiently"], scorers: [{ kind: "exact_match" }], concurrency: 2 };
  await house.api("/api/v1/experiments", { method: "POST", body: { name: "slow", definition } });
  await page.goto(`${house.url}/experiments/slow`);
  await page.getByText("Nothing is known yet").waitFor();
  await page.getByRole("progressbar", { name: /^Progress of experiment/ }).waitFor({ state: "attached" });
  await until("the first calls are made", () => questions().length === 2);
  assert.deepEqual(await violations(page), []);
  await page.getByRole("button", { name: "Cancel the experiment" }).click();
  await until("it is to be cancelled", async () => (await house.api(`/api/v1/jobs/${(await house.api("/api/v1/experiments/slow")).job}`)).cancel_requested);
  upstream.release();
  await page.getByRole("button", { name: "Go on…" }).click();
  const dialog = page.getByRole("dialog", { name: "Go on with slow" });
  assert.deepEqual(await violations(page), []);
  await dialog.getByRole("button", { name: "Go on", exact: true }).click();
  await page.getByText("finished", { exact: true }).waitFor();
  await page.getByTestId("result").waitFor();
  const { report } = await house.api("/api/v1/experiments/slow");
  assert.deepEqual([report.answers, report.failed], [12, 0]);
  assert.deepEqual([questions().length, new Set(questions()).size], [12, 12], "each question is asked once");
  assert.deepEqual(faults, []);
  await page.context().close();
});

for (const theme of ["light", "dark"]) {
  test(`an experiment is made by the form, which says before what it takes, and is deleted, ${theme}`, async () => {
    const { page, faults } = await openPage(browser, house, { theme });
    await signIn(page, house);
    await page.goto(`${house.url}/experiments`);
    await page.getByRole("link", { name: "New experiment" }).click();
    await page.getByText("Choose a dataset").waitFor();
    assert.deepEqual(await violations(page), []);
    await choose(page, "Dataset", /^sums/);
    await page.getByRole("textbox", { name: "Rows" }).first().fill("10");
    await choose(page, "Prompt 1", "carefully");
    await choose(page, "Version of prompt 1", "1");
    await page.getByRole("textbox", { name: "Values of parameter 1" }).fill("0, 0.7");
    await page.getByRole("button", { name: "+ Number of examples" }).click();
    await page.getByRole("button", { name: "+ Number of examples" }).click();
    await page.getByRole("textbox", { name: "Number of examples 2" }).fill("2");
    await choose(page, "How examples 2 are chosen", "at random");
    await page.getByRole("textbox", { name: "Seed of examples 2" }).fill("7");
    await page.getByRole("button", { name: "+ Scorer" }).click();
    const taken = page.getByTestId("taken");
    await taken.getByText("4 cells × 10 rows: 40 calls").waitFor();
    await taken.getByText("What it costs is not known.").waitFor();
    await taken.getByText("c4 · carefully@1 · temperature 0.7 · 2 random shots (seed 7)").waitFor();
    assert.deepEqual(await violations(page), []);
    const name = `by-form-${theme}`;
    await page.getByRole("textbox", { name: "Name", exact: true }).fill(name);
    await page.getByRole("button", { name: "Start the experiment" }).click();
    await page.waitForURL(new RegExp(`/experiments/${name}`));
    await page.getByText("finished", { exact: true }).waitFor();
    const made = await house.api(`/api/v1/experiments/${name}`);
    assert.deepEqual([made.definition.prompts, made.definition.shots], [["carefully@1"], [0, { count: 2, choose: "random", seed: 7 }]]);
    assert.deepEqual([made.report.answers, made.report.cells[0].scores.exact_match.mean], [40, 1]);

    await page.getByRole("button", { name: "Delete…" }).click();
    const dialog = page.getByRole("dialog", { name: `Delete ${name}` });
    await dialog.getByText("nothing brings them back").waitFor();
    assert.deepEqual(await violations(page), []);
    await dialog.getByRole("button", { name: "Delete", exact: true }).click();
    await page.waitForURL(/\/experiments$/);
    const { data } = await house.api("/api/v1/experiments");
    assert.ok(data.every((experiment) => experiment.name !== name));
    assert.deepEqual(faults, []);
    await page.context().close();
  });
}

async function choose(page, field, option) {
  await page.getByRole("combobox", { name: field }).first().click();
  await page.getByRole("option", { name: option, exact: typeof option === "string" }).first().click();
}
