// Approvals: an agent proposes over MCP; a person approves, edits and rejects on the page; a viewer reads it, also on a phone.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { violations, violationsInBothThemes } from "./accessibility.mjs";
import { longRun, openAs, openBrowser, openLab } from "./lab.mjs";

let lab, browser, run, agent;

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  await lab.ready();
  run = (await lab.api("/runs", { method: "POST", body: { ...longRun, name: "proposed" } })).summary.id;
  const body = { name: "tuner", role: "steer", limits: { mode: "propose" } };
  agent = (await lab.api("/tokens", { method: "POST", body })).text;
  await lab.until("the run", async () => (await lab.api(`/runs/${run}`)).summary.state === "running");
  await lab.api(`/runs/${run}/commands`, { method: "POST", body: { kind: "pause" } });
});

after(async () => {
  await browser?.close();
  lab?.close();
});

/** Calls a tool with the token of the agent; returns the data of the answer. */
async function call(name, args) {
  const headers = {
    authorization: `Bearer ${agent}`,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    "mcp-protocol-version": "2025-11-25",
  };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name, arguments: args } });
  const answer = await (await fetch(`${lab.url}/mcp`, { method: "POST", headers, body })).json();
  assert.equal(answer.result?.isError, false, JSON.stringify(answer));
  return answer.result.structuredContent.data;
}

/** Proposes a value of the gradient clipping; returns the number of the proposal. */
async function propose(value, key) {
  const args = { run, path: "optimizer.grad_clip", value, reason: `clip at ${value}`, idempotency_key: key };
  args.expected_effect = { metric: "loss.valid", difference: -0.02, by_step: 500 };
  return (await call("set_hyperparameter", args)).proposal;
}

const changes = async () => (await lab.api(`/runs/${run}/events`)).filter(({ event }) => event.kind === "changed");

test("what an agent proposes is approved, edited and rejected on the page", async () => {
  const page = await openAs(browser, lab, "steer");
  assert.equal(await page.getByRole("link", { name: "Approvals" }).count(), 0, "no agent has proposed anything");
  await page.goto(`${lab.url}/approvals`);
  await page.getByText("No proposals wait for a decision").waitFor();
  const first = await propose(0.5, "approve-this-1");
  const entry = (id) => page.locator(`#proposal-${id}`);
  await entry(first).locator(".approval-reason", { hasText: "clip at 0.5" }).waitFor();
  await entry(first).getByText("loss.valid -0.02 nats/token by step 500").waitFor();
  assert.equal(await entry(first).locator(".approval-diff ins").innerText(), "0.5");
  await page.getByRole("link", { name: "Approvals 1 pending" }).first().waitFor();
  assert.equal((await changes()).length, 0);

  // By keys: to the button, then Enter.
  await page.keyboard.press("j");
  await page.keyboard.press("a");
  await page.keyboard.press("Enter");
  await entry(first).waitFor({ state: "detached" });
  const decided = page.getByRole("list", { name: "Decided proposals" });
  await decided.getByText(/^Approved by steer, .* It was carried out\.$/).waitFor();
  const [approved] = await changes();
  assert.deepEqual([approved.event.new, approved.author], [0.5, { agent: "tuner (approved by steer)" }]);

  const second = await propose(0.25, "edit-this-11");
  await lab.api(`/runs/${run}/commands`, { method: "POST", body: { kind: "annotate", text: "meanwhile" } });
  await page.goto(`${lab.url}/runs/${run}`);
  await page.getByText("1 proposal by an agent for this run awaits a decision.").waitFor();
  await page.getByRole("link", { name: "Open approvals" }).click();
  await entry(second).getByText("Others have given this run 1 command or note since the plan was computed.").waitFor();
  await entry(second).getByRole("button", { name: "Edit" }).click();
  await entry(second).getByLabel("value").fill("0.75");
  await entry(second).getByRole("button", { name: "Preview" }).click();
  await entry(second).getByText("The arguments are valid.").waitFor();
  await entry(second).getByLabel("value").fill("-1");
  await entry(second).getByRole("button", { name: "Approve with changes" }).click();
  await page.getByText(/^Proposal \d+ was not decided/).waitFor();
  await entry(second).getByLabel("value").fill("0.75");
  await entry(second).getByRole("button", { name: "Approve with changes" }).click();
  await entry(second).waitFor({ state: "detached" });
  await decided.getByText(/^Approved with changes by steer/).waitFor();
  assert.deepEqual((await changes()).map(({ event }) => event.new), [0.5, 0.75]);

  const third = await propose(0.125, "reject-this-1");
  await entry(third).getByRole("button", { name: "Reject" }).click();
  assert.equal(await entry(third).getByRole("button", { name: "Reject proposal" }).isDisabled(), true);
  await entry(third).getByLabel("Reason").fill("Wait for the next evaluation");
  await entry(third).getByRole("button", { name: "Reject proposal" }).click();
  await entry(third).waitFor({ state: "detached" });
  const read = await call("get_proposal", { proposal: third });
  assert.equal(read.decided.reason, "⟦data reason⟧Wait for the next evaluation⟦end⟧");
  assert.equal((await changes()).length, 2);
  await page.getByText("No proposals wait for a decision").waitFor();
  assert.deepEqual(page.faults.filter((fault) => !fault.includes("422")), []);
  await page.context().close();
});

test("a viewer reads the proposals on a phone, and cannot decide", async () => {
  await propose(0.3, "for-viewer-1");
  const page = await openAs(browser, lab, "view", { viewport: { width: 390, height: 844 } });
  await page.goto(`${lab.url}/approvals`);
  await page.locator(".approval-reason", { hasText: "clip at 0.3" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Approve" }).isDisabled(), true);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 390), "nothing is wider than the window");
  assert.deepEqual(await violations(page), []);
  await page.context().close();
  const wide = await openAs(browser, lab, "steer");
  await wide.goto(`${lab.url}/approvals`);
  await wide.getByRole("button", { name: "Edit" }).click();
  await wide.getByLabel("value").waitFor();
  assert.deepEqual(await violationsInBothThemes(wide), []);
  await wide.context().close();
});
