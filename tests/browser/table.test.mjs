// The table of many runs: search, sort, columns, selection by keyboard and range, bulk actions with undo, saved filters, accessibility.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { violationsInBothThemes } from "./accessibility.mjs";
import { longRun, openAs, openBrowser, openLab } from "./lab.mjs";

const COUNT = 12;
let lab, browser, ids;

const post = (path, body) => lab.api(path, { method: "POST", body });
const name = (number) => `run-${String(number).padStart(2, "0")}`;

// A paused run holds the device, so that the others stay queued.
before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  await lab.ready();
  const holder = (await post("/runs", { ...longRun, name: "holder", overrides: { ...longRun.overrides, "optimizer.learning_rate": 1e-4 } })).summary.id;
  await lab.until("its first step", async () => (await lab.api(`/runs/${holder}`)).summary.step > 0);
  await post(`/runs/${holder}/commands`, { kind: "pause" });
  ids = [];
  for (let number = 1; number <= COUNT; number++) {
    const overrides = { ...longRun.overrides, "optimizer.learning_rate": number * 1e-4 };
    ids.push((await post("/runs", { ...longRun, name: name(number), overrides })).summary.id);
  }
  await post(`/runs/${ids[2]}/commands`, { kind: "annotate", text: "the warm-up was too short" });
});

after(async () => {
  await browser?.close();
  lab?.close();
});

async function signedIn(options = {}, role = "admin") {
  const page = await openAs(browser, lab, role, options);
  await page.locator(".runs.many tbody tr").first().waitFor();
  return page;
}

const rows = (page) => page.locator(".runs.many tbody tr:not(.group)");
const named = (page) => page.locator(".runs.many .run-name").allInnerTexts();
const box = (page, run) => page.getByRole("checkbox", { name: `Select ${run}`, exact: true });
const search = (page) => page.getByRole("searchbox", { name: "Search runs by name" });
const menu = async (page, label, item) => {
  await page.getByRole("button", { name: label, exact: true }).click();
  await page.locator(".menu-list").getByText(item, { exact: true }).click();
};
const shows = (page, expected) =>
  lab.until(`the runs ${expected}`, async () => JSON.stringify(await named(page)) === JSON.stringify(expected));

test("runs are found by note and hyperparameter, sorted by a chosen column, and the address keeps the view", async () => {
  const page = await signedIn();
  await search(page).fill("warm-up short");
  await shows(page, [name(3)]);
  await search(page).fill("lr > 1e-3");
  await shows(page, [name(12), name(11)]);
  await page.getByRole("button", { name: "Columns of the table" }).click();
  await page.getByRole("searchbox", { name: "Search columns" }).fill("learning rate");
  await page.getByRole("checkbox", { name: "Learning rate", exact: true }).check();
  await page.keyboard.press("Escape");
  const heading = page.locator("th", { has: page.getByRole("button", { name: "Learning rate", exact: true }) });
  await heading.getByRole("button").click();
  await shows(page, [name(11), name(12)]);
  assert.equal(await heading.getAttribute("aria-sort"), "ascending");
  assert.deepEqual(await page.locator(".c-extra").allInnerTexts(), ["1.1e-3", "1.2e-3"]);
  await page.reload();
  await shows(page, [name(11), name(12)]);
  await search(page).fill("lr >");
  await page.getByText("is not a comparison of a column with a value").waitFor();
  await page.context().close();
  assert.deepEqual(page.faults.filter((fault) => !fault.includes("422")), []);
});

test("a range of runs is archived together, and the action is undone", async () => {
  const page = await signedIn();
  await box(page, name(12)).click();
  await box(page, name(9)).click({ modifiers: ["Shift"] });
  await page.getByText("4 runs selected").waitFor();
  await box(page, name(9)).press("Shift+ArrowDown");
  await page.getByText("5 runs selected").waitFor();
  await page.getByRole("button", { name: "Archive", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Archive" }).click();
  await page.getByText("5 runs were archived").waitFor();
  await lab.until("seven runs less", async () => (await rows(page).count()) === COUNT + 1 - 5);
  await page.getByRole("button", { name: "Undo" }).click();
  await lab.until("all runs again", async () => (await rows(page).count()) === COUNT + 1);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("the menu of a run gives it a tag, and a press on the tag shows the runs that have it", async () => {
  const page = await signedIn();
  await page.getByRole("button", { name: "Actions of run-05" }).click();
  await page.getByRole("textbox", { name: "New tag" }).fill("draft");
  await page.getByRole("button", { name: "Add tag", exact: true }).click();
  await page.getByText("run-05 was tagged draft").waitFor();
  await page.locator("button.tag", { hasText: "draft" }).click();
  await shows(page, ["run-05"]);
  await page.getByRole("button", { name: "Actions of run-05" }).click();
  await page.getByRole("button", { name: "Remove tag draft" }).click();
  await page.getByText("run-05 no longer has the tag draft").waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("tags are added to the selection, filtered and grouped by, and the view is saved", async () => {
  const page = await signedIn();
  await box(page, name(1)).click();
  await box(page, name(2)).click();
  await page.getByRole("button", { name: "Add tag to the selected runs" }).click();
  await page.getByRole("textbox", { name: "New tag" }).fill("baseline");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByText("2 runs were tagged baseline").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Filter by tag" }).click();
  await page.locator(".menu-list button", { hasText: "baseline" }).click();
  await shows(page, [name(2), name(1)]);
  await page.getByRole("button", { name: "Saved filters" }).click();
  await page.getByRole("textbox", { name: "Name of the filter to save" }).fill("my baselines");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("The filter my baselines was saved").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Clear filters" }).click();
  await lab.until("all runs", async () => (await rows(page).count()) === COUNT + 1);
  await menu(page, "Group the runs", "Tags");
  await page.locator("tr.group", { hasText: "baseline 2 runs" }).waitFor();
  await page.locator("tr.group", { hasText: "Without tags" }).waitFor();
  await menu(page, "Saved filters", "my baselines");
  await shows(page, [name(2), name(1)]);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a viewer finds and compares runs and changes none", async () => {
  const page = await signedIn({}, "view");
  await box(page, name(1)).click();
  await box(page, name(2)).click();
  await page.getByRole("link", { name: "Compare 2 runs" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Archive", exact: true }).count(), 0);
  await page.getByRole("button", { name: "Saved filters" }).click();
  assert.equal(await page.getByRole("textbox", { name: "Name of the filter to save" }).count(), 0);
  await page.context().close();
});

test("the table breaks no rule of accessibility, in light and dark", async () => {
  for (const width of [1440, 390]) {
    const page = await signedIn({ viewport: { width, height: 900 } });
    await box(page, name(1)).click();
    assert.deepEqual(await violationsInBothThemes(page), [], `${width} px`);
    for (const label of ["Columns of the table", "Saved filters", "Filter by tag"]) {
      await page.getByRole("button", { name: label }).click();
      assert.deepEqual(await violationsInBothThemes(page), [], `${label}, ${width} px`);
      await page.keyboard.press("Escape");
    }
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= width, `wider than ${width} px`);
    await page.context().close();
  }
});
