// People and projects: someone alone meets no word of them; an invited person signs in, sees their project alone, and is signed out when they are
// removed; the audit log has all of it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { still, violationsInBothThemes } from "./accessibility.mjs";
import { longRun, openBrowser, openLab, openPage, signIn } from "./lab.mjs";

const PASSWORD = "seven quiet lanterns";
let lab, browser, owner, bea, run, link;

const post = (path, body) => lab.api(path, { method: "POST", body });

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  await lab.ready();
  run = (await post("/runs", { ...longRun, name: "first" })).summary.id;
  await lab.until("its first step", async () => (await lab.api(`/runs/${run}`)).summary.step > 0);
  await post(`/runs/${run}/commands`, { kind: "pause" });
  owner = await openPage(browser, { permissions: ["clipboard-read", "clipboard-write"] });
  await signIn(owner, lab.link);
  await owner.getByRole("heading", { name: "Runs", exact: true }).waitFor();
});

after(async () => {
  await browser?.close();
  lab?.close();
});

const heading = (page, name) => page.getByRole("heading", { name, exact: true });
const row = (page, name) => page.locator(".people .stacked tbody tr", { hasText: name });
const question = (page) => page.locator("dialog.confirm[open]");
const runNames = (page) => page.locator(".runs .run-name").allInnerTexts();

/** Texts, tooltips and labels of the page, without its samples and without the two sections that may speak of accounts. */
function words(page) {
  return page.evaluate(() => {
    const skipped = "[aria-labelledby=account-title], [aria-labelledby=share-title], .samples, .sample, script, style";
    const isKept = (element) => element && !element.closest(skipped);
    const found = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) if (isKept(texts.currentNode.parentElement)) found.push(texts.currentNode.data);
    for (const name of ["title", "aria-label", "placeholder"]) {
      for (const element of document.querySelectorAll(`[${name}]`)) if (isKept(element)) found.push(element.getAttribute(name));
    }
    return found;
  });
}

test("someone who uses the lab alone meets no word of accounts or projects", async () => {
  const shown = [["/", ".runs .run-name"], [`/runs/${run}`, ".charts .chart"], ["/settings", "[aria-labelledby=disk-title] table"], ["/start", ".new-run .fields"]];
  for (const [path, content] of shown) {
    await owner.goto(lab.url + path);
    await owner.locator(content).first().waitFor();
    await owner.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
    const found = (await words(owner)).filter((text) => /\b(projects?|persons?|people|accounts?)\b/i.test(text));
    assert.deepEqual(found, [], path);
  }
  assert.deepEqual(owner.faults, []);
});

test("the first person is invited from the settings, with a project of their own", async () => {
  await owner.goto(`${lab.url}/settings`);
  await owner.locator("[aria-labelledby=share-title]").getByRole("link", { name: "Invite people" }).click();
  await heading(owner, "No people yet").waitFor();
  await owner.getByText("New project", { exact: true }).click();
  const name = owner.locator(".project-fields").first().getByLabel("Name");
  await name.fill("Vision!");
  await owner.getByText("Use lower-case letters, digits and dashes only.").waitFor();
  assert.equal(await owner.getByRole("button", { name: "Create project" }).isDisabled(), true);
  await name.fill("vision");
  await owner.locator(".project-fields").first().getByLabel(/^Runs at once/).fill("3");
  await owner.getByRole("button", { name: "Create project" }).click();
  await owner.getByRole("article", { name: "Project vision" }).getByText("0 / 3").waitFor();

  const form = owner.locator("[aria-labelledby=invitations-title]");
  await form.getByLabel("Name").fill("bea");
  await form.getByLabel("Role in the lab").selectOption("none");
  assert.equal(await form.getByRole("button", { name: "Invite" }).isDisabled(), true, "an invitation to nothing");
  await form.getByLabel("Role in the project vision").selectOption("steer");
  await form.getByRole("button", { name: "Invite" }).click();
  link = await form.locator(".fresh pre").innerText();
  await form.getByRole("button", { name: "Copy" }).click();
  await owner.getByText("The link was copied").waitFor();
  assert.equal(await owner.evaluate(() => navigator.clipboard.readText()), link);
  await form.locator(".tokens li", { hasText: "bea" }).getByText("vision (steer)").waitFor();
  await form.getByRole("button", { name: "Done" }).click();
  assert.equal(await owner.getByText(link).count(), 0, "it cannot be seen again");
  assert.deepEqual(owner.faults, []);
});

test("the invited person chooses a password and sees their project alone", async () => {
  await post("/runs", { ...longRun, name: "seen", project: "vision" });
  bea = await openPage(browser);
  await bea.goto(link);
  await heading(bea, "owner invites you to this lab").waitFor();
  await bea.getByText("vision (steer)").waitFor();
  await bea.getByText("At least 10 characters.").waitFor();
  await bea.getByLabel("Password").fill("short");
  await bea.getByText("At least 10 characters: 5 more.").waitFor();
  const create = bea.getByRole("button", { name: "Create account" });
  assert.equal(await create.isDisabled(), true);
  await bea.getByLabel("Password").fill(PASSWORD);
  await create.click();
  await heading(bea, "Runs").waitFor();
  await bea.locator(".run-name", { hasText: "seen" }).waitFor();
  assert.deepEqual(await runNames(bea), ["seen"]);
  const places = await bea.locator("header nav a").allInnerTexts();
  assert.ok(places.includes("People") && !places.includes("Fleet"), `the header leads to ${places}`);
  await bea.goto(`${lab.url}/runs/${run}`);
  await bea.getByText(/There is no run/).waitFor();
  // Before the account exists, the page asks who is signed in; afterwards it opens a run that it may not see.
  assert.deepEqual(bea.faults.filter((fault) => !fault.includes("404") && !/401.*\/me$/.test(fault)), []);
});

test("a new run of the person belongs to their project, without a word about it", async () => {
  bea.faults.length = 0;
  await bea.goto(`${lab.url}/start`);
  const start = bea.getByRole("button", { name: /Start training|Add to queue/ });
  await start.waitFor();
  assert.equal(await bea.getByLabel("Project", { exact: true }).count(), 0, "one project needs no choice");
  const [request] = await Promise.all([bea.waitForRequest((sent) => sent.method() === "POST" && sent.url().endsWith("/runs")), start.click()]);
  assert.equal(JSON.parse(request.postData()).project, "vision");
  await bea.locator(".run-head h1").waitFor({ state: "attached" });
  assert.equal(await bea.getByRole("button", { name: "Fork", exact: true }).isDisabled(), false);
  for (const path of ["/data", "/settings", "/people", "/compare", "/"]) {
    await bea.goto(lab.url + path);
    await bea.locator("main.page").waitFor();
    await lab.until(`what ${path} loads`, async () => (await bea.locator("[aria-busy=true]").count()) === 0);
    assert.equal(await bea.locator(".failure").count(), 0, `${path} shows a failure`);
  }
  assert.deepEqual(bea.faults, []);
});

test("runs are filtered by project and moved to another one", async () => {
  await owner.goto(`${lab.url}/`);
  await owner.locator(".runs th", { hasText: "Project" }).waitFor();
  await owner.getByRole("combobox", { name: "Project", exact: true }).selectOption("default");
  await lab.until("the run of the project default", async () => JSON.stringify(await runNames(owner)) === '["first"]');
  await owner.getByRole("button", { name: "Actions of first" }).click();
  await owner.getByRole("button", { name: "Move to the project vision" }).click();
  await owner.getByText("first was moved to the project vision").waitFor();
  await owner.getByText("The project default has no runs in this list.").waitFor();
  assert.equal((await lab.api(`/runs/${run}`)).summary.project, "vision");
  await bea.locator(".run-name", { hasText: "first" }).waitFor();
  await owner.getByRole("button", { name: "Undo" }).click();
  await owner.locator(".run-name", { hasText: "first" }).waitFor();
  await bea.locator(".run-name", { hasText: "first" }).waitFor({ state: "detached" });
  assert.deepEqual(owner.faults, []);
});

test("the person signs in with the password, and has tokens and sessions of their own", async () => {
  const other = await openPage(browser);
  await other.goto(lab.url);
  await other.getByLabel("Name or e-mail address").fill("bea");
  await other.getByLabel("Password", { exact: true }).fill("not the password");
  await other.getByRole("button", { name: "Sign in", exact: true }).click();
  await other.getByRole("alert").getByText("The name or the password is wrong.").waitFor();
  await other.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await other.getByRole("button", { name: "Sign in", exact: true }).click();
  await heading(other, "Runs").waitFor();

  await bea.goto(`${lab.url}/settings`);
  await bea.getByText("Signed-in browsers", { exact: true }).click();
  const sessions = bea.getByRole("list", { name: "Your sessions" });
  await sessions.getByText("this browser").waitFor();
  await sessions.getByRole("button", { name: /^Sign out/ }).click();
  await question(bea).getByRole("button", { name: "Sign out" }).click();
  await other.getByText("You are signed out.").waitFor();
  await other.context().close();

  await bea.getByText("Your API tokens", { exact: true }).click();
  await bea.getByLabel("Purpose").fill("notebook");
  await bea.getByRole("button", { name: "Create", exact: true }).click();
  const token = await bea.locator(".fresh pre").innerText();
  const runs = async () => await fetch(`${lab.url}/api/v1/runs`, { headers: { authorization: `Bearer ${token}` } });
  const projects = (await (await runs()).json()).map((found) => found.project);
  assert.ok(projects.length > 0 && projects.every((project) => project === "vision"), `${projects}`);

  await owner.goto(`${lab.url}/settings`);
  await owner.locator("[aria-labelledby=access-title] .tokens li", { hasText: "notebook of bea" }).waitFor();

  await owner.goto(`${lab.url}/people`);
  await row(owner, "bea").getByRole("button", { name: "Actions for bea" }).click();
  await owner.getByRole("button", { name: "Remove …" }).click();
  await question(owner).getByText("entries in journals and in the audit log stay").waitFor();
  await question(owner).getByRole("button", { name: "Remove" }).click();
  await row(owner, "bea").waitFor({ state: "detached" });
  await bea.getByText("You are signed out.").waitFor();
  assert.equal((await runs()).status, 401);
  assert.equal((await lab.api("/runs")).filter((found) => found.project === "vision").length, 2, "their run stays");
  assert.deepEqual(owner.faults, []);
});

test("a used invitation says so", async () => {
  const late = await openPage(browser);
  await late.goto(link);
  await heading(late, "This invitation cannot be used").waitFor();
  await late.context().close();
});

test("the audit log has what happened, and is filtered and exported", async () => {
  await owner.getByRole("link", { name: "Audit log" }).click();
  const entries = owner.locator(".audit tbody tr");
  await entries.filter({ hasText: "/invitations/accept" }).first().waitFor();
  await owner.getByLabel("Only refused").check();
  await entries.filter({ hasText: "/session/password" }).filter({ hasText: "401" }).waitFor();
  await entries.filter({ hasText: "/invitations/accept" }).first().waitFor({ state: "detached" });
  const href = await owner.getByRole("link", { name: "Export (CSV)" }).getAttribute("href");
  assert.match(href, /refused=true/);
  const csv = await owner.evaluate(async (address) => (await fetch(address)).text(), href);
  assert.ok(csv.includes("/session/password") && !csv.includes("/invitations/accept"), csv.slice(0, 500));
  await owner.getByRole("button", { name: "Clear filters" }).click();
  await owner.getByLabel("Search the audit log").fill("projects");
  await entries.filter({ hasText: "/projects" }).first().waitFor();
  await lab.until("the matching entries alone", async () => (await entries.allInnerTexts()).every((text) => text.includes("project")));
  await owner.getByRole("combobox", { name: "Time" }).selectOption("hour");
  await entries.first().waitFor();
  assert.deepEqual(owner.faults, []);
});

test("no rule of accessibility is broken, and no page is wider than the window, in light and dark", async () => {
  const invite = (name) => post("/invitations", { name, role: "view", projects: [{ project: "vision", role: "steer" }] });
  await invite("someone who waits");
  const { text } = await invite("cleo");
  await post("/invitations/accept", { token: text, name: "cleo", password: PASSWORD });
  for (const width of [1440, 390]) {
    const page = await openPage(browser, { viewport: { width, height: 900 } });
    await page.goto(`${lab.url}/invite?token=none`);
    await heading(page, "This invitation cannot be used").waitFor();
    assert.deepEqual(await violationsInBothThemes(page), [], `the invitation, ${width} px`);
    await page.goto(lab.url);
    await page.getByLabel("Name or e-mail address").waitFor();
    assert.deepEqual(await violationsInBothThemes(page), [], `signing in, ${width} px`);
    await signIn(page, lab.token("admin", "--sign-in"));
    for (const [path, shown] of [["/people", ".stacked tbody tr"], ["/audit", ".audit tbody tr"], ["/settings", "[aria-labelledby=disk-title] table"]]) {
      await page.goto(lab.url + path);
      await page.locator(shown).first().waitFor();
      await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
      await still(page);
      assert.deepEqual(await violationsInBothThemes(page), [], `${path}, ${width} px`);
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= width, `${path} is wider than ${width} px`);
    }
    assert.deepEqual(page.faults.filter((fault) => !/40[14]|410/.test(fault)), []);
    await page.context().close();
  }
});
