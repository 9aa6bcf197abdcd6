// A phone, a role without permissions, no session, invalid input.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { still } from "./accessibility.mjs";
import { longRun, openAs, openBrowser, openLab, openPage, runState, stepsShown } from "./lab.mjs";

let lab, browser, run;

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  await lab.ready();
  run = (await lab.api("/runs", { method: "POST", body: longRun })).summary.id;
  await lab.until("some steps", async () => (await lab.api(`/runs/${run}`)).summary.step > 50);
});

after(async () => {
  await browser?.close();
  lab?.close();
});

const signedIn = (role, options) => openAs(browser, lab, role, options);

test("no page scrolls sideways on a phone, and every control of a run is visible", async () => {
  const width = 390;
  const page = await signedIn("admin", { viewport: { width, height: 844 }, hasTouch: true, isMobile: true });
  const fits = async (path, shown = "main.page h1") => {
    await page.goto(lab.url + path);
    await page.locator(shown).first().waitFor();
    await still(page);
    // A mobile browser widens its window to content that does not fit, so the width of the window is no measure.
    const inside = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(inside <= width, `${path} is ${inside} px wide on ${width}`);
  };
  for (const path of ["/", `/runs/${run}`, "/fleet", "/fleet/cpu"]) await fits(path);
  // The others are as wide whether the run trains or not.
  const order = (body) => lab.api(`/runs/${run}/commands`, { method: "POST", body });
  await order({ kind: "pause" });
  for (const path of ["/start", "/data", "/settings", `/compare?runs=${run}`, `/playground?run=${run}`]) await fits(path);
  for (const view of ["overview", "attention", "logit_lens", "neurons", "weights", "embedding", "interventions", "emergence"]) {
    await fits(`/runs/${run}/xray?view=${view}`, view === "emergence" ? ".view table" : ".view");
    assert.equal(await page.locator(".model").isVisible(), view === "overview", `${view}: the overview leaves a phone's room to what was opened`);
  }
  await fits(`/runs/${run}`);
  await runState(page, "paused").waitFor({ state: "attached" });
  const controls = page.locator(".controls .control");
  assert.ok((await controls.count()) > 12);
  for (const control of await controls.all()) {
    const box = await control.boundingBox();
    assert.ok(box.x >= 0 && box.x + box.width <= width, `${await control.innerText()} reaches from ${box.x} over ${box.width} px`);
  }
  await order({ kind: "resume" });
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a phone reaches every page from the Run page, and every item of a menu is inside the window", async () => {
  const [width, height] = [390, 844];
  const page = await signedIn("admin", { viewport: { width, height }, hasTouch: true, isMobile: true });
  await page.goto(`${lab.url}/runs/${run}`);
  await runState(page, "running").waitFor({ state: "attached" });
  await page.locator("body").press("c");
  await page.locator(".checkpoints li").first().waitFor();
  // A run that trains removes the checkpoint whose menu is open.
  const order = (kind) => lab.api(`/runs/${run}/commands`, { method: "POST", body: { kind } });
  await order("pause");
  await runState(page, "paused").waitFor({ state: "attached" });
  for (const menu of [/^Pages/, /^Export this run/, /^Actions for the checkpoint/]) {
    await page.getByRole("button", { name: menu }).first().click();
    const items = page.locator(".menu-list > *");
    assert.ok((await items.count()) > 3, `${menu}`);
    for (const item of await items.all()) {
      const box = await item.boundingBox();
      const name = await item.innerText();
      assert.ok(box.x >= 0 && box.x + box.width <= width, `${name} reaches from ${box.x} over ${box.width} px`);
      assert.ok(box.y >= 0 && box.y + box.height <= height, `${name} reaches from ${box.y} over ${box.height} px`);
      await item.click({ trial: true });
    }
    await page.keyboard.press("Escape");
    await items.first().waitFor({ state: "detached" });
  }
  await order("resume");
  await page.locator(".views").getByRole("link", { name: "X-ray" }).click();
  await page.waitForURL(/xray/);
  await page.locator(".xray-tabs").waitFor();
  await page.goto(`${lab.url}/runs/${run}`);
  await page.getByRole("button", { name: "Pages" }).click();
  await page.locator(".menu-list").getByRole("link", { name: "Data" }).click();
  await page.getByRole("heading", { name: "Data", level: 1 }).or(page.getByRole("heading", { name: "Datasets" })).first().waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("the role view shows everything, and its controls are disabled", async () => {
  const page = await signedIn("view");
  assert.equal(await page.getByRole("link", { name: /New run/ }).count(), 0);
  await page.goto(`${lab.url}/runs/${run}`);
  await runState(page, "running").waitFor();
  for (const name of ["Pause", "Step", "Stop", "Evaluate", "Sample", "Note"]) {
    assert.ok(await page.locator(".controls").getByRole("button", { name, exact: true }).isDisabled(), name);
  }
  await page.locator("body").press("Space");
  await page.locator(".answer", { hasText: "Your role is view" }).waitFor();
  const before = await stepsShown(page);
  await lab.until("more steps", async () => (await stepsShown(page)) > before);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("without a session the sign-in page is shown, and an invalid token is refused", async () => {
  const page = await openPage(browser);
  await page.goto(`${lab.url}/runs/${run}`);
  await page.locator("input[name=token]").waitFor();
  assert.equal(await page.title(), "Sign in · Kindling");
  await page.getByText(`kindling token --sign-in --data ${lab.data}`).waitFor();
  await page.locator("input[name=token]").fill("nonsense");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText(/invalid, expired or already used/).waitFor();
  await page.locator("input[name=token]").fill(lab.token("view", "--sign-in"));
  await page.getByRole("button", { name: "Sign in" }).click();
  await runState(page, "running").waitFor();
  const { name } = (await lab.api(`/runs/${run}`)).summary;
  await lab.until("the name of the run in the title", async () => (await page.title()) === `${name} · Kindling`);
  await page.context().close();
});

test("a sign-in link that is not valid opens a form for another one", async () => {
  const page = await openPage(browser);
  await page.goto(`${lab.url}/signin?token=abc`);
  await page.getByRole("alert").getByText("This sign-in link is not valid").waitFor();
  await page.locator("input[name=token]").fill(lab.token("view", "--sign-in"));
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Runs", exact: true }).waitFor();
  assert.equal(new URL(page.url()).pathname, "/");
  await page.context().close();
});

test("an unknown run and an unknown page lead to the Lab, without texts for programs", async () => {
  const page = await signedIn("view");
  for (const path of ["/runs/nope", "/runs/nope/xray", "/nothing/here"]) {
    await page.goto(lab.url + path);
    await page.getByRole("heading", { name: /not found/i, level: 2 }).waitFor();
    await page.getByRole("link", { name: "Open the Lab" }).waitFor();
    assert.equal(await page.getByText("/api/v1").count(), 0, path);
    assert.equal(await page.getByRole("button", { name: "Try again" }).count(), 0, path);
  }
  await page.goto(`${lab.url}/new`);
  await page.getByRole("heading", { name: "New run", level: 1 }).waitFor();
  await page.context().close();
});

test("an invalid value is refused while it is typed", async () => {
  const page = await signedIn("steer");
  await page.goto(`${lab.url}/start?dataset=tales`);
  await page.locator(".preview").getByText(/parameters/i).first().waitFor();
  await page.getByRole("heading", { name: "All hyperparameters" }).click();
  const heads = page.locator("[id='model.heads']");
  await heads.fill("3");
  await page.locator(".hyperparameter-field", { has: heads }).getByText(/heads/i).nth(1).waitFor();
  await page.locator("[id='model.heads'][aria-invalid=true]").waitFor();
  await heads.fill("4");
  await page.locator("[id='model.heads'][aria-invalid=true]").waitFor({ state: "detached" });
  assert.deepEqual(page.faults.filter((fault) => !fault.includes("422")), []);
  await page.context().close();
});
