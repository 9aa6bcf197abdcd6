// Experiments: from a hypothesis to a verdict on the page; a viewer reads it, also on a phone.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { violations, violationsInBothThemes } from "./accessibility.mjs";
import { openAs, openBrowser, openLab } from "./lab.mjs";

let lab, browser, run;

/** A run of so few steps that an experiment of its plan takes seconds. */
const spec = {
  preset: "tiny",
  corpus: "tales",
  steps: 60,
  name: "short",
  overrides: { "model.layers": 1, "model.d_model": 32, "model.d_ff": 64, "model.seq": 32, "intervals.eval_batches": 2 },
};

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  await lab.ready();
  run = (await lab.api("/runs", { method: "POST", body: spec })).summary.id;
  await lab.until("the run", async () => (await lab.api(`/runs/${run}`)).summary.state === "finished");
});

after(async () => {
  await browser?.close();
  lab?.close();
});

async function open(role, path, options = {}) {
  const page = await openAs(browser, lab, role, options);
  await page.goto(`${lab.url}${path}`);
  return page;
}

/** The id of the experiment of the first test; without it, of one that is created here and has its verdict. */
async function shownExperiment() {
  const [known] = await lab.api("/experiments");
  if (known) return known.id;
  const body = {
    title: "No learning",
    hypothesis: "A learning rate of 1e-7 leaves the loss where it begins.",
    baseline: { run },
    change: { overrides: { "optimizer.learning_rate": 1e-7 } },
    prediction: { difference: 0.5, probability: 0.9 },
    rule: { effect: 0.02, max_pairs: 6 },
    budget: { steps: 60, device_hours: 1 },
  };
  const { id } = await lab.api("/experiments", { method: "POST", body });
  await lab.until("the verdict", async () => (await lab.api(`/experiments/${id}`)).state === "decided");
  return id;
}

test("a hypothesis is stated, its change is trained in pairs, and a verdict follows", async () => {
  const page = await open("steer", "/experiments");
  await page.getByText("No experiments yet").waitFor();
  await page.goto(`${lab.url}/`);
  await page.getByRole("button", { name: "Actions of short" }).click();
  await page.getByRole("link", { name: "Test a change" }).click();
  await page.waitForURL(/\/experiments\/new\?from=/);
  const start = page.getByRole("button", { name: "Start experiment" });
  assert.ok(await start.isDisabled());
  await page.getByLabel("Title").fill("No learning");
  await page.getByLabel("Hypothesis").fill("A learning rate of 1e-7 leaves the loss where it begins.");
  await page.getByLabel("New value").fill("1e-7");
  await page.getByLabel("Predicted difference").fill("0.5");
  await page.getByLabel("Probability of confirmation").fill("0.9");
  await page.getByLabel("Smallest effect that counts").fill("0.02");
  await page.getByLabel("Maximum pairs", { exact: true }).fill("6");
  await page.getByText("At most 12 runs of at most 60 steps").waitFor();
  assert.deepEqual(await violations(page), []);
  await start.click();
  await page.waitForURL(/\/experiments\/\d+$/);
  await page.getByRole("heading", { name: "No learning" }).waitFor();
  await page.getByText("optimizer.learning_rate = 1e-7").first().waitFor();
  await page.getByRole("heading", { name: "Verdict" }).waitFor();
  await page.locator(".verdict", { hasText: "Confirmed after" }).waitFor();
  await page.getByText("Confirmation was predicted with a probability of 0.9").waitFor();
  const [stored] = await lab.api("/experiments");
  assert.equal(stored.verdict.outcome, "confirmed");
  assert.equal(await page.locator(".pair-table tbody tr").count(), stored.verdict.pairs);
  assert.ok((await page.locator(".pair-table svg .span").count()) >= 1, "the interval is drawn");
  const edges = (cells) => cells.map((cell) => Math.round(cell.getBoundingClientRect().right));
  const [heads, values] = ["thead tr > *", "tbody tr:first-child > *"].map((row) => page.locator(`.pair-table ${row}`));
  assert.deepEqual(await heads.evaluateAll(edges), await values.evaluateAll(edges), "headers are over their columns");
  assert.deepEqual(await violations(page), []);
  await page.getByRole("link", { name: "Experiments", exact: true }).click();
  await page.locator(".list li", { hasText: "No learning" }).getByText("confirmed", { exact: true }).waitFor();
  await page.getByText("Brier score 0.01").waitFor();
  assert.deepEqual(page.faults, []);
  await page.close();
});

test("a viewer reads experiments on a phone, in light and dark", async () => {
  const id = await shownExperiment();
  const page = await open("view", "/experiments", { viewport: { width: 390, height: 800 } });
  await page.locator(".list li", { hasText: "No learning" }).first().waitFor();
  assert.equal(await page.getByRole("link", { name: "New experiment" }).count(), 0);
  for (const path of ["/experiments", `/experiments/${id}`]) {
    await page.goto(`${lab.url}${path}`);
    await page.getByText("No learning").first().waitFor();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 390), path);
    assert.deepEqual(await violationsInBothThemes(page), [], path);
  }
  await page.goto(`${lab.url}/experiments/999`);
  await page.getByText("Experiment not found").first().waitFor();
  await page.goto(`${lab.url}/experiments/new`);
  await page.getByText("You can view experiments and not start them").waitFor();
  await page.close();
});
