/** What runs first, before React: the page's data, its code and who is signed in are asked for at once, not one after the other. */

import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "./console.css";

import { pageAt } from "./pages";
import { queries } from "./queries";
import { SIGNED_IN } from "./signin/ask";

const page = pageAt(window.location.pathname);

/** An address that makes no sense is the page's to tell about; so is what the server refuses. */
async function askAhead(): Promise<void> {
  await page?.ahead?.(queries, new URL(window.location.href));
}

void queries.prefetchQuery(SIGNED_IN);
askAhead().catch(() => undefined);
// With its code here the first page is drawn at once; React holds back for 300 ms what replaces a fallback.
const code = page?.code.load().catch(() => undefined);
void Promise.all([import("./main"), code]).then(([{ show }]) => show());
