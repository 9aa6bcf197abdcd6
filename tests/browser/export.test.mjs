// Import of a Hugging Face model, a fork with a dataset, and the exports.

import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { openBrowser, openLab, openPage, runState, signIn } from "./lab.mjs";

const golden = (name) => fileURLToPath(new URL(`../../crates/engine/tests/golden/gpt2/${name}`, import.meta.url));

let lab, browser, page;

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  page = await openPage(browser);
  await signIn(page, lab.link);
  await lab.ready();
  // Smaller than Tales, so that it is tokenized and evaluated in less time.
  const text = (at) => `The cat's hat sat on mat ${at}, and the other cat sat beside it. `.repeat(3);
  const records = Array.from({ length: 1000 }, (_, at) => JSON.stringify({ text: text(at) }));
  await lab.api("/corpora?name=Cats&filename=cats.jsonl", { method: "POST", body: records.join("\n") });
});

after(async () => {
  await browser?.close();
  lab?.close();
});

const importFiles = (...names) => page.locator(".import-run input[type=file]").setInputFiles(names.map(golden));

test("an incomplete model is refused with the missing file, and a complete one opens as a run", async () => {
  await page.goto(lab.url);
  await importFiles("config.json", "model.safetensors");
  await page.locator(".import-run", { hasText: "tokenizer.json" }).getByText(/missing/).waitFor();
  await page.locator(".import-run input[type=file]").setInputFiles({ name: "bogus.tar", mimeType: "application/x-tar", buffer: Buffer.from("no archive") });
  await page.locator(".import-run").getByText(/bogus.tar. is not a run archive/).waitFor();
  await importFiles("config.json", "model.safetensors", "tokenizer.json");
  await runState(page, "finished").waitFor();
  await page.locator(".checkpoints li", { hasText: "imported" }).waitFor();
});

test("it is forked with a dataset, and trains", async () => {
  await page.locator("body").press("f");
  const form = page.getByRole("dialog", { name: "Fork this run" });
  await form.getByLabel("Dataset").selectOption({ label: "Cats" });
  await form.getByLabel("Steps").fill("30");
  await form.getByRole("button", { name: "Fork" }).click();
  await page.locator(".run-head .origin", { hasText: "forked from" }).waitFor();
  await runState(page, "finished").waitFor();
});

test("its checkpoint, its series and the whole run are exported", async () => {
  const exported = async (menu, link) => {
    await page.getByRole("button", { name: menu }).first().click();
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: link }).click()]);
    return { name: download.suggestedFilename(), bytes: statSync(await download.path()).size };
  };
  const model = await exported(/Actions for the checkpoint/, /Export for transformers/);
  assert.match(model.name, /-0-30\.tar$/);
  assert.ok(model.bytes > 90_000, `${model.bytes} bytes`);
  for (const [link, ending] of [[/CSV/, ".csv"], [/Parquet/, ".parquet"], [/^Export run with all checkpoints/, ".tar"]]) {
    const file = await exported(/Export this run/, link);
    assert.ok(file.name.endsWith(ending) && file.bytes > 1000, JSON.stringify(file));
  }
  // The refusal in the first test is a failed request, which the browser logs.
  assert.deepEqual(page.faults.filter((fault) => !fault.includes("422")), []);
});
