// Evaluation tasks on the page of a run: a checkpoint is scored, the interval is set, a viewer sees the scores and cannot request any.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { violations } from "./accessibility.mjs";
import { longRun, openAs, openBrowser, openLab, runState } from "./lab.mjs";

let lab, browser, run;

const spec = {
  ...longRun,
  name: "scored",
  overrides: { ...longRun.overrides, "intervals.checkpoint_every": 50, breakpoints: [120] },
};
const task = {
  name: "letters",
  about: "A text of the dataset.",
  kind: "perplexity",
  items: [{ text: "Once upon a time" }, { text: "there was a" }],
};
const scores = () => lab.api(`/runs/${run}/tasks`);

/** A paused run with two checkpoints. */
before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  await lab.ready();
  await lab.api("/tasks", { method: "POST", body: task });
  run = (await lab.api("/runs", { method: "POST", body: spec })).summary.id;
  await lab.until("the breakpoint", async () => (await lab.api(`/runs/${run}`)).summary.state === "paused");
});

after(async () => {
  await browser?.close();
  lab?.close();
});

/** The panel of the tasks on the page of the run. */
async function openTasks(role, options = {}) {
  const page = await openAs(browser, lab, role, options);
  await page.goto(`${lab.url}/runs/${run}`);
  await runState(page, "paused").waitFor();
  await page.getByRole("button", { name: "Show tasks and metrics for diagnosis" }).click();
  const panel = page.locator(".panel.tasks");
  await panel.getByRole("button", { name: "Evaluate" }).waitFor();
  return { page, panel };
}

test("a checkpoint is scored and its score is shown as a chart and a table", async () => {
  const { page, panel } = await openTasks("steer");
  await panel.getByText("No scores yet").waitFor();
  await panel.locator("select").nth(0).selectOption("letters");
  await panel.getByText("A text of the dataset. 2 items, perplexity of a text.").waitFor();
  await panel.locator("select").nth(1).selectOption("0-100");
  await panel.getByRole("button", { name: "Evaluate" }).click();
  const row = panel.locator("tbody tr").first();
  await row.waitFor();
  const [stored] = (await scores()).results;
  assert.equal(stored.checkpoint, "0-100");
  assert.match(await row.innerText(), /^100\s/);
  await panel.locator("figure").filter({ hasText: "letters, nats per token" }).waitFor();
  const names = await lab.api(`/runs/${run}/series/names`);
  assert.ok(names.includes("eval/letters/perplexity"), names.join());

  await panel.locator("form input").fill("50");
  await panel.getByRole("button", { name: "Set", exact: true }).click();
  await panel.getByText("those at multiples of 50 steps are scored").waitFor();
  await lab.until("the scores of the schedule", async () => (await scores()).results.length === 2);
  await panel.locator("tbody tr").nth(1).waitFor();
  await panel.getByRole("button", { name: "Turn off" }).click();
  await panel.getByText("scored only when you select Evaluate").waitFor();

  assert.deepEqual(await violations(page, ".panel.tasks"), []);
  await page.close();
});

test("a condition on a score raises an alert, and is listed and deleted under Settings", async () => {
  const { page, panel } = await openTasks("steer");
  await panel.locator("tbody tr").first().waitFor();
  await panel.getByRole("button", { name: "Alert on this score" }).click();
  const form = panel.locator(".condition-form");
  assert.equal(await form.getByLabel("Metric").inputValue(), "eval/letters/nats_per_token");
  assert.ok(await form.getByRole("button", { name: "Add", exact: true }).isDisabled(), "without a threshold");
  await form.getByLabel("Alert when it is").selectOption("above");
  await form.getByLabel("Threshold").fill("0.01");
  await form.getByRole("button", { name: "Add", exact: true }).click();
  const list = panel.getByRole("list", { name: "Conditions on metrics" });
  await list.getByText("eval/letters/nats_per_token above 0.01").waitFor();
  await list.getByText("the run scored").waitFor();

  await panel.locator("select").nth(0).selectOption("letters");
  await panel.locator("select").nth(1).selectOption("0-100");
  await panel.getByRole("button", { name: "Evaluate" }).click();
  const [raised] = await lab.until("the alert", async () => {
    const alerts = (await lab.api("/alerts")).filter((alert) => alert.kind === "metric");
    return alerts.length > 0 && alerts;
  });
  assert.equal(raised.title, "scored: eval/letters/nats_per_token above 0.01");
  assert.match(raised.text, /at the checkpoint of step 100, above the threshold 0\.01/);

  await page.goto(`${lab.url}/settings`);
  const line = page.getByRole("list", { name: "Conditions on metrics" }).locator("li");
  await line.getByText("eval/letters/nats_per_token above 0.01").waitFor();
  assert.deepEqual(await violations(page, "#alerts"), []);
  await line.getByRole("button", { name: "Delete" }).click();
  await page.getByText("No conditions: metrics raise no alerts.").waitFor();
  assert.deepEqual(await lab.api("/alert-conditions"), []);
  await page.close();
});

test("the task of a generated dataset is offered for a new run, and is scored if it is chosen", async () => {
  const page = await openAs(browser, lab, "steer");
  await page.goto(`${lab.url}/start?dataset=tales`);
  const list = page.getByRole("list", { name: "Evaluation tasks" });
  const box = list.getByRole("checkbox", { name: "tales-holder" });
  await box.waitFor();
  assert.ok(!(await box.isChecked()), "none is chosen by default");
  await page.getByText("Each score is a forward pass over all items of the task").waitFor();
  await box.check();
  const interval = list.getByRole("textbox");
  await interval.fill("0");
  const start = page.locator(".preview").getByRole("button", { name: /^(Start|Add to queue)/ });
  await lab.until("the refusal", () => start.isDisabled());
  await interval.fill("250");
  await list.getByText(/scores of 200 items/).waitFor();
  await start.click();
  await page.waitForURL((url) => url.pathname.startsWith("/runs/"));
  const made = new URL(page.url()).pathname.split("/").pop();
  const { schedules } = await lab.api(`/runs/${made}/tasks`);
  assert.deepEqual(schedules, [{ task: "tales-holder", every: 250 }]);
  await page.close();
});

test("a viewer sees the scores, also on a phone, and cannot request any", async () => {
  const { page, panel } = await openTasks("view", { viewport: { width: 390, height: 800 } });
  await panel.locator("tbody tr").first().waitFor();
  assert.ok(await panel.getByRole("button", { name: "Evaluate" }).isDisabled());
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 390));
  await page.close();
});
