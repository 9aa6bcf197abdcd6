// Every page and every X-ray tab, in light and dark: axe-core finds no violation of what it can check by itself.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { still, violations, violationsInBothThemes } from "./accessibility.mjs";
import { longRun, openAs, openBrowser, openLab, openPage, runState } from "./lab.mjs";

let lab, browser, run;

// Paused once it has curves, samples, checkpoints and an abandoned segment, so that each page shows what it can and stays as it is.
before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  await lab.ready();
  const command = (body) => lab.api(`/runs/${run}/commands`, { method: "POST", body });
  const step = async () => (await lab.api(`/runs/${run}`)).summary.step;
  run = (await lab.api("/runs", { method: "POST", body: { ...longRun, name: "checked" } })).summary.id;
  await lab.until("some steps", async () => (await step()) > 300);
  await command({ kind: "checkpoint" });
  await command({ kind: "sample" });
  const saved = await lab.until("a checkpoint", async () => (await lab.api(`/runs/${run}/checkpoints`)).find(({ info }) => info.cause === "requested"));
  const before = await step();
  await lab.until("steps after it", async () => (await step()) > before + 50);
  await command({ kind: "rollback", checkpoint: saved.info.id });
  await command({ kind: "annotate", text: "another way from here" });
  await lab.until("steps of the new segment", async () => (await step()) > before + 100);
  await command({ kind: "pause" });
  await lab.until("the pause", async () => (await lab.api(`/runs/${run}`)).summary.state === "paused");
});

after(async () => {
  await browser?.close();
  lab?.close();
});

const signedIn = () => openAs(browser, lab, "admin");

/** Goes to an address, waits until the page shows what it has, and opens what is folded, since a reader opens it, too. */
async function visit(page, path, shown = "main") {
  await page.goto(lab.url + path);
  await page.locator(shown).first().waitFor({ state: "attached" });
  await still(page);
  await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
  await still(page);
}

test("no page breaks a rule of accessibility, in light and dark", async () => {
  const page = await signedIn();
  const places = await page.locator("header nav a").evaluateAll((links) => links.map((link) => link.getAttribute("href")));
  assert.ok(places.length >= 5, `the header leads to ${places}`);
  const found = {};
  for (const path of new Set([...places, "/start", "/sweeps/new", `/runs/${run}`, `/compare?runs=${run}`, `/playground?run=${run}`, "/nowhere"])) {
    await visit(page, path);
    found[path] = await violationsInBothThemes(page);
  }
  await page.goto(`${lab.url}/runs/${run}`);
  await runState(page, "paused").waitFor();
  await page.keyboard.press("?");
  await page.getByRole("dialog").first().waitFor();
  found["the help of keys"] = await violationsInBothThemes(page);
  assert.deepEqual(Object.entries(found).filter(([, lines]) => lines.length), []);
  await page.context().close();
});

test("no X-ray tab breaks a rule of accessibility, in light and dark", async () => {
  const page = await signedIn();
  await visit(page, `/runs/${run}/xray`, ".view");
  const tabs = await page.locator(".xray-tabs a").evaluateAll((links) => links.map((link) => link.getAttribute("href")));
  assert.ok(tabs.length >= 9, `the tabs lead to ${tabs}`);
  const found = {};
  for (const path of tabs) {
    await visit(page, path, ".view");
    found[path] = await violationsInBothThemes(page);
  }
  assert.deepEqual(Object.entries(found).filter(([, lines]) => lines.length), []);
  await page.context().close();
});

test("the page to sign in breaks no rule of accessibility", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const page = await openPage(browser, { colorScheme });
    await page.goto(lab.url);
    await page.locator("h1").first().waitFor();
    assert.deepEqual(await violations(page), [], colorScheme);
    await page.context().close();
  }
});
