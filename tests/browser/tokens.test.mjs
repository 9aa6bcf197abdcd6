// Access tokens: an admin creates a sign-in link and an API token on the page, sees each once, and revokes them; and an agent with limits, which is
// stopped and whose actions are undone.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser, openLab, openPage, signIn } from "./lab.mjs";

let lab, browser, page;

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  page = await openPage(browser, { permissions: ["clipboard-read", "clipboard-write"] });
  await signIn(page, lab.link);
  await page.getByRole("heading", { name: "Runs", exact: true }).waitFor();
  await page.goto(`${lab.url}/settings`);
});

after(async () => {
  await browser?.close();
  lab?.close();
});

const line = (name) => page.locator(".tokens li", { hasText: name });
const revoke = (name) => page.getByRole("button", { name: `Revoke the token of ${name}` }).click();

test("a sign-in link is created, copied, and works once", async () => {
  await page.getByLabel("Name").fill("ada");
  await page.getByLabel("Role").selectOption("steer");
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByText("It is not shown again.").waitFor();
  const link = await page.locator(".fresh pre").innerText();
  await page.getByRole("button", { name: "Copy" }).click();
  await page.getByText("The link was copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), link);
  await line("ada").getByText("sign-in link, not used yet").waitFor();
  await page.getByRole("button", { name: "Done" }).click();
  assert.equal(await page.getByText(link).count(), 0, "it cannot be seen again");

  const other = await openPage(browser);
  await signIn(other, link);
  await other.getByRole("heading", { name: "Runs", exact: true }).waitFor();
  await other.goto(`${lab.url}/settings`);
  await other.getByText("role steer").waitFor();
  assert.equal(await other.getByRole("button", { name: "Create" }).count(), 0, "only an admin can create tokens");

  await page.reload();
  await line("ada").getByText("signed-in browser").waitFor();
  await revoke("ada");
  const question = page.locator("dialog[open]");
  await question.getByText("is signed out").waitFor();
  await question.getByRole("button", { name: "Revoke" }).click();
  await line("ada").waitFor({ state: "detached" });
  // Without a reload: its socket is closed, and the page fetches the account.
  await other.getByRole("button", { name: "Sign in" }).waitFor();
  await other.context().close();
});

test("an API token works until it is revoked", async () => {
  await page.getByRole("button", { name: "API token" }).click();
  await page.getByLabel("Name").fill("a script");
  await page.getByLabel(/Expires after/).fill("0");
  await page.getByRole("alert").getByText(/Enter a whole number from 1 to 3.650/).waitFor();
  assert.equal(await page.getByRole("button", { name: "Create" }).isDisabled(), true);
  await page.getByLabel(/Expires after/).fill("3");
  await page.getByRole("button", { name: "Create" }).click();
  const token = await page.locator(".fresh pre").innerText();
  const status = async () => (await fetch(`${lab.url}/api/v1/runs`, { headers: { authorization: `Bearer ${token}` } })).status;
  assert.equal(await status(), 200);
  await revoke("a script");
  await page.locator("dialog[open]").getByRole("button", { name: "Revoke" }).click();
  await line("a script").waitFor({ state: "detached" });
  assert.equal(await status(), 401);
  await page.getByRole("button", { name: "Done" }).click();
});

test("an agent acts within its limits, is stopped, and what it did is undone", async () => {
  await lab.ready();
  await page.getByRole("button", { name: "New agent" }).click();
  await page.getByLabel("Agent", { exact: true }).fill("claude");
  await page.getByRole("button", { name: "Act", exact: true }).click();
  await page.getByLabel("Steps", { exact: true }).fill("500000");
  await page.getByRole("button", { name: "Create the agent's token" }).click();
  const token = await page.locator(".fresh pre").innerText();
  await page.getByRole("button", { name: "Done" }).click();
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", "kindling-model": "opus" };
  const start = (steps) => fetch(`${lab.url}/api/v1/runs`, { method: "POST", headers, body: JSON.stringify({ preset: "tiny", corpus: "tales", steps }) });
  const refused = await (await start(600000)).json();
  assert.equal(refused.code, "agent_budget", JSON.stringify(refused));
  const { summary } = await (await start(400000)).json();
  const state = async () => (await lab.api(`/runs/${summary.id}`)).summary.state;
  await lab.until("the run to train", async () => (await state()) === "running");

  await page.getByRole("button", { name: "Refresh" }).click();
  const card = page.locator(".agent-card", { hasText: "claude" });
  await card.getByText(/reserved/).first().waitFor();
  await card.getByText(/model opus/).first().waitFor();
  await card.getByRole("button", { name: "Stop the agent claude" }).click();
  const question = page.locator("dialog[open]");
  await question.getByRole("button", { name: "Stop this agent" }).click();
  await card.getByText("stopped by owner").waitFor();
  await lab.until("the run to pause", async () => (await state()) === "paused");
  assert.equal((await start(10)).status, 401, "its token is revoked");

  await card.getByRole("button", { name: "Undo everything this agent did" }).click();
  await card.getByText(/will be undone: stop/).waitFor();
  await card.getByRole("button", { name: "Undo 1 of 1" }).click();
  await question.getByRole("button", { name: "Undo everything" }).click();
  await card.getByText(/· undone: stop/).waitFor();
  await lab.until("the run to stop", async () => (await state()) === "stopped");
});

test("revoking your own token warns first, and then signs this browser out", async () => {
  await page.getByRole("button", { name: /^Revoke the token of owner/ }).click();
  const question = page.locator("dialog[open]");
  await question.getByText(/last admin token|signs you out/).waitFor();
  await question.getByRole("button", { name: "Cancel" }).click();
  await line("this browser").waitFor();
  await page.getByRole("button", { name: /^Revoke the token of owner/ }).click();
  await question.getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  const wanted = ["409", "401", "422"];
  assert.deepEqual(page.faults.filter((fault) => !wanted.some((status) => fault.includes(status))), []);
});
