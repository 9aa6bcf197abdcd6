// Inspections of a model while it trains: overview, attention, logit lens, snapshots, batch, a prompt, interventions
// and weight edits.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { longRun, openBrowser, openLab, openPage, runState, signIn } from "./lab.mjs";

let lab, browser, page, run;

const overrides = {
  "model.layers": 2,
  "model.heads": 4,
  "model.d_model": 64,
  "model.d_ff": 128,
  "intervals.eval_every": 200,
  "intervals.checkpoint_every": 100,
  "retention.every_nth": 1,
};
const spec = { ...longRun, name: "inspected", overrides: { ...longRun.overrides, ...overrides } };

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  page = await openPage(browser);
  await signIn(page, lab.link);
  await lab.ready();
  run = (await lab.api("/runs", { method: "POST", body: spec })).summary.id;
  await page.goto(`${lab.url}/runs/${run}`);
  await runState(page, "running").waitFor();
});

after(async () => {
  await browser?.close();
  lab?.close();
});

const component = (name) => page.locator(`.component[title^="${name}:"]`);
const tab = (label) => page.locator(".xray-tabs .tab", { hasText: label });
const shownStep = async (view = page.locator(".view").first()) => {
  const text = await view.locator(".provenance .mono").first().innerText();
  return Number(text.replace(/\D/g, ""));
};
const until = (what, condition) => lab.until(what, condition);
const snapshotSteps = () => lab.api(`/runs/${run}/snapshots/steps`);
const heats = (tokens) =>
  tokens.evaluateAll((all) => all.map((token) => Number(getComputedStyle(token).getPropertyValue("--heat"))));

test("the overview shows every component live, coloured by the chosen quantity, and links to its view", async () => {
  await page.getByRole("link", { name: "X-ray", exact: true }).click();
  await component("block.1.mlp").waitFor();
  assert.equal(await page.locator(".component").count(), 7, "embedding, two in each of two blocks, norm, head");
  const title = (name) => component(name).getAttribute("title");
  await until("a value of the embedding", async () => /activation RMS [\d.]/.test(await title("embedding")));
  assert.match(await title("block.1.mlp"), /hook point blocks\.1\.hook_mlp_out$/);
  const first = await shownStep();
  await until("a newer result", async () => (await shownStep()) > first);
  await page.locator(".overhead", { hasText: /inspected every .*, costs .* % of the training time/ }).waitFor();
  await page.getByLabel("Color by").selectOption("gradient norm");
  const gradientNorm = /gradient norm [\d.]+(e-\d+)?/;
  await until("a gradient norm", async () => gradientNorm.test(await title("block.0.attention")));
  await page.getByLabel("Color by").selectOption("attention entropy");
  await until("an entropy", async () => /attention entropy [\d.]+(e-\d+)?\u202fnats/.test(await title("block.0.attention")));
  const table = page.getByRole("region", { name: "All components" });
  await table.getByText("blocks.0.hook_attn_out").waitFor();
  await component("block.1.attention").click();
  await page.locator(".crumbs", { hasText: "block 1 attention" }).waitFor();
  await page.locator(".explain", { hasText: "softmax" }).waitFor();
  await page.locator("h1").first().press("Escape");
  await page.locator(".view[data-view=overview]").waitFor();
  await page.goBack();
  await page.locator(".view[data-view=attention]").waitFor();
});

test("attention shows all heads of a block, one of them large, and what a token attends to", async () => {
  await until("four heads", async () => (await page.locator(".head-card").count()) === 4);
  await page.getByText("blocks.1.attn.hook_pattern").waitFor();
  await page.locator(".head-card").nth(2).click();
  await page.locator(".facts h3", { hasText: "Head 2" }).waitFor();
  assert.match(page.url(), /head=2/);
  for (const label of ["attention entropy", "mean distance", "previous-token score", "induction score", "largest attention score"]) {
    await page.locator(".facts dt", { hasText: label }).waitFor();
  }
  const caption = page.locator(".large figcaption");
  await page.locator(".large .drawing").focus();
  for (let at = 0; at < 5; at++) await page.keyboard.press("ArrowDown");
  await caption.filter({ hasText: /attends to .* with weight/ }).waitFor();
  const tokens = page.locator(".view .token-text .t");
  await tokens.nth(6).hover();
  await until("what token 6 attends to", async () => /\(6\) attends to/.test(await caption.innerText()));
  const weights = await heats(tokens);
  assert.ok(weights.slice(0, 7).some((heat) => heat > 0), "it attends to an earlier token");
  assert.ok(weights.slice(7).every((heat) => heat === 0), "it attends to no later token");
  const saved = page.waitForEvent("download");
  await page.locator(".large .drawing .save").click();
  const file = await saved;
  assert.equal(file.suggestedFilename(), "attention.svg");
  assert.match(readFileSync(await file.path(), "utf8"), /^<svg[\s\S]*<\/svg>\s*$/);
  await page.getByText("Statistics of all heads").click();
  assert.equal(await page.locator(".view details tbody tr").count(), 4);
});

test("Back from a neuron leads to the neurons of its block, not out of the page", async () => {
  const heading = page.getByRole("heading", { name: "Neuron 3 of block 0" });
  const form = page.getByRole("button", { name: "Show its top contexts" });
  await page.goto(`${lab.url}/runs/${run}/xray`);
  await tab("Neurons").click();
  await page.getByRole("textbox", { name: "Neuron" }).fill("3");
  await form.click();
  await heading.waitFor();
  await page.goBack();
  await form.waitFor();
  assert.match(page.url(), /view=neurons&layer=0$/);
  await page.goForward();
  await heading.waitFor();
  await page.locator("h1").first().press("Escape");
  await form.waitFor();
  await page.goBack();
  await heading.waitFor();
  await page.goBack();
  await page.goBack();
  await page.locator(".view[data-view=overview]").waitFor();
});

test("a block that the model does not have is named, and the inspection is not requested", async () => {
  await page.goto(`${lab.url}/runs/${run}/xray?view=attention&layer=77&head=0`);
  await page.getByRole("heading", { name: "Block 77 does not exist" }).waitFor();
  assert.equal(await page.getByText("Attention patterns of block 77").count(), 0);
  await page.getByRole("link", { name: "Show block 0" }).click();
  await page.getByRole("heading", { name: "Attention patterns of block 0" }).waitFor();
});

test("a paused run shows its current weights, not a live stream", async () => {
  const command = (kind) => lab.api(`/runs/${run}/commands`, { method: "POST", body: { kind } });
  await command("pause");
  await page.locator(".provenance", { hasText: "current weights (run paused)" }).first().waitFor();
  await page.getByRole("button", { name: "newest", exact: true }).waitFor();
  assert.equal(await page.locator(".overhead", { hasText: "training time" }).count(), 0);
  await command("resume");
  await page.locator(".provenance", { hasText: "live, updated every" }).first().waitFor();
});

test("a prompt is inspected with the newest weights", async () => {
  const text = page.locator(".view .token-text").first();
  await page.getByRole("button", { name: "prompt", exact: true }).click();
  await page.getByLabel("Prompt", { exact: true }).fill("Once upon a time");
  await page.getByRole("button", { name: "Inspect", exact: true }).click();
  await until("the tokens of the prompt", async () => (await text.innerText()).startsWith("Once"));
  assert.match(page.url(), /prompt=Once/);
  await page.getByRole("button", { name: "validation window", exact: true }).click();
  await page.getByRole("button", { name: "Inspect", exact: true }).click();
  await until("the validation window", async () => !(await text.innerText()).startsWith("Once"));
});

test("the logit lens shows the prediction after each block and each token coloured by its loss", async () => {
  await tab("Logit lens").click();
  await page.locator(".lens .lens-table").focus();
  for (let at = 0; at < 4; at++) await page.keyboard.press("ArrowRight");
  const heading = /Position 4, “.*”: the next token is “.*”\. Prediction: “.*” \(.*%\)/;
  await page.locator(".view h3", { hasText: heading }).waitFor();
  const rows = page.locator(".view table.dense tbody tr");
  assert.deepEqual(await rows.locator("th").allInnerTexts(), ["embedding", "block 0", "block 1"]);
  assert.equal(await rows.last().locator("th").getAttribute("title"), "hook point blocks.1.hook_resid_post");
  const last = rows.last().locator("td");
  const rank = Number((await last.nth(2).innerText()).replace(/\D/g, ""));
  const predictions = await last.nth(0).innerText();
  assert.ok(rank >= 1 && predictions.split(", “").length === 3, `rank ${rank} of ${predictions}`);
  const losses = await heats(page.locator(".view .token-text .t"));
  // A token that the model predicts almost surely has a loss that is shown as zero.
  const lossy = losses.filter((heat) => heat > 0).length;
  assert.ok(losses[0] === 0 && lossy > losses.length / 2, `the first token has no loss, most others do: ${losses}`);
});

test("snapshots are chosen with the slider, played, and compared with each other", async () => {
  await tab("Attention").click();
  await until("thirty snapshots", async () => (await snapshotSteps()).length >= 30);
  await page.reload();
  const slider = page.getByRole("slider", { name: "Step", exact: true });
  await until("the slider to have them", async () => Number(await slider.getAttribute("max")) >= 30);
  await slider.fill("10");
  await until("step 10", async () => (await shownStep()) === 10);
  await page.locator(".provenance", { hasText: "snapshot" }).first().waitFor();
  await page.locator("h1").first().press("ArrowRight");
  await until("step 11", async () => (await shownStep()) === 11);
  await page.locator("h1").first().press(" ");
  await until("a later step", async () => (await shownStep()) > 20);
  await page.locator("h1").first().press(" ");
  // Snapshots hold what training steps measured, too.
  await page.getByLabel("Color by").selectOption("gradient norm");
  await slider.fill("20");
  const title = () => component("block.0.attention").getAttribute("title");
  await until("a gradient norm of that step", async () => /gradient norm [\d.]/.test(await title()));
  await slider.fill("3");
  const compare = page.getByRole("button", { name: "Compare two steps" });
  await compare.click();
  const other = page.locator(".view.other");
  await until("another step beside it", async () => (await shownStep(other)) > 3);
  assert.equal(await shownStep(), 3);
  await compare.click();
  // What has no snapshot is computed from a checkpoint.
  await tab("Neurons").click();
  const last = (await snapshotSteps()).at(-1);
  const isBefore = (saved) => saved.info.id.split("-")[1] <= last;
  await until("a checkpoint", async () => (await lab.api(`/runs/${run}/checkpoints`)).some(isBefore));
  await slider.fill(String(Number(await slider.getAttribute("max")) - 1));
  await page.getByRole("heading", { name: "No snapshot at this step" }).waitFor();
  await page.getByRole("button", { name: /^Compute from/ }).click();
  await page.locator(".provenance", { hasText: "computed from a checkpoint" }).waitFor();
  await page.getByText("blocks.0.mlp.hook_post").waitFor();
  await page.getByRole("button", { name: "live" }).click();
  await page.locator(".provenance", { hasText: "live, updated every" }).first().waitFor();
  // A matrix over the snapshots, one curve for each block.
  await tab("Weights").click();
  await page.getByLabel("Matrix", { exact: true }).selectOption("mlp.up");
  const legend = () => page.locator(".legend").innerText();
  await until("a curve for each block", async () => /^block 0: stable rank [\d.]+ → [\d.]+\s+block 1: /.test(await legend()));
});

test("a step of the loss curve leads to its batch, coloured by loss, and to its largest gradient", async () => {
  await page.goto(`${lab.url}/runs/${run}`);
  const field = page.locator(".chart.main .field");
  await runState(page, "running").waitFor();
  const box = await field.boundingBox();
  await page.mouse.click(box.x + box.width / 3, box.y + box.height / 2);
  const link = page.locator(".chart.main .batch-link");
  const step = Number((await link.innerText()).replace(/\D/g, ""));
  await link.click();
  await page.locator(".view[data-view=batch] .contexts li").first().waitFor();
  assert.match(page.url(), new RegExp(`batch=${step}$`));
  const means = await page.locator(".contexts li .mono").allInnerTexts();
  const losses = means.map((text) => Number(text.split(/\s/)[0].replace(",", ".")));
  assert.deepEqual(losses, [...losses].sort((a, b) => b - a), "highest loss first");
  const first = page.locator(".gradients a").first();
  const tensor = await first.innerText();
  await first.click();
  await page.locator(".crumbs", { hasText: tensor }).waitFor();
  const canvas = page.locator(".drawing.matrix canvas");
  await until("its heat map", async () => /Rows 0 to/.test(await canvas.getAttribute("aria-label")));
  await page.locator(".drawing.matrix").focus();
  await page.keyboard.press("+");
  const isWhole = async () => /Rows 0 to .* columns 0 to/.test(await canvas.getAttribute("aria-label"));
  await until("a smaller part", async () => !(await isWhole()));
});

test("a component is ablated on a copy, then in the run as a weight edit, which is undone, and in a fork", async () => {
  await page.goto(`${lab.url}/runs/${run}/xray?view=interventions`);
  const isEdit = (line) => line.event.kind === "weights_edited";
  const edits = async () => (await lab.api(`/runs/${run}/events`)).filter(isEdit);
  const ablate = page.getByRole("button", { name: "Ablate attention of block 0" });
  const apply = page.getByRole("button", { name: "Apply to the run" });
  const confirm = page.getByRole("dialog").getByRole("button", { name: "Apply", exact: true });
  await page.getByLabel("Component").selectOption("attention");
  assert.ok(await page.getByRole("heading", { name: "Weight edit" }).isHidden(), "nothing can be applied yet");
  await ablate.click();
  await page.locator(".intervention-table").waitFor();
  assert.deepEqual(await edits(), [], "the run has not changed");
  await page.getByLabel("Reason").fill("is it needed?");
  await apply.click();
  await confirm.click();
  await page.getByText(/Applied at step .*: attention of block 0 ablated/).waitFor();
  const [line] = await edits();
  assert.equal(line.reason, "is it needed?");
  assert.deepEqual(line.event.interventions, [{ component: { attention: { layer: 0 } }, factor: 0 }]);

  await page.locator(".chosen-interventions li").waitFor({ state: "detached" });
  assert.ok(await apply.isDisabled(), "an applied intervention is not applied again");

  await ablate.click();
  await page.locator(".intervention-table").waitFor();
  await page.getByRole("button", { name: "Fork with this edit" }).click();
  const link = page.locator(".weight-edit", { hasText: /Queued .* with this edit/ }).getByRole("link");
  const fork = (await link.getAttribute("href")).split("/").pop();
  const first = await until("the edit of the fork", async () => (await lab.api(`/runs/${fork}/events`)).find(isEdit));
  const { plan } = await lab.api(`/runs/${fork}`);
  assert.equal(first.step, Number(plan.origin.from.checkpoint.split("-")[1]));
  await lab.api(`/runs/${fork}/commands`, { method: "POST", body: { kind: "stop" } });

  await page.goto(`${lab.url}/runs/${run}`);
  await page.locator(".journal li", { hasText: "attention of block 0 ablated" }).waitFor();
  await page.keyboard.press("u");
  const choice = page.getByRole("dialog", { name: /Undo the last change/ });
  await choice.getByRole("button", { name: /^Roll back to step/ }).click();
  await page.locator(".journal li", { hasText: "rolled back" }).first().waitFor();
  assert.deepEqual(page.faults, []);
});
