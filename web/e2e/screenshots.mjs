/** Takes docs/screenshots: every page in both themes, with and without anything to show. */

import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { openBrowser, openHouse, openPage, PATHS, seed, signIn, until } from "./house.mjs";
import { openHub } from "./hub.mjs";

const OUT = resolve(process.argv[2] ?? join(import.meta.dirname, "../../docs/screenshots"));

function nameOf(path) {
  return path === "/" ? "overview" : path.slice(1).replace(/\/.*/, "-one");
}

async function shoot(page, path, url, name) {
  await page.goto(url + path);
  await page.waitForLoadState("networkidle");
  await page.screenshot({ path: join(OUT, `${name}.png`) });
}

/** What a page shows when it is asked for more than its address alone. */
function closer(job) {
  const others = new URLSearchParams({ group_by: "model", except_groups: JSON.stringify(["gpt-4o-mini", ""]) });
  return [["/?group_by=model", "overview-groups"], [`/traces?${others}`, "traces-filtered"], [`/jobs?job=${job}`, "jobs-one"]];
}

/** A pull from where nothing is. */
async function failedJob(house) {
  const { id } = await house.api("/api/v1/models/pull", { method: "POST", body: { name: "gemma-3-270m" } });
  await until("the pull has failed", async () => (await house.api(`/api/v1/jobs/${id}`)).state === "failed");
  return id;
}

async function main() {
  await mkdir(OUT, { recursive: true });
  const hub = await openHub({ file: "nothing", size: 0 });
  const house = await openHouse({ model: true, config: hub.config, variables: hub.variables });
  const browser = await openBrowser();
  try {
    const job = await failedJob(house);
    for (const theme of ["light", "dark"]) {
      const { page, context } = await openPage(browser, house, { theme });
      await shoot(page, "/", house.url, `sign-in-${theme}`);
      await signIn(page, house);
      if (theme === "light") {
        for (const path of ["/", "/traces", "/sessions"]) await shoot(page, path, house.url, `${nameOf(path)}-empty`);
        await seed(house);
      }
      for (const path of [...PATHS, `/traces/${"6".padStart(32, "0")}`, "/sessions/conversation-3"]) await shoot(page, path, house.url, `${nameOf(path)}-${theme}`);
      for (const [path, name] of closer(job)) await shoot(page, path, house.url, `${name}-${theme}`);
      await context.close();
    }
  } finally {
    await browser.close();
    await house.stop();
    await hub.close();
  }
}

await main();
