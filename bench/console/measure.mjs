/** Time to interactive of three pages in Chromium, over the real binary with much data; prints one JSON line. */

import { openBrowser, openHouse, openPage, signIn } from "../../web/e2e/house.mjs";
import { fill, LONG_TRACE } from "./fill.mjs";

const [count, repeats] = [Number(process.argv[2]), Number(process.argv[3])];

const say = (text) => console.error(text);

/** Milliseconds from the navigation's start until `ready` is on the page and the main thread has painted it. */
async function timeTo(page, url, ready) {
  await page.goto("about:blank");
  const started = performance.now();
  await page.goto(url, { waitUntil: "commit" });
  // A locator looks again after 20, 100, 100 and then 500 ms, and would report those steps instead of the time.
  await page.waitForFunction((selector) => document.querySelector(selector)?.checkVisibility(), ready, { polling: "raf" });
  await page.evaluate(() => new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted))));
  return performance.now() - started;
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

/** Scrolls through the whole waterfall, a frame at a time: the longest frame and their number. */
async function scroll(page) {
  return page.evaluate(async () => {
    const list = document.querySelector("[data-testid=waterfall] [data-scroll]") ?? document.querySelector("[data-testid=waterfall]");
    const frame = () => new Promise((next) => requestAnimationFrame(next));
    let [worst, before] = [0, (await frame(), performance.now())];
    for (let step = 1; step <= 60; step += 1) {
      list.scrollTop = (list.scrollHeight * step) / 60;
      await frame();
      worst = Math.max(worst, performance.now() - before);
      before = performance.now();
    }
    return worst;
  });
}

const house = await openHouse();
const browser = await openBrowser();
try {
  const started = Date.now();
  await fill(house, { count, days: 30, longTraceSpans: 30_000 });
  say(`${count} spans appended in ${((Date.now() - started) / 1000).toFixed(0)} s`);
  const { page } = await openPage(browser, house);
  await signIn(page, house);
  const pages = {
    trace: [`${house.url}/traces/${LONG_TRACE}`, "[data-testid=waterfall] [role=row], [data-testid=waterfall] [role=treeitem]"],
    list: [`${house.url}/traces?range=30d`, "[role=row][data-index]"],
    overview: [`${house.url}/?range=30d`, ".u-over"],
  };
  const result = {};
  for (const [name, [url, ready]] of Object.entries(pages)) {
    const times = [];
    for (let i = 0; i < repeats; i += 1) times.push(await timeTo(page, url, ready));
    result[name] = { median_ms: median(times), worst_ms: Math.max(...times) };
    say(`${name}: ${times.map((ms) => ms.toFixed(0)).join(", ")} ms`);
    if (name === "trace") result.scroll_worst_frame_ms = await scroll(page);
  }
  result.chromium = browser.version();
  console.log(JSON.stringify(result));
} finally {
  await browser.close();
  await house.stop();
}
