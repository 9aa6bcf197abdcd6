// Controls of a run: rollback, fork, edited schedule, commands while paused, undo.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { longRun, openBrowser, openLab, openPage, runState, signIn, stepsShown } from "./lab.mjs";

let lab, browser, page, run;

const spec = {
  ...longRun,
  name: "steered",
  overrides: { ...longRun.overrides, "model.d_model": 64, "model.seq": 64, "intervals.eval_every": 100, "intervals.checkpoint_every": 100, "retention.latest": 400 },
};

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  page = await openPage(browser);
  await signIn(page, lab.link);
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

/** The description of the loss chart for screen readers, which is updated every few seconds. */
const description = () => page.locator(".chart.main canvas").first().getAttribute("aria-label");
/** A number as the page writes it: thin spaces between its thousands. */
const grouped = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, "\\s");
const answer = (text) => page.locator(".answer .applied", { hasText: text }).waitFor();
const checkpoints = () => page.locator(".checkpoints li");

/** The bounding box once it no longer changes: a chart is drawn again when its size changes. */
function settled(locator) {
  let last = "";
  return lab.until("a still box", async () => {
    const box = await locator.boundingBox();
    const isStill = box && JSON.stringify(box) === last;
    last = JSON.stringify(box);
    if (!isStill) await page.waitForTimeout(100);
    return isStill && box;
  });
}

/** Opens the form of a hyperparameter that is in the menu. */
async function openHyperparameter(name) {
  await page.getByRole("button", { name: /^Hyperparameters/ }).click();
  await page.getByRole("dialog", { name: "Hyperparameters" }).getByRole("button", { name: new RegExp(`^${name}`) }).click();
  return page.getByRole("dialog", { name });
}

const command = (kind) => lab.api(`/runs/${run}/commands`, { method: "POST", body: { kind } });

async function pause() {
  await page.locator("body").press("Space");
  await runState(page, "paused").waitFor();
}

test("a checkpoint is saved with one key and listed with its cause", async () => {
  await lab.until("150 steps", async () => (await stepsShown(page)) > 150);
  await page.locator("body").press("c");
  await answer("checkpoint");
  await page.locator(".checkpoints li", { hasText: "requested" }).waitFor();
  assert.ok((await checkpoints().count()) >= 2, "periodic checkpoints are saved, too");
});

test("each form of the control bar opens inside of the window, and the bar keeps its height", async () => {
  const buttons = page.locator(".controls .drawer-root > .control:enabled");
  const form = page.locator(".controls .drawer");
  const size = page.viewportSize();
  // The forms have the same size while the run is paused, and the page is not drawn again at each step.
  await pause();
  for (const width of [1440, 1280, 1000, 800, 390]) {
    await page.setViewportSize({ width, height: 900 });
    const count = await buttons.count();
    assert.ok(count >= 7, `${count} forms`);
    for (let place = 0; place < count; place += 1) {
      await buttons.nth(place).click();
      const name = await form.getAttribute("aria-label");
      await lab.until(`${name} inside of ${width} px`, async () => {
        const box = await form.boundingBox();
        return box && box.x >= 0 && box.x + box.width <= width;
      });
      await page.keyboard.press("Escape");
      await form.waitFor({ state: "detached" });
    }
  }
  await page.setViewportSize(size);
  await page.locator("body").press("Space");
  await runState(page, "running").waitFor();
  for (const width of [1440, 1280]) {
    await page.setViewportSize({ width, height: 900 });
    const height = async () => (await page.locator(".control-row").boundingBox()).height;
    const running = await height();
    await pause();
    assert.equal(await height(), running, `${width} px: no row more while the run is paused`);
    await page.locator("body").press("Space");
    await runState(page, "running").waitFor();
  }
  await page.setViewportSize(size);
});

test("the form of a rollback shows the checkpoint that it sends while others come and go", async () => {
  await page.locator("body").press("b");
  const form = page.getByRole("dialog", { name: "Roll back to a checkpoint" });
  const list = form.getByLabel("Checkpoint");
  const shown = () => list.evaluate((list) => list.selectedOptions[0]?.textContent ?? "");
  const step = async (text) => (await text()).match(/step ([\d\s]+)/)?.[1].replace(/\s/g, "");
  const sent = () => form.locator(".effect").innerText();
  const agree = async () => {
    const inList = await step(shown);
    return inList && inList === (await step(sent)) && inList;
  };
  const save = async () =>
    (await lab.api(`/runs/${run}/commands`, { method: "POST", body: { kind: "checkpoint" } })).event.checkpoint.id;
  const first = await lab.until("the newest checkpoint", agree);
  const chosen = await save();
  await list.locator(`option[value="${chosen}"]`).waitFor({ state: "attached" });
  assert.equal(await agree(), first, "the choice at the opening stays, too");
  await list.selectOption(chosen);
  const stepChosen = chosen.split("-")[1];
  await lab.until("the choice", async () => (await agree()) === stepChosen);
  await save();
  await lab.until("one more entry", async () => (await list.locator("option").first().getAttribute("value")) !== chosen);
  assert.equal(await agree(), stepChosen, "a choice stays");
  await lab.api(`/runs/${run}/checkpoints/${chosen}`, { method: "DELETE" });
  await save();
  await form.getByText(/has been deleted. Choose another checkpoint/).waitFor();
  assert.match(await shown(), /deleted/);
  assert.ok(await form.getByRole("button", { name: "Roll back" }).isDisabled());
  await page.keyboard.press("Escape");
  await form.waitFor({ state: "detached" });
});

test("a rollback says what is abandoned, and leaves an abandoned branch", async () => {
  await lab.until("260 steps", async () => (await stepsShown(page)) > 260);
  // Every 100 steps a checkpoint moves the others down, several times a second.
  await command("pause");
  await page.locator(".checkpoints").getByRole("button", { name: "Roll back to step 100", exact: true }).click();
  await command("resume");
  const form = page.getByRole("dialog", { name: "Roll back to a checkpoint" });
  await form.locator(".effect", { hasText: "abandoned branch" }).waitFor();
  await form.getByLabel(/Skip/).fill("7");
  await form.getByRole("button", { name: "Roll back" }).click();
  await answer(/rolled back from step .+ to step 100/i);
  await lab.until("the abandoned branch in words", async () => /abandoned branch, left at step/.test((await description()) ?? ""));
  const view = await lab.api(`/runs/${run}`);
  assert.equal(view.segments.length, 2);
  assert.equal(view.hyperparameters.skipped, 7);
  await page.locator(".journal li", { hasText: /rolled back from step .+ to step 100/ }).waitFor();
});

test("a point of the schedule is dragged, previewed, and applied", async () => {
  await pause();
  await page.locator("body").press("r");
  const points = page.locator(".schedule-points .schedule-point");
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
  await page.keyboard.press("ArrowUp"); // up, because it may have been dragged to zero
  assert.notEqual(await points.nth(4).getAttribute("aria-valuetext"), dragged, "and moves by keys");
  await page.keyboard.press("Delete");
  await lab.until("one point less", async () => (await points.count()) === count - 1);
  assert.equal((await lab.api(`/runs/${run}`)).hyperparameters.schedule.overrides.length, 0, "nothing has changed yet");
  const editor = page.locator(".editor");
  await editor.locator(".effect", { hasText: "half-way" }).waitFor();
  await editor.getByLabel(/Reason/).fill("edited");
  await editor.getByRole("button", { name: "Apply" }).click();
  await answer("learning-rate schedule changed");
  assert.ok((await lab.api(`/runs/${run}`)).hyperparameters.schedule.overrides.length > 0);
});

test("the schedule is edited with the keyboard alone, and Escape discards it", async () => {
  const overrides = (await lab.api(`/runs/${run}`)).hyperparameters.schedule.overrides.length;
  await page.locator("body").press("r");
  const points = page.locator(".schedule-points .schedule-point");
  await points.nth(3).waitFor();
  await points.nth(3).focus();
  const point = async () => {
    const [, step, rate] = (await points.nth(3).getAttribute("aria-valuetext")).match(/step (.*), learning rate (.*)/);
    return { step: Number(step.replace(/\D/g, "")), rate: Number(rate.replace(/[^\d.e-]/g, "")) };
  };
  const begun = await point();
  await page.keyboard.press("ArrowUp");
  const higher = await point();
  assert.ok(higher.rate > begun.rate && higher.step === begun.step, "up raises the rate");
  await page.keyboard.press("ArrowRight");
  assert.ok((await point()).step > begun.step, "right moves it later");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Shift+ArrowUp");
  const far = await point();
  assert.equal(far.step, begun.step);
  assert.ok(far.rate - higher.rate > 4 * (higher.rate - begun.rate), "shift moves it further");
  const count = await points.count();
  await page.keyboard.press("+");
  await lab.until("one point more", async () => (await points.count()) === count + 1);
  await page.locator(".schedule-points .schedule-point:focus[data-at='4']").waitFor();
  await page.keyboard.press("Delete");
  await lab.until("one point less", async () => (await points.count()) === count);
  await page.keyboard.press("Escape");
  await page.locator(".editor").waitFor({ state: "detached" });
  assert.equal((await lab.api(`/runs/${run}`)).hyperparameters.schedule.overrides.length, overrides, "no command was sent");
});

test("a control run that one form wants is not wanted by another", async () => {
  const box = (within) => within.getByLabel("Start a control run");
  await page.getByRole("button", { name: "Edit schedule" }).click();
  const editor = page.locator("form.editor");
  await box(editor).check();
  const button = page.locator(".hyperparameters-bar").getByRole("button", { name: /^Learning rate/ });
  await button.click();
  const dialog = page.getByRole("dialog", { name: "Learning rate", exact: true });
  assert.equal(await box(dialog).isChecked(), false);
  await button.click();
  await dialog.waitFor({ state: "detached" });
  assert.ok(await box(editor).isChecked(), "what was ticked stays");
  await editor.getByRole("button", { name: "Cancel" }).click();
  await editor.waitFor({ state: "detached" });
});

test("every command works while the run is paused: step, sample, evaluate, checkpoint, change", async () => {
  const paused = await stepsShown(page);
  await page.locator("body").press(".");
  await lab.until("one step", async () => (await stepsShown(page)) === paused + 1);
  await page.locator("body").press("e");
  await answer("validation loss");
  await page.keyboard.press("s");
  await page.getByRole("dialog", { name: "Generate a sample" }).getByRole("button", { name: "Generate" }).click();
  await answer("sample");
  await page.locator("body").press("c");
  await answer(`checkpoint`);
  const form = await openHyperparameter("Gradient clipping");
  await form.getByRole("textbox").first().fill("0.7");
  await form.getByRole("button", { name: /Set from the next step on/ }).click();
  await answer("gradient clipping");
  assert.equal((await lab.api(`/runs/${run}`)).hyperparameters.optimizer.grad_clip, 0.7);
  assert.equal(await stepsShown(page), paused + 1, "the run is still paused");
});

test("a checkpoint is pinned, compared with the newest, unpinned, and deleted", async () => {
  const row = page.locator(".checkpoints li", { hasText: "requested" }).last();
  const step = (await row.locator(".what strong").innerText()).replace(/\D/g, "");
  const saved = async () => (await lab.api(`/runs/${run}/checkpoints`)).find(({ info }) => info.cause === "requested" && info.id.split("-")[1] === step);
  const choose = async (role, name) => {
    await row.getByRole("button", { name: /Actions for the checkpoint/ }).click();
    await row.getByRole(role, { name }).click();
  };
  await choose("button", /^Pin/);
  await row.getByText("pinned").waitFor();
  assert.equal((await saved()).is_pinned, true);
  await choose("link", /Compare with the newest/);
  await page.getByRole("heading", { name: "Playground", level: 1 }).waitFor();
  assert.equal(await page.locator(".completion").count(), 2);
  assert.match(await page.locator(".completion").first().getByLabel("Checkpoint").inputValue(), new RegExp(`-${step}$`));
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

test("no value is offered that a hyperparameter refuses, and unchanged accumulation is described as unchanged", async () => {
  const beta = await openHyperparameter("Beta 1");
  assert.deepEqual(await beta.locator(".presets button").allInnerTexts(), ["0.8", "0.9", "0.95", "0.99"]);
  await page.keyboard.press("Escape");
  const accumulation = await openHyperparameter("Gradient accumulation");
  await accumulation.locator(".effect", { hasText: "(unchanged)" }).waitFor();
  await page.keyboard.press("Escape");
  await accumulation.waitFor({ state: "detached" });
});

test("undo describes both methods, and the inverse change restores the value", async () => {
  await page.locator("body").press("u");
  const choice = page.getByRole("dialog", { name: /Undo the last change/ });
  await choice.getByText(/gradient clipping .*0\.7/).waitFor();
  await choice.getByText(/The weights stay as they are/).waitFor();
  await choice.getByRole("button", { name: /^Roll back to step/ }).waitFor();
  await choice.getByRole("button", { name: "Restore the value" }).click();
  await answer("gradient clipping");
  assert.equal((await lab.api(`/runs/${run}`)).hyperparameters.optimizer.grad_clip, 1);
});

test("undo by a rollback abandons the change and the steps after it", async () => {
  // Of several changes at one step, only the state before the first is saved.
  const paused = await stepsShown(page);
  await page.locator("body").press(".");
  await lab.until("a step of its own", async () => (await stepsShown(page)) === paused + 1);
  const form = await openHyperparameter("Gradient clipping");
  await form.getByRole("textbox").first().fill("0.4");
  await form.getByRole("button", { name: /Set from the next step on/ }).click();
  await page.locator(".journal li", { hasText: "0.4" }).waitFor();
  const changed = await stepsShown(page);
  for (const done of [1, 2]) {
    await page.locator("body").press(".");
    await lab.until("a step", async () => (await stepsShown(page)) === changed + done);
  }
  const segments = (await lab.api(`/runs/${run}`)).segments.length;
  await page.locator("body").press("u");
  const choice = page.getByRole("dialog", { name: /Undo the last change/ });
  await choice.getByText("the 2 steps since then become an abandoned branch").waitFor();
  await choice.getByRole("button", { name: /^Roll back to step/ }).click();
  await answer(new RegExp(`rolled back from step .+ to step ${grouped(changed)}\\.`, "i"));
  await lab.until("the step before it", async () => (await stepsShown(page)) === changed);
  const view = await lab.api(`/runs/${run}`);
  assert.equal(view.hyperparameters.optimizer.grad_clip, 1);
  assert.equal(view.segments.length, segments + 1);
});

test("a fork shows the past of its parent before its own steps", async () => {
  await page.locator("body").press("f");
  const form = page.getByRole("dialog", { name: "Fork this run" });
  await form.getByLabel("Name").fill("the child");
  await form.locator(".effect", { hasText: "Without changes it reproduces this run" }).waitFor();
  await form.getByRole("button", { name: "Fork", exact: true }).click();
  await page.locator(".run-head h1", { hasText: "the child" }).waitFor();
  const child = new URL(page.url()).pathname.split("/").pop();
  await page.locator(".origin", { hasText: "forked from steered" }).waitFor();
  await lab.until("the inherited past in words", async () => /steered/.test((await description()) ?? ""));
  const view = await lab.api(`/runs/${child}`);
  assert.equal(view.lineage[0].run, run, "its path begins in the parent");
  // The parent is suspended, and the child takes its device.
  await page.goto(`${lab.url}/runs/${run}`);
  await runState(page, "paused").waitFor();
  await page.getByRole("button", { name: "Suspend" }).click();
  await runState(page, "suspended").waitFor();
  await page.goto(`${lab.url}/runs/${child}`);
  await runState(page, "running").waitFor();
  await lab.until("steps of its own", async () => (await stepsShown(page)) > view.lineage.at(-1).from_step + 20);
  assert.deepEqual(page.faults, []);
});
