// Inside a model while it learns: the map, attention, the step slider, a spike's batch, and a text of one's own.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { longRun, openBrowser, openLab, openPage, runState } from "./lab.mjs";

let lab, browser, page, run;

const spec = {
  ...longRun,
  name: "seen",
  overrides: { ...longRun.overrides, "model.layers": 2, "model.heads": 4, "model.d_model": 64, "model.d_ff": 128, "cadence.eval_every": 200, "keep.every": 100, "keep.every_nth": 1 },
};

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  page = await openPage(browser);
  await page.goto(lab.link);
  await lab.ready();
  run = (await lab.api("/runs", { method: "POST", body: spec })).summary.id;
  await page.goto(`${lab.url}/runs/${run}`);
  await runState(page, "running").waitFor();
});

after(async () => {
  await browser?.close();
  lab?.close();
});

const part = (name) => page.locator(`.part[aria-label^="${name}:"]`);
const shownStep = async (view = page.locator(".view").first()) => {
  const text = await view.locator(".provenance .mono").first().innerText();
  return Number(text.replace(/\D/g, ""));
};
const until = (what, look, seconds = 60) => lab.until(what, look, seconds);
const steps = () => lab.api(`/runs/${run}/frames/steps`);

test("the model is drawn as it is, lit live by what I choose, and leads inside and back", async () => {
  await page.getByRole("link", { name: "X-ray", exact: true }).click();
  await part("block.1.mlp").waitFor();
  assert.equal(await page.locator(".part").count(), 7, "embedding, two blocks of two, norm, head");
  await until("the embedding lit", async () => /activation RMS [\d.]/.test(await part("embedding").getAttribute("title")));
  const first = await shownStep();
  await until("a newer look", async () => (await shownStep()) > first);
  await page.locator(".cost", { hasText: /looks: .* % of training time, every/ }).waitFor();
  await page.getByLabel("Light by").selectOption("gradient norm");
  await until("a gradient norm", async () => /gradient norm [\d.]+(e-\d+)? loss \/ weight/.test(await part("block.0.attention").getAttribute("title")));
  await page.getByLabel("Light by").selectOption("attention entropy");
  await until("an entropy", async () => /attention entropy .*%/.test(await part("block.0.attention").getAttribute("title")));
  await part("block.1.attention").click();
  await page.locator(".crumbs", { hasText: "block 1 attention" }).waitFor();
  await page.locator(".explain", { hasText: "softmax" }).waitFor();
  await page.locator("h1").first().press("Escape");
  await page.locator(".view[data-view=map]").waitFor();
  await page.goBack();
  await page.locator(".view[data-view=attention]").waitFor();
});

test("attention: all heads in little, one large, and a token says from where it reads", async () => {
  await until("four heads", async () => (await page.locator(".head-card").count()) === 4);
  await page.locator(".head-card").nth(2).click();
  await page.locator(".facts h3", { hasText: "Head 2" }).waitFor();
  assert.match(page.url(), /head=2/);
  for (const word of ["entropy", "distance", "previous", "induction", "top logit"]) {
    await page.locator(".facts dt", { hasText: word }).waitFor();
  }
  await page.locator(".large .plate").focus();
  for (let at = 0; at < 5; at++) await page.keyboard.press("ArrowDown");
  await page.locator(".large figcaption", { hasText: /reads .* with weight/ }).waitFor();
  const tokens = page.locator(".view .token-text .t");
  await tokens.nth(6).hover();
  await until("where it reads from", async () => /\(6\) reads/.test(await page.locator(".large figcaption").innerText()));
  const heats = await tokens.evaluateAll((all) => all.map((token) => Number(getComputedStyle(token).getPropertyValue("--heat"))));
  assert.ok(heats.slice(0, 7).some((heat) => heat > 0), "some earlier token is read");
  assert.ok(heats.slice(7).every((heat) => heat === 0), "and none that is still to come");
  const saved = page.waitForEvent("download");
  await page.locator(".large .plate .save").click();
  const file = await saved;
  assert.equal(file.suggestedFilename(), "attention.svg");
  assert.match(readFileSync(await file.path(), "utf8"), /^<svg[\s\S]*<\/svg>\s*$/);
  await page.getByText("All heads as a table").click();
  assert.equal(await page.locator(".view details tbody tr").count(), 4);
});

test("a text of my own is read by the weights of this moment", async () => {
  await page.getByRole("button", { name: "your text" }).click();
  await page.getByLabel("Your text").fill("Once upon a time");
  await page.getByRole("button", { name: "Read it" }).click();
  await until("its tokens", async () => (await page.locator(".view .token-text").first().innerText()).startsWith("Once"));
  await page.getByRole("button", { name: "held-out text" }).click();
  await page.getByRole("button", { name: "Read it" }).click();
  await until("the held-out text", async () => !(await page.locator(".view .token-text").first().innerText()).startsWith("Once"));
});

test("the lens: layer by layer what it would say, how sure it is of the right token, and each token painted by its loss", async () => {
  await page.locator(".tabs .tab", { hasText: "Lens" }).click();
  await page.locator(".lens .lens-table").focus();
  for (let at = 0; at < 4; at++) await page.keyboard.press("ArrowRight");
  await page.locator(".view h3", { hasText: /At “.*” \(4\): “.*” comes next; the answer/ }).waitFor();
  const rows = page.locator(".view table.dense tbody tr");
  assert.deepEqual(await rows.locator("th").allInnerTexts(), ["embedding", "block 0", "block 1"]);
  const last = rows.last().locator("td");
  const rank = Number((await last.nth(2).innerText()).replace(/\D/g, ""));
  const guesses = await last.nth(0).innerText();
  assert.ok(rank >= 1 && guesses.split(", “").length === 3, `rank ${rank} of ${guesses}`);
  const heats = await page.locator(".view .token-text .t").evaluateAll((all) => all.map((token) => Number(getComputedStyle(token).getPropertyValue("--heat"))));
  assert.ok(heats[0] === 0 && heats.slice(1).every((heat) => heat > 0), "every token but the first cost something");
});

test("time: kept steps are scrubbed and played, and two stand side by side", async () => {
  await page.locator(".tabs .tab", { hasText: "Attention" }).click();
  await until("thirty kept steps", async () => (await steps()).length >= 30, 120);
  await page.reload();
  const slider = page.getByRole("slider", { name: "Step", exact: true });
  await until("the slider to know them", async () => Number(await slider.getAttribute("max")) >= 30);
  await slider.fill("10");
  await until("step 10", async () => (await shownStep()) === 10);
  await page.locator(".provenance", { hasText: "kept" }).first().waitFor();
  await page.locator("h1").first().press("ArrowRight");
  await until("step 11", async () => (await shownStep()) === 11);
  await page.locator("h1").first().press(" ");
  await until("a later step", async () => (await shownStep()) > 20);
  await page.locator("h1").first().press(" ");
  // What steps measured is kept too, and lights the map of the past.
  await page.getByLabel("Light by").selectOption("gradient norm");
  await slider.fill("20");
  await until("a gradient of then", async () => /gradient norm [\d.]/.test(await part("block.0.attention").getAttribute("title")));
  await slider.fill("3");
  await page.getByRole("button", { name: "two steps" }).click();
  const other = page.locator(".view.other");
  await until("another step beside it", async () => (await shownStep(other)) > 3);
  assert.equal(await shownStep(), 3);
  await page.getByRole("button", { name: "two steps" }).click();
  // What was not kept is worked out from a checkpoint.
  await page.locator(".tabs .tab", { hasText: "MLP" }).click();
  const last = (await steps()).at(-1);
  await until("a checkpoint", async () => (await lab.api(`/runs/${run}/checkpoints`)).some((saved) => saved.info.id.split("-")[1] <= last));
  await slider.fill(String(Number(await slider.getAttribute("max")) - 1));
  await page.getByRole("button", { name: /Work it out for step/ }).click();
  await page.locator(".provenance", { hasText: "worked out again" }).waitFor();
  await page.getByRole("button", { name: "live" }).click();
  await page.locator(".provenance", { hasText: "live, every" }).first().waitFor();
  // A matrix over the steps, one line for each block.
  await page.locator(".tabs .tab", { hasText: "Weights" }).click();
  await page.getByLabel("Which matrix").selectOption("mlp.up");
  await until("its courses", async () => /^block 0: [\d.]+ → [\d.]+\s+block 1: /.test(await page.locator(".legend").innerText()));
});

test("from a step on the curve one click leads to its batch, painted by surprise, and to the gradient that moved most", async () => {
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
  assert.deepEqual(losses, [...losses].sort((a, b) => b - a), "most surprising first");
  const first = page.locator(".gradients a").first();
  const tensor = await first.innerText();
  await first.click();
  await page.locator(".crumbs", { hasText: tensor }).waitFor();
  await until("its picture", async () => /Rows 0 to/.test(await page.locator(".plate.matrix canvas").getAttribute("aria-label")));
  await page.locator(".plate.matrix").focus();
  await page.keyboard.press("+");
  await until("a closer look", async () => !/Rows 0 to .* columns 0 to/.test(await page.locator(".plate.matrix canvas").getAttribute("aria-label")));
});

test("hands: a part is silenced on a copy, then for good as a line of the journal, and undone; and on a fork", async () => {
  await page.goto(`${lab.url}/runs/${run}/xray?view=hands`);
  const journal = async () => (await lab.api(`/runs/${run}/events`)).filter((line) => line.event.kind === "edited");
  await page.getByLabel("Part").selectOption("attention");
  assert.ok(await page.getByRole("heading", { name: "Make it last" }).isHidden(), "there is nothing to make last yet");
  await page.getByRole("button", { name: "Silence attention of block 0" }).click();
  await page.locator(".hands-table").waitFor();
  assert.deepEqual(await journal(), [], "so far it was only tried");
  await page.getByLabel("Reason, for the journal").fill("is it needed?");
  await page.getByRole("button", { name: "Apply to the run" }).click();
  await page.getByText(/Applied at step .*: attention of block 0 silenced/).waitFor();
  const [line] = await journal();
  assert.equal(line.reason, "is it needed?");
  assert.deepEqual(line.event.edits, [{ part: { attention: { layer: 0 } }, factor: 0 }]);

  await page.locator(".edits li").waitFor({ state: "detached" });
  assert.ok(await page.getByRole("button", { name: "Apply to the run" }).isDisabled(), "what was applied is not applied again");

  await page.getByRole("button", { name: "Silence attention of block 0" }).click();
  await page.locator(".hands-table").waitFor();
  await page.getByRole("button", { name: "Fork with it" }).click();
  const link = page.locator(".lasting", { hasText: "begins with these changes" }).getByRole("link");
  const fork = (await link.getAttribute("href")).split("/").pop();
  const first = await until("the fork's change", async () => (await lab.api(`/runs/${fork}/events`)).find((line) => line.event.kind === "edited"));
  assert.equal(first.step, Number((await lab.api(`/runs/${fork}`)).plan.origin.from.checkpoint.split("-")[1]));
  await lab.api(`/runs/${fork}/commands`, { method: "POST", body: { kind: "stop" } });

  await page.goto(`${lab.url}/runs/${run}`);
  await page.locator(".journal li", { hasText: "attention of block 0 silenced" }).waitFor();
  await page.keyboard.press("u");
  const choice = page.getByRole("dialog", { name: /Undo the last change/ });
  await choice.getByRole("button", { name: "Back to just before it" }).click();
  await page.locator(".journal li", { hasText: "rolled back" }).first().waitFor();
  assert.deepEqual(page.faults, []);
});
