// Queued runs: moved in the queue, prioritised, and started when the device is free.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { longRun, openBrowser, openLab, openPage, signIn } from "./lab.mjs";

let lab, browser, page, holder;

const start = (name) => lab.api("/runs", { method: "POST", body: { ...longRun, name } });
const order = (body) => lab.api(`/runs/${holder}/commands`, { method: "POST", body });
const row = (name) => page.locator(".runs tr", { hasText: name });
const step = (name, way) => row(name).getByRole("button", { name: `${way} in the queue` });

/** Names of the queued runs, the next one first. */
async function waiting() {
  const runs = (await lab.api("/runs")).filter((run) => run.state === "queued");
  return runs.sort((one, two) => one.queue_place - two.queue_place).map((run) => run.name).join(" ");
}

const isQueue = (wanted) => lab.until(wanted, async () => (await waiting()) === wanted);

async function choose(name, action) {
  await row(name).getByRole("button", { name: `Actions of ${name}` }).click();
  await row(name).getByRole("button", { name: action }).click();
}

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  page = await openPage(browser);
  await signIn(page, lab.link);
  await lab.ready();
  holder = (await start("holder")).summary.id;
  await lab.until("its first step", async () => (await lab.api(`/runs/${holder}`)).summary.step > 0);
  await order({ kind: "pause" });
  for (const name of ["willow", "maple", "cedar"]) await start(name);
  await row("cedar").getByText("position 3 in the queue").waitFor();
});

after(async () => {
  await browser?.close();
  lab?.close();
});

test("a queued run is moved by one place", async () => {
  await isQueue("willow maple cedar");
  assert.ok(await step("willow", "Earlier").isDisabled(), "the first cannot go further up");
  assert.ok(await step("cedar", "Later").isDisabled(), "nor the last further down");
  await step("cedar", "Earlier").click();
  await row("cedar").getByText("position 2 in the queue").waitFor();
  await isQueue("willow cedar maple");
  await step("willow", "Later").click();
  await isQueue("cedar willow maple");
});

test("a run with higher priority goes before all others, and back", async () => {
  await choose("maple", "Raise priority to 1");
  await row("maple").getByText("priority 1").waitFor();
  await isQueue("maple cedar willow");
  await choose("maple", "Lower priority to 0");
  await row("maple").getByText("priority 1").waitFor({ state: "detached" });
  await choose("willow", "Raise priority to 1");
  await row("willow").getByText("position 1 in the queue").waitFor();
});

test("the next run starts when the device is free", async () => {
  await order({ kind: "stop" });
  await row("willow").locator(".state[data-state=running]").waitFor();
  assert.deepEqual(page.faults, []);
});
