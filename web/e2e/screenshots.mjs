/** Takes docs/screenshots: every page in both themes, with and without anything to show. */

import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { openBrowser, openHouse, openPage, PATHS, seed, signIn } from "./house.mjs";

const OUT = resolve(process.argv[2] ?? join(import.meta.dirname, "../../docs/screenshots"));

function nameOf(path) {
  return path === "/" ? "overview" : path.slice(1).replace(/\/.*/, "-one");
}

async function shoot(page, path, url, name) {
  await page.goto(url + path);
  await page.waitForLoadState("networkidle");
  await page.screenshot({ path: join(OUT, `${name}.png`) });
}

async function main() {
  await mkdir(OUT, { recursive: true });
  const house = await openHouse({ model: true });
  const browser = await openBrowser();
  try {
    for (const theme of ["light", "dark"]) {
      const { page, context } = await openPage(browser, house, { theme });
      await shoot(page, "/", house.url, `sign-in-${theme}`);
      await signIn(page, house);
      if (theme === "light") {
        for (const path of ["/", "/traces", "/sessions"]) await shoot(page, path, house.url, `${nameOf(path)}-empty`);
        await seed(house);
      }
      for (const path of [...PATHS, `/traces/${"6".padStart(32, "0")}`, "/sessions/conversation-3"]) await shoot(page, path, house.url, `${nameOf(path)}-${theme}`);
      await context.close();
    }
  } finally {
    await browser.close();
    await house.stop();
  }
}

await main();
