// Findings of the rules: a spike appears, is read, and its remedy applied; a finding is dismissed; a rule is muted and tuned; lists of runs
// and devices show the health of runs; the Rules page.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { violationsInBothThemes } from "./accessibility.mjs";
import { longRun, openAs, openBrowser, openLab, runState } from "./lab.mjs";

let lab, browser, run, spike;

const spec = {
  ...longRun,
  name: "spiky",
  overrides: { ...longRun.overrides, "intervals.checkpoint_every": 100, "retention.latest": 40 },
};
const command = (body) => lab.api(`/runs/${run}/commands`, { method: "POST", body });
const diagnosis = () => lab.api(`/runs/${run}/findings`);
const steps = async () => (await lab.api(`/runs/${run}`)).summary.step;
/** A number as the page writes it: thin spaces between its thousands. */
const grouped = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, "\u202f");

/** Trains past the first 200 steps, which the rule needs, and then with a learning rate with which the loss jumps. */
before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  await lab.ready();
  run = (await lab.api("/runs", { method: "POST", body: spec })).summary.id;
  await lab.until("450 steps", async () => (await steps()) > 450);
  await command({ kind: "set", path: "optimizer.learning_rate", value: 0.5, reason: "planted" });
  spike = await lab.until("the finding", async () => (await diagnosis()).findings.find(({ found }) => found.finding.rule === "loss_spike")?.found);
  await command({ kind: "pause" });
  await lab.until("the pause", async () => (await lab.api(`/runs/${run}`)).summary.state === "paused");
  await lab.api("/runs", { method: "POST", body: { ...longRun, name: "waiting" } });
});

after(async () => {
  await browser?.close();
  lab?.close();
});

const signedIn = (options = {}, role = "admin") => openAs(browser, lab, role, options);

async function openRun(page, query = "") {
  await page.goto(`${lab.url}/runs/${run}${query}`);
  await runState(page, "paused").waitFor();
  await line(page).waitFor();
}

const line = (page) => page.locator(".health-line");
const cards = (page) => page.locator(".finding-panel > .finding-list > .finding");
const card = (page, label) => page.locator(".finding", { has: page.locator("strong", { hasText: label }) }).first();

/** The run page with the card of the spike open. */
async function openSpike(page) {
  await openRun(page, `?finding=${spike.id}`);
  await card(page, "Loss spike").locator(".finding-body").waitFor();
  return card(page, "Loss spike");
}

const isNarrow = (page, width) => page.evaluate((width) => document.documentElement.scrollWidth <= width, width);

test("the health line names the spike, and its card says what was seen, why it matters, and where to look", async () => {
  const page = await signedIn();
  await openRun(page);
  await line(page).getByText(/ (since|at) step \d/).first().waitFor();
  const described = () => page.locator(".chart.main canvas").first().getAttribute("aria-label");
  await lab.until("its marker on the loss chart", async () => /: loss spike/.test((await described()) ?? ""));
  assert.equal(await line(page).getAttribute("aria-expanded"), "false");
  await line(page).click();
  await card(page, "Loss spike").locator(".finding-head").click();
  const body = card(page, "Loss spike").locator(".finding-body");
  await body.getByText(spike.text).waitFor();
  assert.match(spike.text, /The learning rate was changed from \S+ to 0\.5 at step/, "the change before it is named");
  await body.getByRole("button", { name: /before the change$/ }).waitFor();
  const rule = (await lab.api("/rules")).find(({ id }) => id === "loss_spike");
  await body.getByText(rule.reason).waitFor();
  for (const label of ["Value", "Threshold", "Window", "False alarms on healthy runs"]) await body.locator("dt", { hasText: label }).waitFor();
  await body.locator(".finding-chart canvas").waitFor();
  const step = spike.finding.step;
  assert.match(await body.getByRole("link", { name: `Batch of step ${grouped(step)}` }).first().getAttribute("href"), new RegExp(`xray\\?batch=${step}$`));
  assert.match(await body.getByRole("link", { name: /^X-ray at step/ }).getAttribute("href"), new RegExp(`step=${step}$`));
  await body.getByRole("button", { name: "Show on the charts" }).click();
  await page.getByRole("button", { name: "Back to live" }).waitFor();
  await body.getByRole("link", { name: "About this rule" }).click();
  await page.waitForURL(/\/rules#loss_spike$/);
  await page.locator("#loss_spike").getByText(rule.formula).waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("the batch that a remedy names is that of the finding, and not the newest", async () => {
  const page = await signedIn();
  const opened = await openSpike(page);
  const step = spike.finding.step;
  await opened.getByRole("link", { name: "Inspect the batch" }).click();
  await page.locator(".view[data-view=batch]").getByRole("heading", { name: `Batch of step ${grouped(step)}` }).waitFor();
  await page.locator(".view[data-view=batch] .contexts li").first().waitFor();
  assert.match(page.url(), new RegExp(`[?&](batch|step)=${step}$`));
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a finding is dismissed, no longer counted, and restored", async () => {
  const page = await signedIn();
  const opened = await openSpike(page);
  const before = (await diagnosis()).health;
  await opened.getByRole("button", { name: "Dismiss" }).click();
  await page.getByText("was dismissed").waitFor();
  await lab.until("one alert less", async () => (await diagnosis()).health.alerts === before.alerts - 1);
  await page.locator(".finding-panel summary", { hasText: "dismissed" }).waitFor();
  await page.locator(".toast").getByRole("button", { name: "Undo" }).click();
  await lab.until("the alert again", async () => (await diagnosis()).health.alerts === before.alerts);
  await line(page).getByText(/ (since|at) step \d/).first().waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("findings that are dismissed elsewhere leave the health line, also while they are not listed", async () => {
  const page = await signedIn();
  await openRun(page);
  const named = line(page).getByText(/ (since|at) step \d/);
  await named.waitFor();
  const counted = (await diagnosis()).findings.map(({ found }) => found);
  const ids = counted.filter((found) => !found.is_abandoned && !found.is_dismissed && !found.became).map(({ id }) => id);
  const send = async (method) => {
    for (const id of ids) await lab.api(`/runs/${run}/findings/${id}/dismiss`, { method });
  };
  await send("POST");
  await line(page).getByText(/^Healthy: /).waitFor();
  await send("DELETE");
  await named.waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("rules are muted, tuned and allowed to act, and reset", async () => {
  const page = await signedIn();
  await openSpike(page);
  const dialog = page.getByRole("dialog", { name: "Rules of this run" });
  const rule = () => dialog.locator(".rule-fields li", { has: page.locator("strong", { hasText: /^Loss spike$/ }) });
  const mute = (checked) => rule().getByRole("checkbox", { name: "Mute", checked });
  const open = async () => {
    await page.getByRole("button", { name: "Rules of this run" }).click();
    await rule().locator("summary").click();
  };
  const save = async () => {
    await dialog.getByRole("button", { name: "Save" }).click();
    await dialog.waitFor({ state: "detached" });
  };
  await open();
  await rule().getByLabel("Mute").check();
  // A threshold outside of its limits is not saved.
  await rule().getByLabel(/^alert z/).fill("1");
  await dialog.getByRole("button", { name: "Save", disabled: true }).waitFor();
  await rule().getByLabel(/^alert z/).fill("9");
  await rule().getByRole("combobox").selectOption("roll_back");
  await rule().getByLabel(/^Skip/).fill("50");
  await rule().locator("summary", { hasText: "muted, alert_z 9, rolls back" }).waitFor();
  await save();
  assert.deepEqual((await diagnosis()).settings, {
    muted: ["loss_spike"],
    thresholds: { "loss_spike.alert_z": 9 },
    acts: { loss_spike: { roll_back_and_skip: { steps: 100, batches: 50 } } },
  });
  // The dialog shows what is set.
  await open();
  await mute(true).waitFor();
  await dialog.getByRole("button", { name: "Reset all" }).click();
  await mute(false).waitFor();
  await save();
  assert.deepEqual((await diagnosis()).settings, { muted: [], thresholds: {}, acts: {} });
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a viewer reads findings and changes nothing", async () => {
  const page = await signedIn({}, "view");
  const opened = await openSpike(page);
  await opened.getByRole("button", { name: "Dismiss", disabled: true }).waitFor();
  await opened.getByRole("button", { name: /roll back/i, disabled: true }).first().waitFor();
  await page.getByRole("button", { name: "Rules of this run" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Save", disabled: true }).waitFor();
  await page.context().close();
});

test("the Lab and the Fleet show the health of runs and sort by it", async () => {
  const page = await signedIn();
  const names = () => page.locator(".runs .run-name").allInnerTexts();
  await page.locator(".runs tr", { hasText: "spiky" }).locator(".health-mark[data-level=alert]").waitFor();
  assert.deepEqual(await names(), ["waiting", "spiky"], "the newest run first");
  await page.getByRole("button", { name: "Health" }).click();
  await lab.until("the run with alerts first", async () => (await names())[0] === "spiky");
  await page.goto(`${lab.url}/fleet`);
  await page.locator(".fleet-device .health-mark[data-level=alert]").waitFor();
  await page.getByRole("button", { name: "Sort by health of the runs" }).click();
  await page.locator(".fleet-device").first().locator(".health-mark").waitFor();
  const sorted = await lab.api("/runs?sort=-health");
  assert.deepEqual(sorted.map(({ name }) => name), ["spiky", "waiting"]);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a form of a channel keeps what is typed while another channel changes", async () => {
  const page = await signedIn();
  // Nothing is sent: no run has the tag.
  const filter = { kinds: ["run_ended"], tags: ["none"] };
  const channel = (name, topic) =>
    lab.api("/alert-channels", { method: "POST", body: { name, target: { kind: "ntfy", topic }, is_of_lab: true, filter } });
  const made = [await channel("night", "kindling-night-1"), await channel("day", "kindling-day-1")];
  await page.goto(`${lab.url}/settings`);
  const line = (name) => page.getByRole("list", { name: "Alert channels" }).locator("> li", { hasText: name });
  await line("night").getByRole("button", { name: "Change" }).click();
  const name = line("night").getByLabel("Name");
  await name.fill("night shift, half typed");
  await line("day").getByRole("button", { name: "Turn off" }).click();
  await line("day").getByText("turned off").waitFor();
  assert.equal(await name.inputValue(), "night shift, half typed");
  for (const { id } of made) await lab.api(`/alert-channels/${id}`, { method: "DELETE" });
  await page.context().close();
});

test("every rule is explained on the Rules page", async () => {
  const page = await signedIn();
  await page.goto(`${lab.url}/rules`);
  const rules = await lab.api("/rules");
  for (const { id, label, meaning, source } of rules) {
    const section = page.locator(`#${id}`);
    await section.getByRole("heading", { name: label }).waitFor();
    await section.getByText(meaning).waitFor();
    await section.getByText(source).first().waitFor();
  }
  assert.equal(await page.locator(".rule").count(), rules.length);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("findings and rules break no rule of accessibility, in light and dark", async () => {
  for (const width of [1440, 390]) {
    const page = await signedIn({ viewport: { width, height: 900 } });
    const opened = await openSpike(page);
    await opened.getByRole("button", { name: /roll back/i }).first().click();
    await opened.locator(".remedy .effect").waitFor();
    assert.deepEqual(await violationsInBothThemes(page), [], `card, ${width} px`);
    assert.ok(await isNarrow(page, width), `the card is wider than ${width} px`);
    await page.getByRole("button", { name: "Rules of this run" }).click();
    await page.locator(".rule-fields details").evaluateAll((all) => all.forEach((details) => (details.open = true)));
    assert.deepEqual(await violationsInBothThemes(page), [], `settings, ${width} px`);
    await page.goto(`${lab.url}/rules`);
    await page.locator(".rule").first().waitFor();
    assert.deepEqual(await violationsInBothThemes(page), [], `rules, ${width} px`);
    assert.ok(await isNarrow(page, width), `the rules are wider than ${width} px`);
    await page.context().close();
  }
});

// Last: the run leaves the branch of the finding, and then trains again.
test("a remedy shows its effect before it is sent, and is carried out", async () => {
  const page = await signedIn();
  const opened = await openSpike(page);
  await opened.getByRole("button", { name: /^Roll back to step .* and skip/ }).click();
  const form = opened.locator(".remedy");
  await form.locator(".effect", { hasText: /step/ }).waitFor();
  assert.match(await form.getByLabel("Reason").inputValue(), /^loss spike at step/);
  assert.equal((await lab.api(`/runs/${run}`)).segments.length, 1, "nothing was sent yet");
  await form.getByRole("button", { name: "Send to the run" }).click();
  await page.locator(".answer .applied", { hasText: "rolled back from step" }).waitFor();
  const view = await lab.api(`/runs/${run}`);
  assert.equal(view.segments.length, 2);
  assert.ok(view.hyperparameters.skipped > 0, "batches are skipped");
  await page.locator(".journal li", { hasText: "loss spike at step" }).waitFor();
  await page.locator(".finding-panel summary", { hasText: "abandoned" }).waitFor();
  await lab.until("no card of the spike", async () => (await cards(page).filter({ hasText: "Loss spike" }).count()) === 0);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a rule that acts says so, and the line of the change before it goes", async () => {
  const page = await signedIn();
  // A run of its own: the rules of the other one have found much already.
  const acting = (await lab.api("/runs", { method: "POST", body: { ...spec, name: "acting", priority: 1 } })).summary.id;
  await command({ kind: "stop" });
  await page.goto(`${lab.url}/runs/${acting}`);
  await lab.until("300 steps", async () => (await lab.api(`/runs/${acting}`)).summary.step > 300);
  const roll_back_and_skip = { steps: 1, batches: 0 };
  const acts = { loss_spike: { roll_back_and_skip }, divergence: { roll_back_and_skip } };
  await lab.api(`/runs/${acting}/rules`, { method: "PUT", body: { acts } });
  await page.locator(".journal li", { hasText: "rules changed: " }).first().waitFor();
  // The message may be gone before the click on a busy machine is answered.
  await page.evaluate(() => {
    window.messages = [];
    const keep = () => document.querySelectorAll(".toast").forEach((toast) => window.messages.push(toast.textContent));
    new MutationObserver(keep).observe(document.body, { childList: true, subtree: true });
  });
  await page.locator("body").press("l");
  const form = page.getByRole("dialog", { name: "Learning rate" });
  await form.getByRole("textbox").first().fill("0.5");
  await form.getByRole("button", { name: "Set from the next step on" }).click();
  // The rule may act before the line of the change is seen.
  const saysSo = (messages) => messages.some((text) => /Rule (Loss spike|Divergence) rolled the run back from step .+ to step/.test(text));
  await lab.until("the message of the rule", async () => saysSo(await page.evaluate(() => window.messages)));
  const change = page.locator(".answer .applied", { hasText: "learning rate" });
  await lab.until("no line of a learning rate of before", async () => (await change.count()) === 0);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
