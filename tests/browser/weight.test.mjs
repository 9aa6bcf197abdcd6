// The parts of the program: what the first visit transfers, what each further page adds, and a part that does not arrive.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { longRun, openBrowser, openLab, openPage, signIn } from "./lab.mjs";

/** Limits of what is transferred compressed, bytes: at the first visit, and for each further page. */
const FIRST_BYTES = 650_000;
const PART_BYTES = 450_000;

let lab, browser, run;

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  await lab.ready();
  run = (await lab.api("/runs", { method: "POST", body: longRun })).summary.id;
  // The part with the findings loads when there is one.
  const muted = (await lab.api("/rules")).map(({ id }) => id);
  await lab.api(`/runs/${run}/rules`, { method: "PUT", body: { muted } });
});

after(async () => {
  await browser?.close();
  lab?.close();
});

/** The Lab page, signed in; `transferred` counts the bytes of its files. */
async function countingPage() {
  const page = await openPage(browser);
  const sizes = [];
  page.on("requestfinished", (request) => {
    if (request.url().includes("/assets/")) sizes.push(request.sizes());
  });
  page.transferred = async () => {
    const known = await Promise.all(sizes.splice(0));
    // A file of the cache has a negative size: its headers without a transfer.
    return known.reduce((sum, size) => sum + Math.max(0, size.responseBodySize), 0);
  };
  await signIn(page, lab.token("admin", "--sign-in"));
  await page.getByRole("heading", { name: "Runs", exact: true }).waitFor();
  return page;
}

/** Pages in other parts than the Lab, and an element that each shows. */
const pages = () => [
  [`/runs/${run}`, ".charts"],
  [`/runs/${run}/xray`, ".view"],
  ["/start", "main.page h1"],
  [`/compare?runs=${run}`, "main.page h1"],
  ["/sweeps/new", "main.page h1"],
  ["/fleet", ".fleet-device"],
  ["/people", ".people h1"],
  ["/settings", "main.page h1"],
];

test("the first visit stays below its limit", async (t) => {
  const page = await countingPage();
  const bytes = await page.transferred();
  assert.ok(bytes > 100_000 && bytes <= FIRST_BYTES, `the first visit transfers ${bytes} bytes`);
  t.diagnostic(`Lab: ${(bytes / 1000).toFixed(1)} kB`);
  await page.context().close();
});

test("each further page stays below the limit, and none loads the program again", async (t) => {
  const page = await countingPage();
  await page.transferred();
  await page.evaluate(() => {
    window.isSameDocument = true;
  });
  const go = (address) =>
    page.evaluate((to) => {
      const link = document.body.appendChild(document.createElement("a"));
      link.href = to;
      link.click();
      link.remove();
    }, address);
  for (const [path, shown] of pages()) {
    await go(path);
    await page.locator(shown).first().waitFor();
    const bytes = await page.transferred();
    assert.ok(bytes <= PART_BYTES, `${path} transfers ${bytes} bytes`);
    t.diagnostic(`${path.replace(run, "RUN")}: ${(bytes / 1000).toFixed(1)} kB more`);
  }
  for (const path of ["/data", "/settings", `/playground?run=${run}`, "/"]) {
    await go(path);
    await page.locator("main.page").waitFor();
    assert.equal(await page.transferred(), 0, `${path} is already loaded`);
  }
  assert.ok(await page.evaluate(() => window.isSameDocument), "the document was not loaded again");
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a part that does not arrive is said to be missing, and the page can be loaded again", async () => {
  const page = await countingPage();
  const isPart = /split_xray\.wasm/;
  await page.route(isPart, (route) => route.abort());
  await page.goto(`${lab.url}/runs/${run}/xray`);
  await page.getByRole("heading", { name: "This page could not be loaded" }).waitFor();
  await page.unroute(isPart);
  await page.getByRole("button", { name: "Reload" }).click();
  await page.locator(".view").first().waitFor();
  await page.context().close();
});
