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
  const faults = () => page.locator("form .field-error:not(:empty)").count();
  assert.equal(await faults(), 0, "a form that was just opened shows no error");
  await start.click();
  await page.getByText("Predicted difference: Enter").waitFor();
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
  await page.getByText("You can view experiments but not start them").waitFor();
  await page.close();
});

/** A research loop that waits for proposals, with runs that take seconds. Returns its id once the noise floor is measured. */
async function waitingLoop() {
  const overrides = { ...spec.overrides, "model.d_model": 16, "model.d_ff": 32, "model.heads": 2, "model.kv_heads": 2, "batch.size": 2 };
  const body = {
    title: "Tune speck",
    base: { preset: "tiny", corpus: "tales", steps: 16_000, overrides },
    parameters: { "optimizer.learning_rate": { log: [1e-5, 1e-1] }, "optimizer.weight_decay": { float: [0, 0.4] } },
    budget: { device_hours: 2 },
    screening: { seeds: 2, fraction: 0.1 },
    proposer: "agent",
  };
  const { id } = await lab.api("/research-loops", { method: "POST", body });
  await lab.until("the noise floor", async () => {
    const { rounds } = await lab.api(`/research-loops/${id}`);
    return rounds[0]?.decision?.outcome === "measured";
  });
  return id;
}

test("a research loop is started, watched, paused, given hints, and its proposal is vetoed", async () => {
  const page = await open("steer", "/experiments");
  await page.getByRole("link", { name: "Research loops" }).click();
  await page.getByText("No research loops yet").waitFor();
  await page.getByRole("link", { name: "New research loop" }).click();
  const start = page.getByRole("button", { name: "Start research loop" });
  assert.equal(await page.locator("form .field-error:not(:empty)").count(), 0, "an untouched form shows no error");
  await start.click();
  await page.getByText("The title of 0 characters is not valid.").waitFor();
  await page.getByLabel("Title").fill("Started here");
  await page.getByLabel("Steps").fill("400000");
  await page.getByText("At most 30 min of device time").waitFor();
  assert.deepEqual(await violations(page), []);
  await start.click();
  await page.waitForURL(/\/research\/\d+$/);
  await page.getByRole("heading", { name: "Started here" }).waitFor();
  await page.getByRole("heading", { name: "Round 1" }).waitFor();
  await page.getByRole("button", { name: "Stop …" }).click();
  await page.getByLabel("Reason").fill("It is too long.");
  await page.getByRole("button", { name: "Stop the loop" }).click();
  await page.locator("header .state[data-state=stopped]").waitFor();

  const id = await waitingLoop();
  await page.goto(`${lab.url}/research/${id}`);
  await page.getByText("It waits for the proposal of an agent.").waitFor();
  const proposal = {
    parameter: "optimizer.learning_rate",
    values: [0.003, 0.004, 0.008, 0.016],
    prediction: { difference: -0.05, probability: 0.5 },
    reason: "Larger steps.",
  };
  await lab.api(`/research-loops/${id}/proposals`, { method: "POST", body: proposal });
  await page.getByRole("heading", { name: "Round 2" }).waitFor();
  await page.locator(".loop-table a", { hasText: "0.003" }).waitFor();
  await page.getByRole("button", { name: "Veto …" }).click();
  await page.getByLabel("Reason").fill("Too large.");
  await page.getByRole("button", { name: "Veto the proposal" }).click();
  await page.locator(".loop-rounds li[data-outcome=vetoed]", { hasText: "Too large." }).waitFor();
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await page.locator("header .state[data-state=paused]").waitFor();
  const proposer = (name) => page.getByRole("button", { name, pressed: true });
  await proposer("An agent proposes").waitFor();
  await page.getByRole("button", { name: "Built-in strategy proposes" }).click();
  await proposer("Built-in strategy proposes").waitFor();
  await page.getByText("the built-in strategy makes the proposals from the next round on").waitFor();
  await page.getByRole("button", { name: "An agent proposes" }).click();
  await proposer("An agent proposes").waitFor();
  await page.getByText("The loop waits for each proposal without a time limit").waitFor();
  await page.getByRole("button", { name: "Resume" }).click();
  await page.locator("header .state[data-state=running]").waitFor();
  await page.getByRole("button", { name: "Pin optimizer.weight_decay" }).click();
  const pinned = page.getByRole("button", { name: "Pin optimizer.weight_decay", pressed: true });
  await pinned.waitFor();
  await page.setViewportSize({ width: 390, height: 800 });
  const { x, width } = await pinned.boundingBox();
  assert.ok(x >= 0 && x + width <= 390, `the button is on the screen of a phone: ${x} + ${width}`);
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.getByLabel("Value", { exact: true }).fill("0.001");
  await page.getByRole("button", { name: "Suggest" }).click();
  await page.getByText("Suggested: optimizer.learning_rate = 0.001").waitFor();
  await page.getByRole("button", { name: "Stop …" }).click();
  await page.getByLabel("Reason").fill("It was watched.");
  await page.getByRole("button", { name: "Stop the loop" }).click();
  await page.locator("header .state[data-state=stopped]").waitFor();
  assert.deepEqual(page.faults, []);
  await page.close();

  const phone = await open("view", `/research/${id}`, { viewport: { width: 390, height: 800 } });
  await phone.getByRole("heading", { name: "Tune speck" }).waitFor();
  assert.equal(await phone.getByRole("button", { name: "Stop …" }).count(), 0);
  for (const path of ["/research", `/research/${id}`]) {
    await phone.goto(`${lab.url}${path}`);
    await phone.getByText("Tune speck").first().waitFor();
    assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= 390), path);
    assert.deepEqual(await violationsInBothThemes(phone), [], path);
  }
  await phone.close();
});
