// Sweeps: from a run to the form, its preview, a sweep that is paused, extended and resumed, its table, chosen ranges, and a fork of the best
// trial. A second sweep is created through the API: a viewer sees it on a phone, and its page is measured with 200 trials.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { violations, violationsInBothThemes } from "./accessibility.mjs";
import { openAs, openBrowser, openLab, shortRun } from "./lab.mjs";

let lab, browser, finished;

const spec = {
  ...shortRun,
  name: "base of the sweep",
  steps: 60,
  overrides: { ...shortRun.overrides, "intervals.eval_every": 20, "intervals.eval_batches": 1, breakpoints: [] },
};
const view = (sweep) => lab.api(`/sweeps/${sweep}`);

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  await lab.ready();
  const run = (await lab.api("/runs", { method: "POST", body: spec })).summary.id;
  await lab.until("the run", async () => (await lab.api(`/runs/${run}`)).summary.state === "finished");
  finished = await finishedSweep();
});

after(async () => {
  await browser?.close();
  lab?.close();
});

/** Creates a sweep of four trials and waits for its end; returns its id. */
async function finishedSweep() {
  const { name: _, overrides, ...base } = spec;
  const { breakpoints: __, ...changed } = overrides;
  const parameters = { "optimizer.learning_rate": { log: [1e-4, 1e-2] }, "optimizer.weight_decay": { float: [0, 0.2] } };
  const body = { name: "rates", base: { ...base, overrides: changed }, sampler: "random", trials: 4, space: { parameters } };
  const { id } = await lab.api("/sweeps", { method: "POST", body });
  await lab.until("the end of the sweep", async () => (await view(id)).sweep.state === "finished");
  return id;
}

const signedIn = (role, options = {}) => openAs(browser, lab, role, options);

const headState = (page, state) => page.locator(`header .state[data-state=${state}]`);
const rows = (page) => page.locator(".trials tbody tr");

/** The input, select or textarea of the field with this label. */
const field = (page, label) =>
  page.locator("label.field", { has: page.locator(".label", { hasText: new RegExp(`^${label}$`) }) }).locator("input, select, textarea");

/** Drags on an axis from one place to another, 0 to 1 from its lower end; axes are counted from 0. */
async function drag(page, axis, axes, from, to) {
  const box = await page.locator(".drawing.parallel").boundingBox();
  const x = box.x + 48 + ((box.width - 96) * axis) / (axes - 1);
  const y = (place) => box.y + 40 + (box.height - 56) * (1 - place);
  await page.mouse.move(x, y(from));
  await page.mouse.down();
  await page.mouse.move(x, y(to), { steps: 5 });
  await page.mouse.up();
}

test("a sweep is started from a run, paused, extended and finished, and its best trial is forked", async () => {
  const page = await signedIn("steer");
  await page.getByRole("link", { name: "Sweeps", exact: true }).click();
  await page.getByRole("link", { name: "rates", exact: true }).waitFor();
  await page.getByRole("link", { name: "Lab", exact: true }).click();
  await page.getByRole("button", { name: "Actions of base of the sweep" }).click();
  await page.getByRole("link", { name: "Start a sweep from this run" }).click();
  await page.getByText("The plan of").waitFor();

  await field(page, "Sampler").selectOption("random");
  await field(page, "Trials").fill("4");
  const figures = page.locator(".preview .figures");
  await figures.locator("div", { hasText: /^Trials\s*4$/ }).waitFor();
  assert.equal(await page.locator(".first-points li").count(), 4);
  await page.getByText("Add a parameter").click();
  await page.getByRole("searchbox", { name: "Search hyperparameters by label or path" }).fill("weight decay");
  await page.keyboard.press("Enter");
  await page.getByRole("group", { name: "Weight decay" }).waitFor();
  await page.locator(".first-points li", { hasText: "Weight decay" }).first().waitFor();

  const constraints = field(page, "Constraints, one in each line");
  await constraints.fill("optimizer.learning_rate <");
  await page.locator(".field-error", { hasText: "is not a comparison of two expressions" }).first().waitFor();
  assert.ok(await page.getByRole("button", { name: "Start sweep" }).isDisabled());
  await constraints.fill("optimizer.learning_rate < 1");
  assert.deepEqual(await violations(page, "main"), []);
  await page.locator("button:enabled", { hasText: "Start sweep" }).click();
  await page.waitForURL(/\/sweeps\/\d+$/);
  const sweep = Number(page.url().split("/").at(-1));

  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await headState(page, "paused").waitFor();
  await page.getByLabel("Trials to add", { exact: true }).fill("2");
  await page.getByRole("button", { name: "Extend by 2 trials" }).click();
  await lab.until("the extension", async () => (await view(sweep)).sweep.trials === 6);
  await page.locator("dd", { hasText: /of 6$/ }).waitFor();
  await page.getByRole("button", { name: "Resume", exact: true }).click();
  await lab.until("the end of the sweep", async () => (await view(sweep)).sweep.state === "finished");
  await headState(page, "finished").waitFor();
  await lab.until("the rows", async () => (await page.locator(".trials tr[data-state=finished]").count()) === 6);
  for (const sentence of ["paused the sweep.", "extended the sweep by 2 trials."]) {
    await page.locator(".decisions li", { hasText: sentence }).waitFor();
  }

  await page.getByRole("button", { name: /^Validation loss/ }).click();
  const { sweep: ended, trials } = await view(sweep);
  const order = await rows(page).evaluateAll((all) => all.map((row) => Number(row.dataset.trial)));
  const byValue = [...trials].sort((a, b) => a.last - b.last || a.number - b.number).map(({ number }) => number);
  assert.deepEqual(order, byValue);
  await page.getByRole("button", { name: /^Validation loss/ }).click();
  const worst = Number(await rows(page).first().getAttribute("data-trial"));
  assert.equal(worst, byValue.at(-1));

  // Learning rate, weight decay, value.
  await drag(page, 2, 3, 0, 0.5);
  await page.getByText(/of 6 trials in the chosen ranges/).waitFor();
  const brushed = await page.locator(".trials tr.brushed").evaluateAll((all) => all.map((row) => Number(row.dataset.trial)));
  assert.ok(brushed.includes(ended.best.trial) && !brushed.includes(worst), `${brushed}`);
  await page.getByRole("button", { name: "Only chosen" }).click();
  assert.equal(await rows(page).count(), brushed.length);
  await page.getByRole("button", { name: "Clear ranges" }).click();
  assert.equal(await rows(page).count(), 6);
  await page.locator(".drawing.parallel").focus();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowDown");
  await page.locator(`.trials tr.brushed[data-trial="${ended.best.trial}"]`).waitFor();
  await page.keyboard.press("Escape");
  await lab.until("no chosen trial", async () => (await page.locator(".trials tr.brushed").count()) === 0);

  assert.match(await page.getByRole("region", { name: "Importance of the parameters" }).innerText(), /Needs 8 finished points; there are 6/);
  assert.equal(await page.locator(".slice").count(), 2);
  assert.equal((await lab.api(`/sweeps/${sweep}/curves`)).length, 6);
  await page.getByRole("img", { name: "Validation loss by step, 6 curves", exact: true }).waitFor();
  assert.deepEqual(await violations(page, "main"), []);

  await page.getByRole("button", { name: "Fork best trial" }).click();
  await page.waitForURL(/\/runs\//);
  const forked = (await lab.api(`/runs/${page.url().split("/").at(-1)}`)).summary;
  assert.equal(forked.parent.run, trials.find(({ number }) => number === ended.best.trial).run);
  // The preview refused the unfinished constraint.
  const isRefusal = (fault) => /status of 422 .*\/sweeps\/preview$/.test(fault);
  assert.deepEqual(page.faults.filter((fault) => !isRefusal(fault)), []);
  await page.context().close();
});

test("a viewer sees the sweep, also on a phone and in the dark, and has no commands", async () => {
  const page = await signedIn("view", { viewport: { width: 390, height: 800 } });
  await page.goto(`${lab.url}/sweeps`);
  await page.getByRole("link", { name: "rates", exact: true }).waitFor();
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 390), "the list is as wide as the phone");
  await page.goto(`${lab.url}/sweeps/${finished}`);
  await rows(page).first().waitFor();
  await page.getByRole("img", { name: "Validation loss by step, 4 curves", exact: true }).waitFor();
  const isWhole = await page.locator(".trials .scroll").evaluate((box) => box.scrollHeight <= box.clientHeight);
  assert.ok(isWhole, "a short table does not scroll down");
  assert.equal(await page.getByRole("button", { name: /Pause|Extend|Fork/ }).count(), 0);
  await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 390), "the sweep is as wide as the phone");
  assert.deepEqual(await violationsInBothThemes(page, "main"), []);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a sweep of 200 trials is listed, and a range of its values is chosen frame by frame", async (t) => {
  const page = await signedIn("view");
  const { sweep: real, trials } = await view(finished);
  const random = (number) => ((number * 7919) % 1000) / 1000;
  const many = Array.from({ length: 200 }, (_, number) => ({
    ...trials[0],
    number,
    run: null,
    point: { values: { "optimizer.learning_rate": 1e-4 * 100 ** random(number), "optimizer.weight_decay": random(number + 77) } },
    last: 2 + random(number + 31),
  }));
  const counts = { queued: 0, running: 0, finished: 200, stopped: 0, failed: 0 };
  const answer = { sweep: { ...real, trials: 200, counts }, trials: many };
  await page.route(new RegExp(`/api/v1/sweeps/${finished}(\\?.*)?$`), (route) => route.fulfill({ json: answer }));
  await page.goto(`${lab.url}/sweeps/${finished}`);
  await rows(page).nth(199).waitFor();
  // Again within the program, which is loaded now.
  await page.getByRole("link", { name: "Compare", exact: true }).click();
  await page.getByRole("heading", { name: "Compare", exact: true }).waitFor();
  const begin = Date.now();
  await page.goBack();
  await rows(page).nth(199).waitFor();
  t.diagnostic(`opened in ${Date.now() - begin} ms`);

  await page.locator(".drawing.parallel").scrollIntoViewIfNeeded();
  const frames = 60;
  const elapsed = await page.evaluate(async (frames) => {
    const field = document.querySelector(".drawing.parallel");
    const box = field.getBoundingClientRect();
    const send = (type, place, buttons) => {
      const [clientX, clientY] = [box.right - 48, box.bottom - 16 - (box.height - 56) * place];
      field.dispatchEvent(new PointerEvent(type, { clientX, clientY, buttons, button: 0, pointerId: 1, bubbles: true }));
    };
    // A pointer that does not exist cannot be captured.
    field.setPointerCapture = () => {};
    send("pointerdown", 0, 1);
    const start = performance.now();
    for (let frame = 0; frame < frames; frame++) {
      send("pointermove", (frame + 1) / frames, 1);
      await new Promise(requestAnimationFrame);
    }
    const elapsed = performance.now() - start;
    send("pointerup", 1, 0);
    return elapsed;
  }, frames);
  t.diagnostic(`brushed at ${((frames * 1000) / elapsed).toFixed(0)} frames/s`);
  await page.getByText("200 of 200 trials in the chosen ranges").waitFor();
  await page.context().close();
});
