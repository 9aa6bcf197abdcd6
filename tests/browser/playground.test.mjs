// A checkpoint completes a prompt: tokens with probabilities and alternatives, two checkpoints, stopping, a refusal.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser, openLab, openPage, shortRun, signIn } from "./lab.mjs";

let lab, browser, page, run;

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  page = await openPage(browser);
  await signIn(page, lab.link);
  await lab.ready();
  const spec = { ...shortRun, name: "writer", steps: 200, overrides: { ...shortRun.overrides, "intervals.checkpoint_every": 100, "intervals.eval_every": 50 } };
  run = (await lab.api("/runs", { method: "POST", body: spec })).summary.id;
  await lab.until("its end", async () => (await lab.api(`/runs/${run}`)).summary.state === "finished");
});

after(async () => {
  await browser?.close();
  lab?.close();
});

const sheet = (index) => page.locator(".completion").nth(index);
const text = (index) => sheet(index).locator(".completion-text").innerText();
const isDone = (index) => sheet(index).locator(".completion-footer", { hasText: /length reached|end of document/ }).waitFor();
const generate = () => page.getByRole("button", { name: "Generate", exact: true }).click();

test("a prompt is completed token by token, and the same seed gives the same completion", async () => {
  await page.goto(`${lab.url}/playground?run=${run}`);
  await page.getByLabel("Prompt").fill("Once");
  await generate();
  await isDone(0);
  assert.ok((await sheet(0).locator(".generated").count()) > 20);
  const first = await text(0);
  await generate();
  await isDone(0);
  assert.equal(await text(0), first);
  await page.getByLabel(/^Seed/).fill("2");
  await generate();
  await isDone(0);
  assert.notEqual(await text(0), first);
});

test("a token shows its probability and the alternatives, for pointer and keys", async () => {
  await sheet(0).locator(".generated").nth(3).hover();
  await sheet(0).locator(".token-details tbody tr").first().waitFor();
  assert.equal(await sheet(0).locator(".token-details tbody tr").count(), 8);
  const before = await sheet(0).locator(".token-details p").innerText();
  assert.match(before, /%/);
  await sheet(0).locator(".completion-text").focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await sheet(0).locator("[data-at='5'].selected").waitFor();
});

test("two checkpoints complete one prompt with one seed", async () => {
  await page.getByRole("button", { name: /Compare with another/ }).click();
  await lab.until("the oldest checkpoint", async () => (await sheet(1).getByLabel("Checkpoint").inputValue()) !== "");
  const listed = await sheet(1).getByLabel("Checkpoint").locator("option[value='0-100']").innerText();
  assert.match(listed, /^step 100 .*· val \d\.\d{3}( at step \d+)?$/);
  await sheet(1).getByLabel("Checkpoint").selectOption("0-100");
  await generate();
  await Promise.all([isDone(0), isDone(1)]);
  assert.notEqual(await text(0), await text(1));
  await sheet(1).getByText(/are identical for the first|differ from the first/).waitFor();
  assert.match(page.url(), /with_checkpoint=0-100/);
});

test("a prompt that is longer than the context is cropped, and the page says by how much", async () => {
  await page.goto(`${lab.url}/playground?run=${run}`);
  await page.getByLabel("Prompt").fill("Once there was a fox and an owl in a quiet village.");
  await generate();
  await isDone(0);
  // One token for each of 51 characters, and a context of 32.
  await sheet(0).locator(".completion-footer", { hasText: "The first 19 tokens of the prompt were dropped" }).waitFor();
  await page.getByLabel("Prompt").fill("Once");
  await generate();
  await isDone(0);
  assert.equal(await page.getByText("were dropped").count(), 0);
});

test("a long completion is stopped, and its tokens stay", async () => {
  const wide = { "model.layers": 6, "model.d_model": 256, "model.d_ff": 1024, "intervals.eval_every": 0 };
  const spec = { ...shortRun, name: "slow writer", steps: 2, overrides: { ...shortRun.overrides, ...wide } };
  const slow = (await lab.api("/runs", { method: "POST", body: spec })).summary.id;
  await lab.until("its end", async () => (await lab.api(`/runs/${slow}`)).summary.state === "finished");
  await page.goto(`${lab.url}/playground?run=${slow}`);
  await page.getByLabel(/^Length/).fill("4096");
  await generate();
  await lab.until("some tokens", async () => (await sheet(0).locator(".generated").count()) > 5);
  await page.getByRole("button", { name: "Stop" }).click();
  await sheet(0).locator(".completion-footer", { hasText: "stopped" }).waitFor();
  assert.ok((await sheet(0).locator(".generated").count()) > 5);
  assert.deepEqual(page.faults, []);
});

test("a character that is not in the vocabulary is named", async () => {
  const spec = { ...shortRun, name: "letters", tokenizer: "char", steps: 20 };
  const letters = (await lab.api("/runs", { method: "POST", body: spec })).summary.id;
  await lab.until("its end", async () => (await lab.api(`/runs/${letters}`)).summary.state === "finished");
  await page.goto(`${lab.url}/playground?run=${letters}`);
  await page.getByLabel("Prompt").fill("price: €");
  await generate();
  await sheet(0).getByRole("alert").getByText("'€'").waitFor();
});
