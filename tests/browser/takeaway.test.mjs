// A model from elsewhere, brought in by hand, forked with a text, and what can be taken away again.

import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { openBrowser, openLab, openPage, runState } from "./lab.mjs";

const golden = (name) => fileURLToPath(new URL(`../../crates/engine/tests/golden/gpt2/${name}`, import.meta.url));

let lab, browser, page;

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  page = await openPage(browser);
  await page.goto(lab.link);
  await lab.ready();
});

after(async () => {
  await browser?.close();
  lab?.close();
});

const bring = (...names) => page.locator(".bring-run input[type=file]").setInputFiles(names.map(golden));

test("a model with a part missing is refused with the part's name, and the whole one opens as a run", async () => {
  await page.goto(lab.url);
  await bring("config.json", "model.safetensors");
  await page.locator(".bring-run", { hasText: "tokenizer.json" }).getByText(/it is missing/).waitFor();
  await bring("config.json", "model.safetensors", "tokenizer.json");
  await runState(page, "finished").waitFor();
  await page.locator(".checkpoints li", { hasText: "brought in" }).waitFor();
});

test("it is forked with a text, and trains", async () => {
  await page.locator("body").press("f");
  const form = page.getByRole("dialog", { name: "Fork this run" });
  await form.getByLabel("Text").selectOption({ label: "Tales" });
  await form.getByLabel("Steps").fill("30");
  await form.getByRole("button", { name: "Fork" }).click();
  await page.locator(".run-head .origin", { hasText: "forked from" }).waitFor();
  await runState(page, "finished").waitFor();
});

test("its checkpoint, its curves and all of it can be taken away", async () => {
  const taken = async (menu, link) => {
    await page.getByRole("button", { name: menu }).first().click();
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: link }).click()]);
    return { name: download.suggestedFilename(), bytes: statSync(await download.path()).size };
  };
  const model = await taken(/More about the checkpoint/, /For transformers/);
  assert.match(model.name, /-0-30\.tar$/);
  assert.ok(model.bytes > 90_000, `${model.bytes} bytes`);
  for (const [link, ending] of [[/CSV/, ".csv"], [/Parquet/, ".parquet"], [/The whole run/, ".tar"]]) {
    const file = await taken(/Take this run away/, link);
    assert.ok(file.name.endsWith(ending) && file.bytes > 1000, JSON.stringify(file));
  }
  // The refusal of the first story is a failed request, which the browser tells.
  assert.deepEqual(page.faults.filter((fault) => !fault.includes("422")), []);
});
