// The assistant: questions that need no model, and a model at a stub of a provider, which proposes to stop a run.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { longRun, openBrowser, openLab, openPage, signIn } from "./lab.mjs";

/** The key of the provider. */
const KEY = "sk-test-8d41b7c302";
const keys = mkdtempSync(join(tmpdir(), "kindling-browser-key-"));
let plain, withModel, browser, provider;
const requests = [];
const authorizations = new Set();
const script = [];

/** A chunk of a chat completion. */
const chunk = (data) => `data: ${JSON.stringify(data)}\n\n`;
const say = (content) => chunk({ choices: [{ index: 0, delta: { content } }] });
const call = (name, args) =>
  chunk({ choices: [{ index: 0, delta: { tool_calls: [{ index: 0, id: "c1", type: "function", function: { name, arguments: JSON.stringify(args) } }] } }] });
const end = (reason) => chunk({ choices: [{ index: 0, delta: {}, finish_reason: reason }] }) + "data: [DONE]\n\n";

before(async () => {
  provider = createServer((request, response) => {
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", () => {
      requests.push(body);
      authorizations.add(request.headers.authorization);
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(script.shift() ?? say("I have nothing to add.") + end("stop"));
    });
  });
  await new Promise((resolve) => provider.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${provider.address().port}/v1`;
  const keyFile = join(keys, "provider.key");
  writeFileSync(keyFile, KEY, { mode: 0o600 });
  const flags = ["--assistant-kind", "openai", "--assistant-url", url, "--assistant-model", "stub-model", "--assistant-key-file", keyFile];
  [plain, withModel, browser] = await Promise.all([openLab(), openLab(...flags), openBrowser()]);
  await Promise.all([plain.ready(), withModel.ready()]);
});

after(async () => {
  await browser?.close();
  plain?.close();
  withModel?.close();
  provider?.close();
  rmSync(keys, { recursive: true, force: true });
});

const panelOf = (page) => page.getByRole("complementary", { name: "Assistant" });

test("without a model the panel answers from rules, beside the page, and says so", async () => {
  const run = (await plain.api("/runs", { method: "POST", body: longRun })).summary.id;
  const page = await openPage(browser);
  await signIn(page, plain.link);
  await page.goto(`${plain.url}/runs/${run}`);
  await page.locator(".charts").waitFor();
  await page.getByRole("button", { name: "Assistant" }).click();
  const panel = panelOf(page);
  await panel.getByText("No model is configured").waitFor();
  const [content, box] = await Promise.all([page.locator("#page").boundingBox(), panel.boundingBox()]);
  assert.ok(content.x + content.width <= box.x + 1, `the page ends at ${content.x + content.width}, the panel begins at ${box.x}`);
  await panel.getByRole("button", { name: "Is this run healthy?" }).click();
  await panel.locator(".assistant-text", { hasText: run }).waitFor();
  await panel.getByRole("textbox", { name: "Message" }).fill("write a poem");
  await page.keyboard.press("Enter");
  await panel.getByText("only these questions can be answered").waitFor();
  await page.keyboard.press("Escape");
  await panel.waitFor({ state: "hidden" });
  await page.setViewportSize({ width: 390, height: 844 });
  await page.keyboard.press("Shift+A");
  await panel.waitFor();
  const full = await panel.boundingBox();
  assert.deepEqual([full.x, full.y, full.width, full.height], [0, 0, 390, 844]);
  // The research journal lists the conversation, and opens it in the panel.
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.goto(`${plain.url}/journal`);
  await page.getByRole("button", { name: "Conversations", exact: true }).click();
  const entry = page.locator(".journal-entry", { hasText: "Is this run healthy? (answered without a model)" });
  await entry.getByRole("button", { name: /^Conversation \d+$/ }).click();
  await panel.getByText("write a poem").waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a model reads the lab and proposes an act, which is carried out after a press", async () => {
  const run = (await withModel.api("/runs", { method: "POST", body: longRun })).summary.id;
  await withModel.until("training", async () => (await withModel.api(`/runs/${run}`)).summary.state === "running");
  const page = await openPage(browser);
  await signIn(page, withModel.link);
  await page.goto(`${withModel.url}/runs/${run}`);
  await page.locator(".charts").waitFor();
  await page.getByRole("button", { name: "Assistant" }).click();
  const panel = panelOf(page);
  await panel.getByText("What a message sends").waitFor();
  await panel.locator("dd", { hasText: "stub-model" }).waitFor();
  script.push(say("I would stop it.") + call("stop", { run, reason: "it has learned enough" }) + end("tool_calls"));
  script.push(say("It is stopped.") + end("stop"));
  await panel.getByRole("textbox", { name: "Message" }).fill("Has it learned enough?");
  await panel.getByRole("button", { name: "Send" }).click();
  await panel.getByText("Nothing is changed until you confirm it.").waitFor();
  assert.equal((await withModel.api(`/runs/${run}`)).summary.state, "running");
  await panel.getByRole("button", { name: "Confirm" }).click();
  await panel.getByText("It is stopped.").waitFor();
  assert.equal((await withModel.api(`/runs/${run}`)).summary.state, "stopped");
  assert.ok(requests[0].includes(run) && requests[0].includes("Has it learned enough?"), requests[0]);

  await panel.getByRole("button", { name: "Conversations" }).click();
  await panel.getByRole("button", { name: /^Has it learned enough\?/ }).click();
  await panel.getByText("It is stopped.").waitFor();
  assert.deepEqual([...authorizations], [`Bearer ${KEY}`]);
  const shown = { page: await page.content(), log: withModel.log(), requests: requests.join("\n") };
  for (const [where, text] of Object.entries(shown)) assert.ok(!text.includes(KEY), `the key is in the ${where}`);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a dataset is protected on the Data page", async () => {
  const page = await openPage(browser);
  await signIn(page, withModel.token("admin", "--sign-in"));
  await page.goto(`${withModel.url}/data`);
  const box = page.locator("#dataset-tales").getByRole("checkbox", { name: "Never send text to a model provider" });
  await box.check();
  await withModel.until("the protection", async () => (await withModel.api("/assistant")).protected.includes("tales"));
  await page.reload();
  await withModel.until("the box", () => box.isChecked());
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
