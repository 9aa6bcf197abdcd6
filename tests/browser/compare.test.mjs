// Compared runs: a fork and its parent, the differences of their plans and losses, identical steps, and the lineage.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { longRun, openBrowser, openLab, openPage, shortRun, signIn } from "./lab.mjs";

let lab, browser, page, parent, fork;

const of = (id) => lab.api(`/runs/${id}`).then((view) => view.summary);

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  page = await openPage(browser);
  await signIn(page, lab.link);
  await lab.ready();
  const spec = { ...shortRun, name: "root", steps: 300, overrides: { ...shortRun.overrides, "intervals.checkpoint_every": 100, "intervals.eval_every": 50 } };
  parent = (await lab.api("/runs", { method: "POST", body: spec })).summary.id;
  await lab.until("the parent's end", async () => (await of(parent)).state === "finished");
  const branch = {
    name: "branch",
    steps: 400,
    parent: { run: parent, step: 100, changes: [{ kind: "set", path: "optimizer.learning_rate", value: 0.0001 }] },
  };
  fork = (await lab.api("/runs", { method: "POST", body: branch })).summary.id;
  await lab.until("the fork's end", async () => (await of(fork)).state === "finished");
});

after(async () => {
  await browser?.close();
  lab?.close();
});

test("two runs selected on the Lab page are drawn in one chart", async () => {
  await page.goto(lab.url);
  await page.getByRole("checkbox", { name: "Select root" }).check();
  await page.getByRole("checkbox", { name: "Select branch" }).check();
  await page.getByRole("link", { name: "Compare 2 runs" }).click();
  await page.getByRole("heading", { name: "Compare", level: 1 }).waitFor();
  for (const name of ["root", "branch"]) {
    const row = page.locator(".chosen li", { hasText: name });
    await row.locator("b", { hasText: /^\d/ }).waitFor();
  }
  // The summary for screen readers follows the chart after a while, so that it is not read out at each redraw.
  for (const name of ["root", "branch"]) {
    await page.locator(`.chart.main canvas[aria-label*="${name}"]`).first().waitFor();
  }
});

test("the verdict names the first different step, and the plans show the values that differ", async () => {
  await page.locator(".difference .verdict", { hasText: /from step [\d\u202f]+ on they differ/ }).waitFor();
  const rows = await page.locator(".plans tbody th").allInnerTexts();
  assert.ok(rows.includes("Steps") && rows.includes("Parent"), rows.join(", "));
  const changes = page.locator(".plans tbody tr", { hasText: "Changes at the fork" });
  await changes.getByText("learning rate 1e-4").waitFor();
  assert.ok(!rows.includes("Layers"), "equal values are left out");
  await page.locator(".plans").getByLabel("All hyperparameters").check();
  assert.ok((await page.locator(".plans tbody th").allInnerTexts()).includes("Layers"));
});

test("an unknown run is named, and nothing is said of its plan or lineage", async () => {
  await page.goto(`${lab.url}/compare?runs=nope`);
  await page.getByText("The lab has no run “nope”").waitFor();
  assert.ok(await page.locator(".plans").isHidden());
  assert.ok(await page.locator(".lineage").isHidden());
  assert.equal(await page.getByText("/api/v1").count(), 0);
  // Beside an unknown run and a word that is none, the others are shown as without them.
  await page.goto(`${lab.url}/compare?runs=nope,${parent},Red%20Owl,${fork}`);
  await page.getByText("The lab has no run “nope”").waitFor();
  await page.getByText("“Red Owl” in the address is not the id of a run.").waitFor();
  await page.locator(".tree a.segment").nth(1).waitFor();
  await page.locator(".difference .verdict", { hasText: /from step [\d\u202f]+ on they differ/ }).waitFor();
  for (const name of ["root", "branch"]) await page.locator(`.chart.main canvas[aria-label*="${name}"]`).first().waitFor();
  await page.goto(`${lab.url}/compare?runs=${parent},${fork}`);
  await page.locator(".difference .verdict", { hasText: /the training loss of branch is on average .* nats\/token (lower|higher) than that of root/ }).waitFor();
});

test("the x axis changes, and the keyboard moves the crosshair and zooms", async () => {
  await page.locator(".chart.main select").selectOption("tokens");
  await page.locator(".chart.main canvas[aria-label*='tokens']").first().waitFor();
  await page.locator(".chart.main .field").focus();
  const all = () => page.locator(".chart.main").getByRole("button", { name: "all", exact: true });
  assert.equal(await all().count(), 0);
  await page.keyboard.press("+");
  await all().waitFor();
  await page.keyboard.press("0");
  await all().waitFor({ state: "detached" });
  await page.keyboard.press("ArrowLeft");
  await page.locator(".chart.main").getByRole("button", { name: "table" }).click();
  assert.ok((await page.locator(".values tbody tr").count()) > 5);
});

test("runs that differ in the seed only are said to show no detectable difference, in groups and over seeds", async () => {
  const spec = (seed) => ({ ...shortRun, name: `seed ${seed}`, seed, steps: 60, overrides: { ...shortRun.overrides, "intervals.eval_every": 20 } });
  const runs = [];
  for (const seed of [11, 12, 13, 14, 15, 16]) runs.push((await lab.api("/runs", { method: "POST", body: spec(seed) })).summary.id);
  await lab.until("six runs", async () => (await Promise.all(runs.map(of))).every((run) => run.state === "finished"));
  for (const [at, run] of runs.entries()) await lab.api(`/runs/${run}`, { method: "PATCH", body: { tags: [at < 3 ? "one" : "two"] } });
  const found = await lab.api(`/compare?baseline=tag:one&change=tag:two`);
  await page.goto(`${lab.url}/compare?runs=${runs.join(",")}&group=tag`);
  const panel = page.locator(".fair");
  await panel.locator(".verdict", { hasText: found.changes[0].sentence }).waitFor();
  const { difference, verdict } = found.changes[0].over_seeds;
  assert.equal(verdict.kind === "different", difference.low > 0 || difference.high < 0);
  if (verdict.kind !== "different") assert.match(found.changes[0].sentence, /^No detectable difference between 3 runs/);
  const row = panel.locator("tbody tr", { hasText: "two, 3 runs" });
  await row.getByText("seeds", { exact: true }).waitFor();
  await panel.getByText(/on the validation text tales: [\d\s]+ windows of 32 tokens/).waitFor();
  // Each run alone: the spread over seeds is unknown, and what to do is said.
  await panel.locator("select").first().selectOption("run");
  await panel.locator(".verdict", { hasText: "run at least 3 seeds of each" }).first().waitFor();
  assert.equal(await panel.locator("tbody tr", { hasText: "validation text" }).count(), 5);
  // What is equal is chosen, and is in the address of the shared view.
  await panel.getByRole("button", { name: "FLOPs" }).click();
  await panel.getByText(/Compared after .*FLOP/).waitFor();
});

test("more seeds of a run are queued from the comparison, and give its noise floor", async () => {
  await page.goto(`${lab.url}/compare?runs=${parent},${fork}`);
  const panel = page.locator(".fair");
  await panel.getByRole("button", { name: "Run 3 more seeds of root" }).click();
  await page.getByText("3 runs with other seeds are in the queue.").waitFor();
  const family = async () => (await lab.api(`/runs?tag=seeds:${parent}`)).filter((run) => run.state === "finished");
  await lab.until("the repeats", async () => (await family()).length === 4);
  await page.goto(`${lab.url}/compare?runs=${parent},${fork}&chart=loss.valid`);
  await page.getByText("noise floor: the range of 95 % of runs with other seeds").waitFor();
  await panel.getByText(/Noise floor: the standard deviation over seeds is .* from 4 runs/).waitFor();
  await page.locator(".chart.main canvas[aria-label*='noise floor']").first().waitFor();
  // The family is named by its first run, and a press on its tag in the list of runs shows it alone.
  const ids = (await family()).map((run) => run.id).join(",");
  await page.goto(`${lab.url}/compare?runs=${fork},${ids}&group=seeds`);
  await panel.locator("tbody tr", { hasText: "root, 4 seeds" }).waitFor();
  await page.setViewportSize({ width: 390, height: 844 });
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 390, "nothing to scroll to sideways");
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.goto(lab.url);
  await page.locator("button.tag", { hasText: "seeds of root" }).first().click();
  await page.getByRole("group", { name: "Active filters" }).getByText("tag: seeds of root").waitFor();
  await lab.until("the family alone", async () => (await page.locator(".runs .run-name").count()) === 4);
});

test("scores on a task that both runs have are compared with their uncertainty", async () => {
  const items = ["Once", "Once upon", "there was", "time there was"].map((prompt) => ({ prompt, choices: [" a", " the"], answer: 1 }));
  await lab.api("/tasks", { method: "POST", body: { name: "articles", kind: "multiple_choice", items } });
  for (const run of [parent, fork]) await lab.api(`/runs/${run}/scores`, { method: "POST", body: { task: "articles" } });
  const results = (run) => lab.api(`/runs/${run}/tasks`).then(({ results }) => results.length);
  await lab.until("both scores", async () => (await results(parent)) > 0 && (await results(fork)) > 0);
  const [found] = (await lab.api(`/compare?baseline=${parent}&change=${fork}`)).tasks;
  await page.goto(`${lab.url}/compare?runs=${parent},${fork}`);
  const panel = page.locator(".fair");
  await panel.getByRole("heading", { name: "Task articles, newest accuracy of each run" }).waitFor();
  await panel.locator(".verdict", { hasText: found.changes[0].sentence }).waitFor();
  assert.match(found.changes[0].sentence, /over items, not over seeds .* no score at a common step/);
  const table = panel.getByRole("region", { name: "Scores on the task articles" });
  await table.locator("tr", { hasText: "root (baseline)" }).waitFor();
  await table.locator("tr", { hasText: "branch" }).getByText("items", { exact: true }).waitFor();
});

test("an abandoned branch is dashed in the lineage", async () => {
  const spec = { ...longRun, name: "wanderer", overrides: { ...longRun.overrides, "intervals.checkpoint_every": 100, "retention.latest": 100 } };
  const wanderer = (await lab.api("/runs", { method: "POST", body: spec })).summary.id;
  const order = (body) => lab.api(`/runs/${wanderer}/commands`, { method: "POST", body });
  await lab.until("150 steps", async () => (await of(wanderer)).step > 150);
  await order({ kind: "pause" });
  const saved = async () => (await lab.api(`/runs/${wanderer}/checkpoints`)).some(({ info }) => info.id === "0-100");
  await lab.until("the checkpoint of step 100", saved);
  const left = (await of(wanderer)).step;
  await order({ kind: "rollback", checkpoint: "0-100" });
  await order({ kind: "step", steps: 20 });
  await order({ kind: "stop" });
  await page.goto(`${lab.url}/compare?runs=${wanderer}`);
  const segments = page.locator(".tree a.segment");
  await segments.nth(1).waitFor();
  assert.equal(await segments.count(), 2);
  assert.match(await segments.first().getAttribute("aria-label"), new RegExp(`wanderer, up to step 100, then an abandoned branch to step ${left}: steps 0 to ${left}`));
  assert.equal(await page.locator(".tree .abandoned").count(), 1);
  await page.goto(`${lab.url}/compare?runs=${parent},${fork}`);
});

test("a segment of the lineage is a link to its run", async () => {
  const segments = page.locator(".tree a.segment");
  await segments.nth(1).waitFor();
  assert.equal(await segments.count(), 2);
  const label = await segments.nth(1).getAttribute("aria-label");
  assert.match(label, /branch: steps 100 to 400/);
  await segments.nth(1).click();
  await page.getByRole("heading", { name: "branch", level: 1 }).waitFor();
  await page.getByRole("link", { name: "Compare with parent" }).click();
  await page.locator(".chosen li", { hasText: "root" }).waitFor();
  await page.locator(".tree a.segment").first().focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "root", level: 1 }).waitFor();
  assert.deepEqual(page.faults.filter((fault) => !fault.includes("/runs/nope")), []);
});
