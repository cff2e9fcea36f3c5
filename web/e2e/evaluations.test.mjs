/** A person looks at what answers are worth: a judge and its card, a report with intervals, items one by one, a leaderboard with ranges. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser, openHouse, openPage, signIn, until, violations } from "./house.mjs";
import { openUpstream } from "./upstream.mjs";

/** Answers in the dataset; those to multiples of 3 are wrong. */
const ITEMS = 60;
/** Of these people said what they think; one of them calls every tenth wrong whatever it says. */
const LABELLED = 48;

let house, browser, upstream;

before(async () => {
  upstream = await openUpstream();
  house = await openHouse({ config: upstream.config });
  browser = await openBrowser();
  await seedAnswers();
  await seedJudges();
  await seedEvaluations();
  await seedLeaderboard();
});

after(async () => {
  await browser?.close();
  await house?.stop();
  await upstream?.close();
});

const post = (path, body) => house.api(path, { method: "POST", body });

async function seedAnswers() {
  const row = (n) => {
    const wrong = n % 3 === 0;
    const said = n < LABELLED ? { ann: wrong ? "wrong" : "correct", bob: wrong || n % 10 === 1 ? "wrong" : "correct" } : {};
    return { id: `r${n}`, question: `What is ${n} + ${n}?`, reference: `The sum is ${2 * n}`, old: `The sum is ${2 * n + (wrong ? 1 : 0)}`, ...said };
  };
  await post("/api/v1/datasets/answers/rows", { add: Array.from({ length: ITEMS }, (_, n) => row(n)) });
  const messages = [{ role: "system", content: "Add quickly." }, { role: "user", content: "{{ question }}" }];
  await post("/api/v1/prompts", { name: "quickly", content: { messages, variables: [{ name: "question" }], model: "stub/sums" } });
}

/** One judge that is compared with people, and one that is not. */
async function seedJudges() {
  for (const name of ["measured", "unmeasured"]) await post("/api/v1/judges", { name, from: { ready: "correctness", models: ["stub/judging"] } });
  const calibration = { dataset: "answers", labels: ["ann", "bob"], values: { answer: "old" } };
  await post("/api/v1/judges/measured/calibrations", { calibration });
  await until("the judge is compared with people", async () => (await house.api("/api/v1/judges/measured/calibrations")).data[0]?.state === "finished");
}

/** Old answers beside new ones, which are wrong about odd numbers. */
async function seedEvaluations() {
  const judge = (name, more = {}) => ({ kind: "judge", judge: name, name, ...more });
  const scorers = [{ kind: "exact_match" }, { kind: "token_f1" }, judge("measured", { human: { old: "ann" } }), judge("unmeasured")];
  await evaluate("nightly", { dataset: "answers", targets: { old: { column: "old" }, new: { prompt: "quickly" } }, scorers });
  await evaluate("before", { dataset: "answers", target: { column: "old" }, scorers: scorers.slice(0, 2) });
}

async function evaluate(name, definition) {
  await post("/api/v1/evaluations", { name, definition });
  await until(`${name} is finished`, async () => (await house.api(`/api/v1/evaluations/${name}`)).state === "finished");
}

const SUMS = `task: sums
output_type: generate_until
test_split: test
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 8}
filter_list: [{name: plain, filter: [{function: remove_whitespace}, {function: take_first}]}]
metric_list: [{metric: exact_match}]
`;

async function seedLeaderboard() {
  const rows = Array.from({ length: 40 }, (_, n) => ({ question: `${n} + ${n} =`, answer: String(2 * n) }));
  await post("/api/v1/datasets/sums-test/rows", { add: rows });
  const definition = { tasks: [{ task: "sums" }], models: ["stub/good", "stub/fair", "stub/poor"], files: { "sums.yaml": SUMS }, measure_speed: false };
  await post("/api/v1/leaderboards", { name: "ours", definition });
  await until("the leaderboard is finished", async () => (await house.api("/api/v1/leaderboards/ours")).state === "finished");
}

const shot = async (page, name) => process.env.SCREENSHOTS && page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png`, fullPage: true });

for (const theme of ["light", "dark"]) {
  test(`a judge is read with its card, and tried, ${theme}`, async () => {
    const { page, faults } = await openPage(browser, house, { theme });
    await signIn(page, house);
    await page.keyboard.press("g");
    await page.keyboard.press("h");
    await page.waitForURL(/\/judges/);
    const list = page.getByRole("table", { name: "Judges", exact: true });
    await list.getByRole("row").filter({ hasText: "unmeasured" }).getByText("uncalibrated").waitFor();
    await list.getByRole("row").filter({ has: page.getByRole("link", { name: "measured", exact: true }) }).getByText(/^right \d+\.\d % \[\d+\.\d %, \d+\.\d %\] · κ /).waitFor();
    await page.getByRole("table", { name: "Ready judges" }).getByText("hallucination", { exact: true }).waitFor();
    assert.deepEqual(await violations(page), []);
    await shot(page, `judges-${theme}`);
    await list.getByRole("link", { name: "measured", exact: true }).click();
    await theCard(page);
    await shot(page, `judge-card-${theme}`);
    await page.getByRole("tab", { name: "What it asks" }).click();
    await page.getByRole("table", { name: "Inputs" }).getByText("The right answer.").waitFor();
    await page.getByRole("table", { name: "Scale" }).getByText("correct (1)").waitFor();
    assert.deepEqual(await violations(page), []);
    await shot(page, `judge-definition-${theme}`);
    await tryIt(page);
    await shot(page, `judge-try-${theme}`);
    await page.goto(`${house.url}/judges/unmeasured`);
    await page.getByRole("heading", { name: "Uncalibrated" }).waitFor();
    assert.deepEqual(await violations(page), []);
    assert.deepEqual(faults, []);
    await page.context().close();
  });
}

/** Every number of the card stands on the page with its interval. */
async function theCard(page) {
  const { card } = await house.api("/api/v1/judges/measured/card");
  await page.getByTestId("card").getByText(`Compared with people on ${card.items} items of answers@1`).waitFor();
  const agreement = page.getByRole("table", { name: "How far it says what people say" });
  const all = agreement.getByRole("row").filter({ hasText: "Right, of all items" });
  const percent = (share) => `${(share * 100).toFixed(1)} %`;
  await all.getByText(percent(card.accuracy.all.value), { exact: true }).waitFor();
  await all.getByText(`${percent(card.accuracy.all.low)} to ${percent(card.accuracy.all.high)}`).waitFor();
  await all.getByRole("img", { name: /^Right, of all items: / }).waitFor();
  await agreement.getByText("Krippendorff’s α of people among themselves").waitFor();
  await page.getByRole("table", { name: "What people say and what the judge says" }).waitFor();
  await page.getByRole("table", { name: "Pairs of raters" }).getByText("ann and bob").waitFor();
  assert.deepEqual(await violations(page), []);
}

async function tryIt(page) {
  await page.getByRole("tab", { name: "Try it" }).click();
  await page.getByRole("textbox", { name: "question" }).fill("What is 2 + 2?");
  await page.getByRole("textbox", { name: "reference" }).fill("The sum is 4");
  await page.getByRole("textbox", { name: "answer", exact: true }).fill("The sum is 5");
  await page.getByRole("button", { name: "Judge it" }).click();
  const said = page.getByTestId("judged");
  await said.getByText("wrong (0)").waitFor();
  await said.getByText("It has two sums.").waitFor();
  await page.mouse.move(0, 0);
  assert.deepEqual(await violations(page), []);
}

for (const theme of ["light", "dark"]) {
  test(`a report is read down to one item, and targets and runs beside each other, ${theme}`, async () => {
    const { page, faults } = await openPage(browser, house, { theme });
    await signIn(page, house);
    await page.goto(`${house.url}/evaluations`);
    const list = page.getByRole("table", { name: "Evaluations" });
    await list.getByRole("row").filter({ hasText: "nightly" }).getByText(/^exact match: /).waitFor();
    assert.deepEqual(await violations(page), []);
    await shot(page, `evaluations-${theme}`);
    await list.getByRole("link", { name: "nightly", exact: true }).click();
    await theReport(page);
    await shot(page, `evaluation-report-${theme}`);
    await theItem(page);
    await shot(page, `evaluation-items-${theme}`);
    await theTargets(page);
    await shot(page, `evaluation-compare-${theme}`);
    await theOtherRun(page);
    await shot(page, `evaluation-beside-${theme}`);
    assert.deepEqual(faults, []);
    await page.context().close();
  });
}

/** The judge's word is never without its worth: a card's headline, or that there is none. */
async function theReport(page) {
  const { report } = await house.api("/api/v1/evaluations/nightly");
  const old = report.targets.find((target) => target.name === "old");
  const score = (name) => old.scores.find((known) => known.name === name);
  const exact = page.getByRole("region", { name: "exact_match" });
  await exact.getByText(`${(score("exact_match").value * 100).toFixed(1)} %`, { exact: true }).first().waitFor();
  await exact.getByRole("img", { name: /^exact_match of old: / }).waitFor();
  const measured = page.getByRole("region", { name: "measured", exact: true });
  await measured.getByText(/^right \d+\.\d % .* items of answers@1$/).first().waitFor();
  const { corrected } = score("measured").judge;
  await measured.getByRole("img", { name: `measured of old, corrected: ${(corrected.value * 100).toFixed(1)} % [` }).waitFor();
  await measured.getByText("corrected by people’s labels").first().waitFor();
  await page.getByRole("region", { name: "unmeasured" }).getByText("uncalibrated").first().waitFor();
  await measured.getByText(/3 the judge could not tell/).first().waitFor();
  assert.deepEqual(await violations(page), []);
}

/** The bar of wrong answers leads to them; one is opened with what the judge said of it. */
async function theItem(page) {
  await page.getByRole("list", { name: "Distribution of exact_match of old" }).getByRole("link").first().click();
  await page.waitForURL(/tab=items/);
  await page.getByText(`${ITEMS / 3} of ${ITEMS / 3} items`).waitFor();
  const items = page.getByRole("table", { name: "Items" });
  await items.getByRole("row").filter({ hasText: "What is 3 + 3?" }).click();
  const panel = page.getByRole("complementary", { name: "Item" });
  await panel.getByText("It has two sums.").first().waitFor();
  const answer = panel.getByRole("region", { name: "Answer of old" });
  assert.deepEqual([await answer.locator("del").textContent(), await answer.locator("ins").textContent()], ["6", "7"]);
  await panel.getByRole("region", { name: "Answer of new" }).getByRole("link", { name: "Trace of the answer of new" }).waitFor();
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press("j");
  await page.waitForURL(({ searchParams }) => searchParams.get("row") !== "3");
}

async function theTargets(page) {
  await page.getByRole("tab", { name: "Compare targets" }).click();
  const { report } = await house.api("/api/v1/evaluations/nightly");
  const names = report.targets.map((target) => target.name);
  const line = page.getByRole("table", { name: names.join(" and ") }).getByRole("row").filter({ hasText: "exact match" });
  await line.getByRole("img", { name: /^exact_match, / }).waitFor();
  await page.getByTestId("compared").waitFor();
  assert.deepEqual(await violations(page), []);
  await line.getByRole("link", { name: "Where they differ in exact_match" }).click();
  const { total } = await house.api("/api/v1/evaluations/nightly/items?disagree=exact_match");
  await page.getByText(`${total} of ${total} items`).waitFor();
}

async function theOtherRun(page) {
  await page.getByRole("tab", { name: "Beside another run" }).click();
  await page.getByRole("combobox", { name: "The other run" }).click();
  await page.getByRole("option", { name: "before@1" }).click();
  const scores = page.getByRole("table", { name: "nightly@1 and before@1", exact: true });
  await scores.getByRole("row").filter({ hasText: "exact match" }).getByText("not by their intervals").waitFor();
  await scores.getByRole("row").filter({ hasText: "unmeasured" }).getByText("only one has it").waitFor();
  await page.getByRole("table", { name: "nightly@1 and before@1, item by item" }).getByRole("row").filter({ hasText: "exact match" }).getByRole("img").waitFor();
  const answers = page.getByRole("table", { name: "Answers beside each other" });
  await answers.getByRole("region", { name: /^Answer of B: / }).first().getByText("The sum is", { exact: false }).waitFor();
  assert.deepEqual(await violations(page), []);
}

for (const theme of ["light", "dark"]) {
  test(`a leaderboard tells places as ranges, is filtered, and leads to what was said, ${theme}`, async () => {
    const { page, faults } = await openPage(browser, house, { theme });
    await signIn(page, house);
    await page.goto(`${house.url}/leaderboards`);
    await page.getByRole("table", { name: "Leaderboards" }).getByRole("row").filter({ hasText: "ours" }).getByText("stub/good 100.0").waitFor();
    assert.deepEqual(await violations(page), []);
    await shot(page, `leaderboards-${theme}`);
    await page.getByRole("link", { name: "ours", exact: true }).click();
    const board = page.getByRole("table", { name: "Board" });
    await board.getByRole("img", { name: "Place of stub/good: 1 of 3" }).waitFor();
    await board.getByRole("img", { name: /^Score of stub\/poor: / }).waitFor();
    await board.getByRole("row").filter({ hasText: "stub/good" }).getByText("front").waitFor();
    assert.deepEqual(await violations(page), []);
    await shot(page, `leaderboard-${theme}`);
    // Nothing is known of the size of a remote model, so none passes.
    await page.getByRole("textbox", { name: "At most, GB on disk" }).fill("1");
    await page.waitForURL(/size=1/);
    await until("no model is ranked", async () => (await board.getByRole("img", { name: /^Place of/ }).count()) === 0);
    await page.getByRole("button", { name: "Show all models" }).click();
    await board.getByRole("link", { name: /^sums of stub\/poor: 25\.0/ }).click();
    const documents = page.getByRole("table", { name: "Documents" });
    await documents.getByRole("row").filter({ hasText: "no idea" }).first().click();
    await page.getByRole("complementary", { name: "Document" }).getByText("What was said").first().waitFor();
    assert.deepEqual(await violations(page), []);
    await shot(page, `leaderboard-documents-${theme}`);
    await page.goto(`${house.url}/leaderboards?tab=tasks`);
    await page.getByRole("textbox", { name: "Find a task" }).fill("gsm8k");
    await page.getByRole("button", { name: /^gsm8k/ }).first().click();
    await page.getByText("Its documents are not here.", { exact: false }).waitFor();
    await page.mouse.move(0, 0);
    assert.deepEqual(await violations(page), []);
    await shot(page, `tasks-${theme}`);
    assert.deepEqual(faults, []);
    await page.context().close();
  });
}

test("a judge is made from one that is there, and compared with people by the form", async () => {
  const { page, faults } = await openPage(browser, house);
  await signIn(page, house);
  await page.goto(`${house.url}/judges`);
  await page.getByRole("button", { name: "Make one from correctness" }).click();
  const dialog = page.getByRole("dialog", { name: "A judge from correctness" });
  await dialog.getByRole("textbox", { name: "Name" }).fill("by-form");
  await dialog.getByRole("combobox", { name: "Who judges" }).fill("stub/judging");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await page.getByRole("listbox", { name: "Who judges" }).waitFor({ state: "hidden" });
  assert.deepEqual(await violations(page), []);
  await dialog.getByRole("button", { name: "Make the judge" }).click();
  await page.waitForURL(/\/judges\/by-form/);
  await page.getByRole("link", { name: "Compare it with people" }).click();
  await page.getByRole("button", { name: "Compare with people" }).click();
  const form = page.getByRole("dialog", { name: "Compare by-form with people" });
  await choose(page, form, "Dataset", /^answers/);
  await choose(page, form, "People’s word", "ann");
  await page.keyboard.press("Escape");
  await choose(page, form, "Column of answer", "old");
  assert.deepEqual(await violations(page), []);
  await form.getByRole("button", { name: "Compare", exact: true }).click();
  await page.getByRole("table", { name: "Comparisons with people" }).getByText("finished", { exact: true }).waitFor();
  const { card } = await house.api("/api/v1/judges/by-form/card");
  assert.equal(card.items, LABELLED);
  await page.getByRole("link", { name: "Card on answers@1" }).click();
  await page.getByTestId("card").waitFor();
  assert.deepEqual(faults, []);
  await page.context().close();
});

for (const theme of ["light", "dark"]) {
  test(`an evaluation is made by the form, ${theme}`, async () => {
    const { page, faults } = await openPage(browser, house, { theme });
    await signIn(page, house);
    await page.goto(`${house.url}/evaluations`);
    await page.getByRole("link", { name: "New evaluation" }).click();
    await page.getByText("Choose a dataset").waitFor();
    assert.deepEqual(await violations(page), []);
    await choose(page, page, "Dataset", /^answers/);
    await page.getByRole("textbox", { name: "Rows" }).first().fill("10");
    await choose(page, page, "Column of target 1", "old");
    await page.getByRole("textbox", { name: "Name of target 1" }).fill("old");
    await page.getByRole("button", { name: "+ Target" }).click();
    await page.getByRole("radiogroup", { name: "Where answers of target 2 come from" }).getByText("A model").click();
    await choose(page, page, "Prompt 2", "quickly");
    await page.getByRole("textbox", { name: "Name of target 2" }).fill("new");
    await page.getByRole("button", { name: "+ Scorer" }).click();
    await choose(page, page, "Scorer 2", "chrf");
    await page.getByRole("textbox", { name: "Options of scorer 2" }).fill('{"word_order": 2}');
    await page.getByRole("button", { name: "+ Scorer" }).click();
    await choose(page, page, "Scorer 3", "judge");
    await page.getByText("Choose the judge.").waitFor();
    await choose(page, page, "Judge of scorer 3", "measured");
    await page.getByRole("textbox", { name: "Gates" }).fill("old.chrf >= 10");
    await page.getByTestId("taken").getByText("10 rows: 10 answers asked for").waitFor();
    assert.deepEqual(await violations(page), []);
    const name = `by-form-${theme}`;
    await page.getByRole("textbox", { name: "Name", exact: true }).fill(name);
    await page.getByRole("button", { name: "Start the evaluation" }).click();
    await page.waitForURL(new RegExp(`/evaluations/${name}`));
    await page.getByText("finished", { exact: true }).first().waitFor();
    const { definition, report } = await house.api(`/api/v1/evaluations/${name}`);
    assert.deepEqual([definition.scorers[1].word_order, definition.gate], [2, ["old.chrf >= 10"]]);
    assert.deepEqual(report.targets.map((target) => target.name).sort(), ["new", "old"]);
    assert.deepEqual(faults, []);
    await page.context().close();
  });
}

async function choose(page, within, field, option) {
  await within.getByRole("combobox", { name: field }).first().click();
  await page.getByRole("option", { name: option, exact: typeof option === "string" }).first().click();
}
