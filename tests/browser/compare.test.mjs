// Runs over each other: a fork beside its parent, what differs, how long they were the same, and the tree that leads back.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { longRun, openBrowser, openLab, openPage } from "./lab.mjs";

let lab, browser, page, parent, fork;

const of = (id) => lab.api(`/runs/${id}`).then((view) => view.summary);

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  page = await openPage(browser);
  await page.goto(lab.link);
  await lab.ready();
  const spec = { ...longRun, name: "root", steps: 300, overrides: { ...longRun.overrides, "keep.every": 100, "cadence.eval_every": 50 } };
  parent = (await lab.api("/runs", { method: "POST", body: spec })).summary.id;
  await lab.until("the parent's end", async () => (await of(parent)).state === "finished", 120);
  const branch = {
    name: "branch",
    steps: 400,
    parent: { run: parent, step: 100, changes: [{ kind: "set", field: "rate", value: 0.0001 }] },
  };
  fork = (await lab.api("/runs", { method: "POST", body: branch })).summary.id;
  await lab.until("the fork's end", async () => (await of(fork)).state === "finished", 120);
});

after(async () => {
  await browser?.close();
  lab?.close();
});

test("two runs picked in the Lab are laid over each other", async () => {
  await page.goto(lab.url);
  await page.getByRole("checkbox", { name: "Compare root" }).check();
  await page.getByRole("checkbox", { name: "Compare branch" }).check();
  await page.getByRole("link", { name: "Compare 2" }).click();
  await page.getByRole("heading", { name: "Compare", level: 1 }).waitFor();
  for (const name of ["root", "branch"]) {
    const row = page.locator(".chosen li", { hasText: name });
    await row.locator("b", { hasText: /^\d/ }).waitFor();
  }
  const words = await page.locator(".chart.main canvas").first().getAttribute("aria-label");
  assert.match(words, /root/);
  assert.match(words, /branch/);
});

test("the two are told apart in words, and their plans by the fields that differ", async () => {
  await page.locator(".apart .verdict", { hasText: /different from step/i }).waitFor();
  const rows = await page.locator(".plans tbody th").allInnerTexts();
  assert.ok(rows.includes("steps") && rows.includes("origin.from.checkpoint"), rows.join(", "));
  assert.ok(!rows.includes("model.layers"), "what is the same is left out");
  await page.locator(".plans").getByLabel("all fields").check();
  assert.ok((await page.locator(".plans tbody th").allInnerTexts()).includes("model.layers"));
});

test("another axis and the keyboard read the same curves", async () => {
  await page.locator(".chart.main select").selectOption("tokens");
  await page.locator(".chart.main canvas[aria-label*='tokens']").first().waitFor();
  await page.locator(".chart.main .field").focus();
  await page.keyboard.press("ArrowLeft");
  await page.locator(".chart.main").getByRole("button", { name: "Table" }).click();
  assert.ok((await page.locator(".values tbody tr").count()) > 5);
});

test("what was abandoned is a ghost in the tree", async () => {
  const spec = { ...longRun, name: "wanderer", overrides: { ...longRun.overrides, "keep.every": 100, "keep.latest": 100 } };
  const wanderer = (await lab.api("/runs", { method: "POST", body: spec })).summary.id;
  const order = (body) => lab.api(`/runs/${wanderer}/commands`, { method: "POST", body });
  await lab.until("150 steps", async () => (await of(wanderer)).step > 150, 120);
  await order({ kind: "pause" });
  const left = (await of(wanderer)).step;
  await order({ kind: "rollback", checkpoint: "0-100" });
  await order({ kind: "step", steps: 20 });
  await order({ kind: "stop" });
  await page.goto(`${lab.url}/compare?runs=${wanderer}`);
  const stretches = page.locator(".tree a.stretch");
  await stretches.nth(1).waitFor();
  assert.equal(await stretches.count(), 2);
  assert.match(await stretches.first().getAttribute("aria-label"), new RegExp(`wanderer, stretch 0: steps 0 to ${left}, abandoned from 100 on`));
  assert.equal(await page.locator(".tree .ghost").count(), 1);
  await page.goto(`${lab.url}/compare?runs=${parent},${fork}`);
});

test("a stretch of the tree leads to its run", async () => {
  const stretches = page.locator(".tree a.stretch");
  await stretches.nth(1).waitFor();
  assert.equal(await stretches.count(), 2);
  const told = await stretches.nth(1).getAttribute("aria-label");
  assert.match(told, /branch: steps 100 to 400/);
  await stretches.nth(1).click();
  await page.getByRole("heading", { name: "branch", level: 1 }).waitFor();
  await page.getByRole("link", { name: "Compare with parent" }).click();
  await page.locator(".chosen li", { hasText: "root" }).waitFor();
  await page.locator(".tree a.stretch").first().focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "root", level: 1 }).waitFor();
  assert.deepEqual(page.faults, []);
});
