// A hand on the dial: back to a checkpoint, a fork with a shared past, a course drawn ahead, everything while paused, undo.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { longRun, openBrowser, openLab, openPage, runState, stepsShown } from "./lab.mjs";

let lab, browser, page, run;

const spec = {
  ...longRun,
  name: "steered",
  overrides: { ...longRun.overrides, "model.d_model": 64, "model.seq": 64, "cadence.eval_every": 100, "keep.every": 100, "keep.latest": 20 },
};

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  page = await openPage(browser);
  await page.goto(lab.link);
  await lab.ready();
  const view = await lab.api("/runs", { method: "POST", body: spec });
  run = view.summary.id;
  await page.goto(`${lab.url}/runs/${run}`);
  await runState(page, "running").waitFor({ timeout: 60_000 });
});

after(async () => {
  await browser?.close();
  lab?.close();
});

/** Words of the loss chart for who cannot see it; they follow the drawing every few seconds. */
const told = () => page.locator(".chart.main canvas").first().getAttribute("aria-label");
const answer = (text) => page.locator(".answer .applied", { hasText: text }).waitFor({ timeout: 60_000 });
const checkpoints = () => page.locator(".checkpoints li");

async function pause() {
  await page.locator("body").press("Space");
  await runState(page, "paused").waitFor();
}

test("a checkpoint is saved with one key and stands in the list with its reason", async () => {
  await lab.until("150 steps", async () => (await stepsShown(page)) > 150, 120);
  await page.locator("body").press("c");
  await answer("checkpoint");
  await page.locator(".checkpoints li", { hasText: "asked for" }).waitFor();
  assert.ok((await checkpoints().count()) >= 2, "the cadence saves too");
});

test("going back to a checkpoint says what is left behind, and leaves a ghost", async () => {
  await lab.until("260 steps", async () => (await stepsShown(page)) > 260, 120);
  await page.locator(".checkpoints li", { hasText: "100" }).last().getByRole("button", { name: /Roll back to step/ }).click();
  const form = page.getByRole("dialog", { name: /Go back to a checkpoint/ });
  await form.locator(".effect", { hasText: "ghost" }).waitFor();
  await form.getByLabel(/Leave out/).fill("7");
  await form.getByRole("button", { name: "Roll back" }).click();
  await answer("rolled back to step 100");
  await lab.until("the ghost in words", async () => /ghost: left at step/.test((await told()) ?? ""));
  const view = await lab.api(`/runs/${run}`);
  assert.equal(view.segments.length, 2);
  assert.equal(view.dials.skipped, 7);
  await page.locator(".journal li", { hasText: "rolled back to step 100" }).waitFor();
});

test("a point of the schedule is dragged, looked at, and applied", async () => {
  await pause();
  await page.locator("body").press("r");
  const points = page.locator(".handles .handle");
  await points.first().waitFor();
  const count = await points.count();
  assert.ok(count > 4, `${count} points`);
  await points.nth(4).scrollIntoViewIfNeeded();
  const before = await points.nth(4).getAttribute("aria-valuetext");
  const box = await points.nth(4).locator(".dot").boundingBox();
  const from = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  await page.mouse.move(from.x, from.y);
  await page.mouse.down();
  await page.mouse.move(from.x + 20, from.y + 60, { steps: 6 });
  await page.mouse.up();
  const dragged = await points.nth(4).getAttribute("aria-valuetext");
  assert.notEqual(dragged, before, "the point has moved");
  await points.nth(4).focus();
  await page.keyboard.press("ArrowDown");
  assert.notEqual(await points.nth(4).getAttribute("aria-valuetext"), dragged, "and moves by keys");
  await page.keyboard.press("Delete");
  await lab.until("one point less", async () => (await points.count()) === count - 1);
  assert.equal((await lab.api(`/runs/${run}`)).dials.schedule.turns.length, 0, "nothing has changed yet");
  const editor = page.locator(".editor");
  await editor.locator(".effect", { hasText: "half-way" }).waitFor();
  await editor.getByLabel(/Reason/).fill("by hand");
  await editor.getByRole("button", { name: "Apply" }).click();
  await answer("rate redrawn");
  assert.ok((await lab.api(`/runs/${run}`)).dials.schedule.turns.length > 0);
});

test("everything works while it is paused: step, sample, evaluate, save, edit", async () => {
  const held = await stepsShown(page);
  await page.locator("body").press(".");
  await lab.until("one step", async () => (await stepsShown(page)) === held + 1);
  await page.locator("body").press("e");
  await answer("valid");
  await page.keyboard.press("s");
  await page.getByRole("dialog", { name: /Write a text/ }).getByRole("button", { name: "Write a sample" }).click();
  await answer("sample");
  await page.locator("body").press("c");
  await answer(`checkpoint`);
  await page.getByRole("button", { name: /^clip/ }).click();
  const dial = page.getByRole("dialog", { name: /Gradients whose global norm/ });
  await dial.getByRole("textbox").first().fill("0.7");
  await dial.getByRole("button", { name: /Set from step/ }).click();
  await answer("clip");
  assert.equal((await lab.api(`/runs/${run}`)).dials.clip, 0.7);
  assert.equal(await stepsShown(page), held + 1, "it still holds");
});

test("undo offers both ways in words, and the opposite change turns the dial back", async () => {
  await page.locator("body").press("u");
  const choice = page.getByRole("dialog", { name: /Undo the last change/ });
  await choice.getByText(/clip .*0\.7/).waitFor();
  await choice.getByText(/What was learned meanwhile stays/).waitFor();
  await choice.getByRole("button", { name: "Back to just before it" }).waitFor();
  await choice.getByRole("button", { name: "Opposite change from here" }).click();
  await answer("clip");
  assert.equal((await lab.api(`/runs/${run}`)).dials.clip, 1);
});

test("a fork shows its parent's past before its own steps", async () => {
  await page.locator("body").press("f");
  const form = page.getByRole("dialog", { name: "Fork this run" });
  await form.getByLabel("Name").fill("the child");
  await form.locator(".effect", { hasText: "Unchanged, it repeats this run" }).waitFor();
  await form.getByRole("button", { name: "Fork", exact: true }).click();
  await page.locator(".run-head h1", { hasText: "the child" }).waitFor({ timeout: 60_000 });
  const child = new URL(page.url()).pathname.split("/").pop();
  await page.locator(".origin", { hasText: "forked from steered" }).waitFor();
  await lab.until("the shared past in words", async () => /steered/.test((await told()) ?? ""));
  const view = await lab.api(`/runs/${child}`);
  assert.equal(view.lineage[0].run, run, "its path begins in the parent");
  // The parent lets go of the device; the child takes it.
  await page.goto(`${lab.url}/runs/${run}`);
  await runState(page, "paused").waitFor();
  await page.getByRole("button", { name: "Release device" }).click();
  await runState(page, "parked").waitFor();
  await page.goto(`${lab.url}/runs/${child}`);
  await runState(page, "running").waitFor({ timeout: 60_000 });
  await lab.until("steps of its own", async () => (await stepsShown(page)) > view.lineage.at(-1).from_step + 20, 120);
  assert.deepEqual(page.faults, []);
});
