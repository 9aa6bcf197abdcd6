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
  await runState(page, "running").waitFor();
});

after(async () => {
  await browser?.close();
  lab?.close();
});

/** Words of the loss chart for who cannot see it; they follow the drawing every few seconds. */
const told = () => page.locator(".chart.main canvas").first().getAttribute("aria-label");
const answer = (text) => page.locator(".answer .applied", { hasText: text }).waitFor();
const checkpoints = () => page.locator(".checkpoints li");

/** Where something stands once it keeps still: a chart is drawn anew when its room changes. */
function settled(locator) {
  let last = "";
  return lab.until("a still picture", async () => {
    const box = await locator.boundingBox();
    const isStill = box && JSON.stringify(box) === last;
    last = JSON.stringify(box);
    if (!isStill) await page.waitForTimeout(100);
    return isStill && box;
  });
}

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
  const box = await settled(points.nth(4).locator(".dot"));
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

test("the schedule is drawn by keys alone, and Escape changes nothing", async () => {
  const turns = (await lab.api(`/runs/${run}`)).dials.schedule.turns.length;
  await page.locator("body").press("r");
  const points = page.locator(".handles .handle");
  await points.nth(3).waitFor();
  await points.nth(3).focus();
  const told = async () => {
    const [, step, rate] = (await points.nth(3).getAttribute("aria-valuetext")).match(/step (.*), rate (.*)/);
    return { step: Number(step.replace(/\D/g, "")), rate: Number(rate.replace(/[^\d.e-]/g, "")) };
  };
  const begun = await told();
  await page.keyboard.press("ArrowUp");
  const higher = await told();
  assert.ok(higher.rate > begun.rate && higher.step === begun.step, "up raises the rate");
  await page.keyboard.press("ArrowRight");
  assert.ok((await told()).step > begun.step, "right moves it later");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Shift+ArrowUp");
  const far = await told();
  assert.equal(far.step, begun.step);
  assert.ok(far.rate - higher.rate > 4 * (higher.rate - begun.rate), "shift moves it further");
  const count = await points.count();
  await page.keyboard.press("+");
  await lab.until("one point more", async () => (await points.count()) === count + 1);
  await page.locator(".handles .handle:focus[data-at='4']").waitFor();
  await page.keyboard.press("Delete");
  await lab.until("one point less", async () => (await points.count()) === count);
  await page.keyboard.press("Escape");
  await page.locator(".editor").waitFor({ state: "detached" });
  assert.equal((await lab.api(`/runs/${run}`)).dials.schedule.turns.length, turns, "nothing was asked");
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

test("a checkpoint is pinned, put beside the newest, let go of, and deleted", async () => {
  const row = page.locator(".checkpoints li", { hasText: "asked for" }).last();
  const step = (await row.locator(".what strong").innerText()).replace(/\D/g, "");
  const saved = async () => (await lab.api(`/runs/${run}/checkpoints`)).find(({ info }) => info.cause === "asked" && info.id.split("-")[1] === step);
  const choose = async (role, name) => {
    await row.getByRole("button", { name: /More about the checkpoint/ }).click();
    await row.getByRole(role, { name }).click();
  };
  await choose("button", /^Pin/);
  await row.getByText("pinned").waitFor();
  assert.equal((await saved()).is_pinned, true);
  await choose("link", /Beside the newest/);
  await page.getByRole("heading", { name: "Playground", level: 1 }).waitFor();
  assert.equal(await page.locator(".written-sheet").count(), 2);
  assert.match(await page.locator(".written-sheet").first().getByLabel("Checkpoint").inputValue(), new RegExp(`-${step}$`));
  await page.goBack();
  await choose("button", /^Unpin/);
  await row.getByText("pinned").waitFor({ state: "detached" });
  const count = await checkpoints().count();
  await choose("button", /^Delete/);
  const question = page.locator("dialog[open]");
  await question.getByText("cannot be undone").waitFor();
  await question.getByRole("button", { name: "Delete" }).click();
  await lab.until("one checkpoint less", async () => (await checkpoints().count()) === count - 1);
  assert.equal(await saved(), undefined);
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

test("undo by going back leaves the change behind, and what came after it", async () => {
  // Of several changes at one step the state before the first alone is kept.
  const held = await stepsShown(page);
  await page.locator("body").press(".");
  await lab.until("a step of its own", async () => (await stepsShown(page)) === held + 1);
  await page.getByRole("button", { name: /^clip/ }).click();
  const dial = page.getByRole("dialog", { name: /Gradients whose global norm/ });
  await dial.getByRole("textbox").first().fill("0.4");
  await dial.getByRole("button", { name: /Set from step/ }).click();
  await page.locator(".journal li", { hasText: "0.4" }).waitFor();
  const changed = await stepsShown(page);
  for (const done of [1, 2]) {
    await page.locator("body").press(".");
    await lab.until("a step", async () => (await stepsShown(page)) === changed + done);
  }
  const stretches = (await lab.api(`/runs/${run}`)).segments.length;
  await page.locator("body").press("u");
  const choice = page.getByRole("dialog", { name: /Undo the last change/ });
  await choice.getByText("the 2 steps since become a ghost").waitFor();
  await choice.getByRole("button", { name: "Back to just before it" }).click();
  await answer(`rolled back to step ${changed}`);
  await lab.until("the step before it", async () => (await stepsShown(page)) === changed);
  const view = await lab.api(`/runs/${run}`);
  assert.equal(view.dials.clip, 1);
  assert.equal(view.segments.length, stretches + 1);
});

test("a fork shows its parent's past before its own steps", async () => {
  await page.locator("body").press("f");
  const form = page.getByRole("dialog", { name: "Fork this run" });
  await form.getByLabel("Name").fill("the child");
  await form.locator(".effect", { hasText: "Unchanged, it repeats this run" }).waitFor();
  await form.getByRole("button", { name: "Fork", exact: true }).click();
  await page.locator(".run-head h1", { hasText: "the child" }).waitFor();
  const child = new URL(page.url()).pathname.split("/").pop();
  await page.locator(".origin", { hasText: "forked from steered" }).waitFor();
  await lab.until("the shared past in words", async () => /steered/.test((await told()) ?? ""));
  const view = await lab.api(`/runs/${child}`);
  assert.equal(view.lineage[0].run, run, "its path begins in the parent");
  // The parent lets go of the device; the child takes it.
  await page.goto(`${lab.url}/runs/${run}`);
  await runState(page, "paused").waitFor();
  await page.getByRole("button", { name: "Release" }).click();
  await runState(page, "parked").waitFor();
  await page.goto(`${lab.url}/runs/${child}`);
  await runState(page, "running").waitFor();
  await lab.until("steps of its own", async () => (await stepsShown(page)) > view.lineage.at(-1).from_step + 20, 120);
  assert.deepEqual(page.faults, []);
});
