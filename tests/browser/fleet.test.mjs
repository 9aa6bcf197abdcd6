// The Fleet page with the worker of the server's own machine: telemetry, history, usage, and how machines are added and workers changed.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { still, violationsInBothThemes } from "./accessibility.mjs";
import { longRun, openAs, openBrowser, openLab, openPage, signIn } from "./lab.mjs";

let lab, browser, page, run;

const row = (on = page) => on.locator(".fleet-device").first();
const order = (kind) => lab.api(`/runs/${run}/commands`, { method: "POST", body: { kind } });

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  await lab.ready();
  run = (await lab.api("/runs", { method: "POST", body: { ...longRun, name: "watched" } })).summary.id;
  page = await openPage(browser, { permissions: ["clipboard-read", "clipboard-write"] });
  await signIn(page, lab.link);
  await page.getByRole("heading", { name: "Runs", exact: true }).waitFor();
  await page.getByRole("link", { name: "Fleet", exact: true }).click();
});

after(async () => {
  await browser?.close();
  lab?.close();
});

test("the one machine is shown with its run, load, memory and usage, and without totals", async () => {
  await row().getByRole("link", { name: "watched" }).waitFor();
  await row().locator(".state[data-state=running]").waitFor();
  await row().getByText(/tok\/s/).waitFor();
  await row().locator(".d-load .progress").waitFor();
  await row().locator(".d-memory").getByText(/GB \/ /).waitFor();
  await row().locator(".d-usage").getByText(/busy/).waitFor();
  assert.equal(await page.locator(".fleet-device").count(), 1);
  assert.equal(await page.locator(".fleet-totals").count(), 0, "one device needs no totals");
  const [{ devices }] = (await lab.api("/fleet")).machines;
  const telemetry = devices[0].telemetry;
  assert.ok(telemetry.cpu_utilization > 0 && telemetry.cpu_utilization <= 1, JSON.stringify(telemetry));
  assert.ok(!("gpu_utilization" in telemetry), "a CPU reports no GPU");
});

test("time is wasted while a paused run reserves the device", async () => {
  await order("pause");
  await row().locator(".d-usage").getByText(/wasted/).waitFor();
  await order("resume");
});

test("the page of a device has charts of the hour and the day, and they fill", async () => {
  await row().locator(".d-name a").click();
  await page.getByRole("heading", { name: "History" }).waitFor();
  for (const chart of ["CPU load", "Machine memory"]) {
    await page.locator(".fleet-charts .chart", { has: page.getByRole("heading", { name: new RegExp(`^${chart}`) }) }).locator(".legend b").waitFor();
  }
  const { id } = (await lab.api("/devices"))[0].info;
  const buckets = async (range) => (await lab.api(`/fleet/devices/${id}/history?range=${range}`)).buckets;
  await lab.until("a second bucket", async () => (await buckets("hour")).length > 1);
  // The newest bucket may just have begun.
  const isBusy = ({ utilization, usage }) => utilization && usage.busy_secs > 0;
  const { utilization } = await lab.until("a busy time of the day", async () => (await buckets("day")).find(isBusy));
  assert.ok(utilization.min <= utilization.mean && utilization.mean <= utilization.max, JSON.stringify(utilization));
  await page.getByRole("button", { name: "Last day" }).click();
  await page.locator(".fleet-charts .chart").first().waitFor();
  await page.locator(".device-grid aside").getByText("last day").waitFor();
  assert.deepEqual(page.faults, []);
});

test("an unknown device is said to be unknown", async () => {
  await page.goto(`${lab.url}/fleet/nobody`);
  await page.getByRole("heading", { name: "Device not found", level: 2 }).waitFor();
  await page.getByRole("link", { name: "Open the Fleet page" }).click();
  await row().waitFor();
});

test("a join token is shown once with the commands to run, is listed, and can be revoked", async () => {
  await page.getByRole("button", { name: "Add a machine" }).click();
  const dialog = page.locator("dialog.add-machine");
  await dialog.getByLabel("Pool").fill("room-12");
  await dialog.getByLabel("Workers").fill("3");
  await dialog.getByRole("button", { name: "Create token" }).click();
  const commands = await dialog.locator(".fresh pre").innerText();
  assert.match(commands, new RegExp(`kindling join ${lab.url} --pool room-12 --token-file join.token`));
  await dialog.getByRole("button", { name: "Copy" }).click();
  await page.getByText("The commands were copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), commands);
  await dialog.locator(".tokens").getByText("0 joined, 3 more can join").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Add a machine" }).click();
  await dialog.locator(".tokens").getByText("room-12").waitFor();
  assert.equal(await dialog.locator(".fresh").count(), 0, "the text cannot be seen again");
  await dialog.getByRole("button", { name: "Revoke a join token of room-12" }).click();
  await page.locator("dialog.confirm[open]").getByRole("button", { name: "Revoke" }).click();
  await dialog.locator(".tokens").waitFor({ state: "detached" });
  await page.keyboard.press("Escape");
  assert.deepEqual(page.faults, []);
});

test("runs at once are set and set back, and each run of a device has its own speed", async () => {
  const number = page.getByLabel("Runs at once on each device of the pool local");
  const atOnce = async () => (await lab.api("/pools")).find(({ name }) => name === "local").runs_at_once;
  await number.selectOption("3");
  await lab.until("three at once", async () => (await atOnce()) === 3);
  await page.getByRole("button", { name: "Undo" }).click();
  await lab.until("the number of before", async () => (await atOnce()) === 1);
  await number.selectOption("2");
  await lab.until("two at once", async () => (await atOnce()) === 2);
  const beside = (await lab.api("/runs", { method: "POST", body: { ...longRun, name: "beside" } })).summary.id;
  await row().getByRole("link", { name: "beside" }).waitFor();
  await row().getByText("2 of 2 at once").waitFor();
  const speeds = () => row().locator(".d-state").getByText(/tok\/s/).count();
  await lab.until("a speed of each run", async () => (await speeds()) === 2);
  assert.equal(await page.locator(".fleet-device").count(), 1, "one device, whatever the number of its processes");
  await lab.api(`/runs/${beside}/commands`, { method: "POST", body: { kind: "stop" } });
  await row().getByRole("link", { name: "beside" }).waitFor({ state: "detached" });
  await number.selectOption("1");
  await lab.until("one at once", async () => (await atOnce()) === 1);
  assert.deepEqual(page.faults, []);
});

test("a worker is renamed, labelled and drained, and its log is on its page", async () => {
  const choose = async (action) => {
    await row().getByRole("button", { name: /^Actions of the worker/ }).click();
    await row().getByRole("button", { name: action }).click();
  };
  await choose("Rename or label");
  const dialog = page.locator("dialog.worker-edit");
  await dialog.getByLabel("Name").fill("bench left");
  await dialog.getByLabel(/^Labels/).fill("room 12, borrowed");
  await dialog.getByRole("button", { name: "Save" }).click();
  await row().getByText("bench left").waitFor();
  await row().getByText("borrowed").waitFor();
  await choose("Drain");
  await page.locator("dialog.confirm[open]").getByRole("button", { name: "Drain" }).click();
  await row().getByText("draining").waitFor();
  await choose("Take runs again");
  await row().getByText("draining").waitFor({ state: "detached" });
  await row().locator(".d-name a").click();
  await page.locator(".worker-log").getByText("linked to").waitFor();
  assert.deepEqual(page.faults, []);
});

test("a viewer sees everything and can change nothing", async () => {
  const viewer = await openAs(browser, lab, "view");
  await viewer.goto(`${lab.url}/fleet`);
  await row(viewer).getByText("bench left").waitFor();
  assert.equal(await viewer.getByRole("button", { name: "Add a machine" }).count(), 0);
  assert.equal(await viewer.getByRole("button", { name: /^Actions of the worker/ }).count(), 0);
  assert.deepEqual(viewer.faults, []);
  await viewer.context().close();
});

test("no rule of accessibility is broken, and a phone need not scroll sideways, in light and dark", async () => {
  const [width, height] = [390, 844];
  const small = await openAs(browser, lab, "admin", { viewport: { width, height }, hasTouch: true, isMobile: true });
  const { id } = (await lab.api("/devices"))[0].info;
  for (const [path, shown] of [["/fleet", ".fleet-device .progress"], [`/fleet/${id}`, ".fleet-charts .chart .legend b"]]) {
    await small.goto(lab.url + path);
    await small.locator(shown).first().waitFor();
    await still(small);
    assert.ok((await small.evaluate(() => document.documentElement.scrollWidth)) <= width, `${path} is wider than ${width} px`);
    assert.deepEqual(await violationsInBothThemes(small), [], path);
    if (path === "/fleet") {
      await small.getByRole("button", { name: "Add a machine" }).click();
      await small.locator("dialog.add-machine[open]").waitFor();
      assert.deepEqual(await violationsInBothThemes(small), [], "the dialog");
      await small.keyboard.press("Escape");
    }
  }
  assert.deepEqual(small.faults, []);
  await small.context().close();
});
