// Sharing: links for guests, a presenter whom others follow, embeds in pages of other sites, and links that end while they are open.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { still, violations, violationsInBothThemes } from "./accessibility.mjs";
import { longRun, openAs, openBrowser, openLab, openPage, runState } from "./lab.mjs";

let lab, browser, run;

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  await lab.ready();
  run = (await lab.api("/runs", { method: "POST", body: { ...longRun, name: "shared-run" } })).summary.id;
  await lab.until("snapshots", async () => (await lab.api(`/runs/${run}/snapshots/steps`)).length > 8);
});

after(async () => {
  await browser?.close();
  lab?.close();
});

/** A page of someone with a role, who is named after it. */
const member = (role, options = {}) => openAs(browser, lab, role, options);

/** A link that the API creates, and its address. */
async function link(body = {}) {
  const created = await lab.api("/links", { method: "POST", body: { scope: { runs: [run] }, path: `/runs/${run}`, role: "view", hours: 1, ...body } });
  return { id: created.link.id, address: `${lab.url}/${body.is_embed ? "embed" : "share"}/${created.text}` };
}

/** A browser without an account that opens a link. */
async function guest(address, options = {}) {
  const page = await openPage(browser, options);
  await page.goto(address);
  await Promise.all([page.waitForURL((url) => !url.pathname.includes("/share/")), page.locator("form button").click()]);
  return page;
}

/** Pixels by which the page is wider than its window. */
const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

test("a link from the dialog shows one run to a guest, and nothing else of the lab", async () => {
  const page = await member("admin", { permissions: ["clipboard-read", "clipboard-write"] });
  await page.goto(`${lab.url}/runs/${run}?log=1`);
  await runState(page, "running").waitFor();
  await page.getByRole("button", { name: "Share", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Share shared-run" });
  await dialog.getByText(`/runs/${run}?log=1`).first().waitFor();
  await dialog.getByRole("button", { name: "Create link" }).click();
  const address = await dialog.locator(".fresh pre").innerText();
  await dialog.getByRole("button", { name: "Copy" }).click();
  await dialog.getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), address);
  await dialog.getByText("Not opened yet.").waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });

  const visitor = await guest(address);
  await runState(visitor, "running").waitFor();
  assert.equal(new URL(visitor.url()).search, "?log=1", "the view is the one that was shared");
  await visitor.getByText("Shared view").waitFor();
  const places = await visitor.locator("header nav a").evaluateAll((links) => links.map((one) => one.textContent));
  assert.deepEqual(places.filter((name) => ["Lab", "Data", "Fleet", "Settings", "People", "Playground"].includes(name)), []);
  assert.equal(await visitor.getByRole("button", { name: /Pause/ }).first().isEnabled(), false, "a guest who may view cannot steer");
  for (const name of ["Share", "Present"]) assert.equal(await visitor.getByRole("button", { name, exact: true }).count(), 0, name);
  await visitor.goto(`${lab.url}/settings`);
  await visitor.getByRole("heading", { name: "Shared with you" }).waitFor();
  await visitor.getByRole("link", { name: "shared-run" }).click();
  await runState(visitor, "running").waitFor();

  await page.goto(`${lab.url}/settings`);
  const line = page.locator("#links li").first();
  await line.getByText("Opened in 1 browser").waitFor();
  await line.getByRole("button", { name: /^Revoke/ }).click();
  await page.locator("dialog.confirm").getByRole("button", { name: "Revoke" }).click();
  await visitor.getByRole("heading", { name: "This link has ended" }).waitFor();
  assert.equal(await visitor.locator(".chart, .run-head, header.top").count(), 0, "nothing that the link showed is kept");
  assert.deepEqual(await violations(visitor), []);
  assert.deepEqual(page.faults, []);
  await visitor.context().close();
  await page.context().close();
});

test("a link with a passphrase opens with it alone, and a link to steer steers", async () => {
  const { address } = await link({ passphrase: "correct horse", role: "steer" });
  const page = await openPage(browser);
  await page.goto(address);
  await page.locator("form input").fill("wrong horse");
  await page.locator("form button").click();
  await page.getByText("The passphrase is wrong.").waitFor();
  assert.match(page.url(), /\/share\//, "a wrong passphrase opens nothing");
  await page.locator("form input").fill("correct horse");
  await Promise.all([page.waitForURL(new RegExp(`/runs/${run}`)), page.locator("form button").click()]);
  await runState(page, "running").waitFor();
  await page.getByRole("button", { name: /Pause/ }).first().click();
  await runState(page, "paused").waitFor();
  await page.keyboard.press("Space");
  await runState(page, "running").waitFor();
  await page.context().close();
});

test("a run whose link ends while other links remain is not shown any more", async () => {
  const other = (await lab.api("/runs", { method: "POST", body: { ...longRun, name: "other-run", steps: 20 } })).summary.id;
  const first = await link();
  const page = await guest(first.address);
  const second = await link({ scope: { runs: [other] }, path: `/runs/${other}` });
  await page.goto(second.address);
  await Promise.all([page.waitForURL(new RegExp(`/runs/${other}`)), page.locator("form button").click()]);
  await page.goto(`${lab.url}/runs/${run}`);
  await runState(page, "running").waitFor();
  await lab.api(`/links/${first.id}`, { method: "DELETE" });
  await page.getByText("it is no longer shared with you").waitFor();
  assert.equal(await page.locator(".chart").count(), 0);
  await page.goto(`${lab.url}/runs/${other}`);
  await page.locator(".run-head").waitFor();
  await page.context().close();
});

test("watchers follow page, step and pointer of a presenter, look around, and return", async () => {
  const presenter = await member("admin");
  await presenter.goto(`${lab.url}/runs/${run}`);
  await runState(presenter, "running").waitFor();
  const watcher = await member("view");
  const visitor = await guest((await link()).address, { viewport: { width: 1200, height: 700 } });
  await runState(visitor, "running").waitFor();

  await presenter.getByRole("button", { name: "Present", exact: true }).first().click();
  const bar = (page) => page.getByRole("region", { name: "Presentation" });
  await bar(presenter).getByText("nobody follows yet").waitFor();
  for (const page of [watcher, visitor]) await page.getByRole("button", { name: "Follow admin" }).click();
  await watcher.waitForURL(new RegExp(`/runs/${run}`));
  await bar(presenter).getByText(/2 followers: .*view/).waitFor();

  // Another page, a view of it, and a step.
  await presenter.getByRole("link", { name: "X-ray", exact: true }).click();
  for (const page of [watcher, visitor]) await page.waitForURL(/\/xray/);
  await presenter.getByRole("link", { name: "Attention", exact: true }).click();
  for (const page of [watcher, visitor]) await page.waitForURL(/\/xray\?.*view=attention/);
  const at = (page) => page.locator(".timeline .at").first().innerText();
  const snapshots = async () => Number(await presenter.locator(".scrub").first().getAttribute("max"));
  await lab.until("the snapshots on the slider", async () => (await snapshots()) > 8);
  await presenter.locator(".scrub").first().evaluate((slider) => {
    slider.value = "3";
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  });
  for (const page of [presenter, watcher, visitor]) await lab.until("step 3, which has a snapshot", async () => (await at(page)) === "3");
  await presenter.getByRole("link", { name: "Logit lens", exact: true }).click();
  for (const page of [watcher, visitor]) await page.waitForURL(/view=logit_lens/);

  // The pointer, over the same part of the same element although the windows differ in size.
  const view = await presenter.locator("section.view").first().boundingBox();
  const fraction = [0.3, 0.25];
  await presenter.mouse.move(view.x + 10, view.y + 10);
  await presenter.mouse.move(view.x + fraction[0] * view.width, view.y + fraction[1] * view.height);
  for (const page of [watcher, visitor]) {
    const ring = page.locator(".presenter-pointer");
    await ring.getByText("admin").waitFor();
    await lab.until("the pointer", async () => {
      const [over, box] = [await ring.boundingBox(), await page.locator("section.view").first().boundingBox()];
      if (!over || !box) return false;
      const [x, y] = [(over.x + over.width / 2 - box.x) / box.width, (over.y + over.height / 2 - box.y) / box.height];
      return Math.abs(x - fraction[0]) < 0.2 && Math.abs(y - fraction[1]) < 0.2;
    });
    const passes = await ring.evaluate((node) => getComputedStyle(node).pointerEvents === "none");
    assert.ok(passes, "the pointer takes no clicks");
  }

  // One looks around: the presenter goes on, and this page stays.
  await watcher.mouse.move(400, 400);
  await watcher.mouse.wheel(0, 200);
  await bar(watcher).getByText("You are looking around on your own.").waitFor();
  await presenter.getByRole("link", { name: "Run", exact: true }).click();
  await visitor.waitForURL(new RegExp(`/runs/${run}$`));
  assert.match(watcher.url(), /xray/);
  await watcher.getByRole("button", { name: "Return to admin" }).click();
  await watcher.waitForURL(new RegExp(`/runs/${run}$`));
  await bar(watcher).getByText(/You are following admin/).waitFor();

  // Scrolling, and a page that a guest may not see.
  await presenter.mouse.wheel(0, 600);
  await lab.until("the watcher to be scrolled", async () => (await watcher.evaluate(() => scrollY)) > 100);
  await presenter.getByRole("button", { name: "Pages" }).click();
  await presenter.locator(".menu-list").getByRole("link", { name: "Fleet" }).click();
  await watcher.waitForURL(/\/fleet/);
  await bar(visitor).getByText("shows a page that is not shared with you").waitFor();

  // Escape leaves; Stop ends it for all.
  await watcher.keyboard.press("Escape");
  await watcher.getByRole("button", { name: "Follow admin" }).waitFor();
  await bar(presenter).getByText(/1 follower:/).waitFor();
  assert.deepEqual(await violations(presenter), []);
  // A reload continues the presentation, and the watcher stays with it.
  await presenter.reload();
  await bar(presenter).getByText(/1 follower:/).waitFor();
  assert.equal(await bar(presenter).getByRole("button", { name: /Follow/ }).count(), 0, "nobody follows themselves");
  await bar(presenter).getByRole("button", { name: "Stop" }).click();
  for (const page of [watcher, visitor]) await bar(page).waitFor({ state: "detached" });
  for (const page of [presenter, watcher]) assert.deepEqual(page.faults, []);
  for (const page of [presenter, watcher, visitor]) await page.context().close();
});

test("an embed in a page of another origin shows the chart and nothing else, and updates while the run trains", async () => {
  const page = await member("admin");
  await page.goto(`${lab.url}/runs/${run}`);
  await page.getByRole("button", { name: "Share", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Share shared-run" });
  await dialog.getByRole("button", { name: "Embed" }).click();
  await dialog.locator("img.embed-preview").waitFor();
  await dialog.getByRole("button", { name: "Create embed" }).click();
  const text = (name) => dialog.getByRole("group", { name, exact: true }).locator("pre").innerText();
  const frame = await text("Frame (HTML)");
  const image = await text("Image (HTML)");
  assert.match(await text("Markdown, PNG"), /^!\[Loss of shared-run\]\(http.*\/image\.png\?width=960/);
  assert.deepEqual(await violations(page), []);
  await page.context().close();

  const site = createServer((_, answer) => answer.writeHead(200, { "content-type": "text/html" }).end(`<!doctype html><title>Blog</title>${frame}${image}`));
  await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
  const reader = await openPage(browser);
  await reader.goto(`http://127.0.0.1:${site.address().port}/`);
  const embedded = reader.frameLocator("iframe");
  await embedded.locator("img, svg").first().waitFor();
  assert.equal(await embedded.locator("a, header, nav, button, input, form").count(), 0, "no link, no header, no form");
  const size = (await reader.locator("body > img").evaluate((picture) => picture.naturalWidth)) ?? 0;
  assert.equal(size, 960, "the image is shown by a page of another origin");
  const picture = async () => (await reader.locator("iframe").screenshot()).toString("base64");
  const first = await picture();
  await lab.until("another picture", async () => (await picture()) !== first);
  const cookies = await reader.context().cookies();
  assert.deepEqual(cookies, [], "an embed signs nobody in");
  await reader.goto(`${lab.url}/`);
  await reader.getByRole("button", { name: "Sign in" }).waitFor();
  await reader.context().close();
  site.close();
});

// Last: the layout does not depend on the steps, and a page without new steps is drawn once.
for (const width of [390, 1440, 1920]) {
  test(`dialog, presenter and projector fit a window of ${width} px, in light and dark`, async () => {
    if ((await lab.api(`/runs/${run}`)).summary.state === "running") {
      await lab.api(`/runs/${run}/commands`, { method: "POST", body: { kind: "pause" } });
    }
    const page = await member("admin", { viewport: { width, height: width === 390 ? 800 : 1080 } });
    const found = {};
    for (const path of [`/runs/${run}`, `/runs/${run}/xray?view=attention`, `/compare?runs=${run}`]) {
      await page.goto(lab.url + path);
      await page.locator("canvas").first().waitFor({ state: "attached" });
      // The dialog is the same on each page.
      const isFirst = path === `/runs/${run}`;
      const check = async (what) => isFirst && (found[what] = await violationsInBothThemes(page));
      await page.getByRole("button", { name: "Share", exact: true }).click();
      const dialog = page.locator("dialog.share-dialog");
      await dialog.getByRole("button", { name: "Create link" }).waitFor();
      await check("link");
      await dialog.getByRole("button", { name: "Embed" }).click();
      await dialog.getByRole("button", { name: "Create embed" }).waitFor();
      await check("embed");
      assert.ok((await overflow(page)) <= 0, `${path}: the page is wider than the window`);
      assert.ok(await dialog.evaluate((box) => box.scrollWidth <= box.clientWidth), `${path}: the dialog scrolls sideways`);
      await page.keyboard.press("Escape");
      await page.keyboard.press("Shift+P");
      await page.getByRole("region", { name: "Presentation" }).waitFor();
      await check("presenting");
      await page.keyboard.press("Shift+P");
      await page.keyboard.press("Shift+L");
      await still(page);
      await check("projector");
      assert.ok((await overflow(page)) <= 0, `${path}: the layout for a projector is wider than the window`);
      await page.keyboard.press("Shift+L");
    }
    const isProjector = () => document.documentElement.hasAttribute("data-projector");
    await page.keyboard.press("Shift+L");
    await page.waitForFunction(isProjector);
    await page.reload();
    // The layout is kept.
    await page.waitForFunction(isProjector);
    assert.deepEqual(Object.entries(found).filter(([, lines]) => lines.length), []);
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });
}
