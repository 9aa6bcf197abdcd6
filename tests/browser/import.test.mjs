// The import of a dataset: what is dropped is previewed before anything is stored, and what is skipped is listed.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openBrowser, openLab, openPage, signIn } from "./lab.mjs";

let lab, browser, page, generated;

const DOCUMENTS = 60;
const records = Array.from({ length: DOCUMENTS }, (_, at) => JSON.stringify({ note: "n", story: `Story ${at}: the fox sleeps.\r\nThe end.` }));
const FILES = [
  { name: "good.jsonl", bytes: Buffer.from(records.slice(0, 40).join("\n")) },
  { name: "one-bad-line.jsonl", bytes: Buffer.from([...records.slice(40, 50), '{"story": "cut', ...records.slice(50)].join("\n")) },
  { name: "picture.txt", bytes: Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 1, 2, 3, 0xff, 0xfe, 0, 0, 7]) },
];

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  page = await openPage(browser);
  await signIn(page, lab.link);
  await lab.ready();
  generated = await lab.until("the generated datasets", async () => {
    const now = await names();
    return now.length > 2 && now;
  });
});

after(async () => {
  await browser?.close();
  lab?.close();
});

/** Drops files on the page as a file manager does: of files that a script makes, a browser gives no entries. */
async function drop(files) {
  const paths = files.map(({ name, bytes }) => {
    writeFileSync(join(lab.folder, name), bytes);
    return join(lab.folder, name);
  });
  const box = await page.locator(".drop").boundingBox();
  const devtools = await page.context().newCDPSession(page);
  const data = { items: [], files: paths, dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"]) {
    await devtools.send("Input.dispatchDragEvent", { type, x: box.x + 20, y: box.y + 20, data });
  }
}

const form = () => page.locator(".upload-preview");
const summary = (text) => form().locator("[role=status]", { hasText: text }).first().waitFor();
const names = async () => (await lab.api("/corpora")).map((info) => info.name);

test("dropped files are previewed, and nothing is stored before the import", async () => {
  await page.goto(`${lab.url}/data`);
  assert.ok(await page.evaluate(() => {
    const card = document.querySelector(".dataset-card");
    return !card || document.querySelector(".drop").getBoundingClientRect().top < card.getBoundingClientRect().top;
  }), "the drop zone is above the list");
  await drop(FILES);
  await form().waitFor();
  await form().getByText("picture.txt", { exact: true }).waitFor();
  // No field has a usual name, so the one with the most text is chosen.
  assert.equal(await form().getByLabel("Text field").inputValue(), "story");
  await summary(`${DOCUMENTS} documents`);
  await form().locator(".first-documents li").first().getByText("Story 0: the fox sleeps.␍").waitFor();
  await form().locator(".issues summary", { hasText: "2 files or records skipped" }).click();
  await form().locator(".issues li", { hasText: "one-bad-line.jsonl, line 11" }).waitFor();
  await form().locator(".issues li", { hasText: "picture.txt" }).waitFor();
  assert.deepEqual(await names(), generated);
});

test("another field gives another preview", async () => {
  await form().getByLabel("Text field").selectOption("note");
  await form().locator(".first-documents li").first().getByText("n", { exact: true }).waitFor();
  await form().getByLabel("Text field").selectOption("story");
  await form().locator(".first-documents li").first().getByText("Story 0").waitFor();
});

test("a strict import is refused while files would be skipped", async () => {
  await form().getByLabel("Strict: refuse the import if anything is skipped or repaired").check();
  await form().getByText("Strict import refuses skipped records").waitFor();
  assert.ok(await form().getByRole("button", { name: "Import", exact: true }).isDisabled());
  await form().getByLabel("Strict: refuse the import if anything is skipped or repaired").uncheck();
});

test("the list of what was skipped is downloaded before and after the import", async () => {
  const listed = async (link) => {
    const download = page.waitForEvent("download");
    await link.click();
    const text = readFileSync(await (await download).path(), "utf8");
    assert.match(text, /one-bad-line\.jsonl,11,/);
    assert.match(text, /picture\.txt/);
  };
  const whole = { name: "Download the whole list" };
  await form().locator(".issues").evaluate((issues) => (issues.open = true));
  await listed(form().getByRole("link", whole));
  await form().getByLabel("Name", { exact: true }).fill("Foxes");
  await form().getByRole("button", { name: "Import", exact: true }).click();
  const card = page.locator(".dataset-card", { hasText: "Foxes" });
  await card.waitFor();
  await page.locator(".toast", { hasText: `Foxes was imported: ${DOCUMENTS} documents, 2 skipped` }).waitFor();
  await card.locator(".issues").evaluate((issues) => (issues.open = true));
  await listed(card.getByRole("link", whole));
  assert.ok((await names()).includes("Foxes"));
  assert.deepEqual(page.faults, []);
});

test("files that give no document cannot be imported, and leaving them brings back the drop zone", async () => {
  await page.goto(`${lab.url}/data`);
  await drop([FILES[2]]);
  await form().waitFor();
  await form().locator(".issues summary", { hasText: "1 file or record skipped" }).waitFor();
  assert.ok(await form().getByRole("button", { name: "Import", exact: true }).isDisabled(), "there is nothing to import");
  await form().getByRole("button", { name: "Cancel" }).click();
  await page.locator(".drop").waitFor();
});
