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
});

after(async () => {
  await browser?.close();
  lab?.close();
});

/** A signed-in page; `transferred` counts the bytes of the files of the page. */
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

test("the first visit and each further page stay below their limits, and no page loads the program again", async (t) => {
  const page = await countingPage();
  const first = await page.transferred();
  assert.ok(first > 100_000 && first <= FIRST_BYTES, `the first visit transfers ${first} bytes`);
  t.diagnostic(`first visit: ${(first / 1000).toFixed(1)} kB`);
  await page.evaluate(() => {
    window.isSameDocument = true;
  });
  const pages = [
    [`/runs/${run}`, ".charts"],
    [`/runs/${run}/xray`, ".view"],
    ["/start", "main.page h1"],
  ];
  for (const [path, shown] of pages) {
    await page.evaluate((address) => {
      const link = document.body.appendChild(document.createElement("a"));
      link.href = address;
      link.click();
      link.remove();
    }, path);
    await page.locator(shown).first().waitFor();
    const added = await page.transferred();
    assert.ok(added > 10_000 && added <= PART_BYTES, `${path} transfers ${added} bytes`);
    t.diagnostic(`${path.replace(run, "RUN")}: ${(added / 1000).toFixed(1)} kB more`);
  }
  for (const path of ["/data", "/settings", `/compare?runs=${run}`, `/playground?run=${run}`, "/"]) {
    await page.evaluate((address) => {
      history.pushState(null, "", address);
      dispatchEvent(new PopStateEvent("popstate"));
    }, path);
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
