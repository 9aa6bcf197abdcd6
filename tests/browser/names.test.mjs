// Equal names, long names, names with bidirectional controls, deleted and renamed runs.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { still } from "./accessibility.mjs";
import { openAs, openBrowser, openLab, shortRun } from "./lab.mjs";

const LONG = "W".repeat(40) + "😀".repeat(10) + "שלום" + "x".repeat(26);
const OVERRIDE = "x\u202Egnp.txt";
// The text that is shown in its place: the control is visible, and without effect.
const SHOWN = "x[U+202E]gnp.txt";

let lab, browser, runs, datasets;

const post = async (spec) => (await lab.api("/runs", { method: "POST", body: spec })).summary.id;
const change = (run, body) => lab.api(`/runs/${run}`, { method: "PATCH", body });
const finished = (run) => lab.until(`the end of ${run}`, async () => (await lab.api(`/runs/${run}`)).summary.state === "finished");
const dataset = async (name, field = "text") => {
  const body = Array.from({ length: 400 }, (_, at) => JSON.stringify({ [field]: `document ${at} of the dataset` })).join("\n");
  return (await lab.api(`/corpora?name=${encodeURIComponent(name)}&filename=a.jsonl`, { method: "POST", body })).id;
};

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  await lab.ready();
  datasets = [await dataset("Same"), await dataset("Same"), await dataset(LONG)];
  const short = { ...shortRun, steps: 60, overrides: { ...shortRun.overrides, "intervals.checkpoint_every": 20, "intervals.eval_every": 20 } };
  const [one, other, long, odd] = await Promise.all([
    post({ ...short, name: "a" }),
    post({ ...short, name: "a", seed: 2 }),
    post({ ...short, name: LONG, tokenizer: "byte" }),
    post({ ...short, name: OVERRIDE }),
  ]);
  for (const run of [one, other, long, odd]) await finished(run);
  const fork = (run, name) => post({ name, steps: 80, parent: { run, step: 40, changes: [{ kind: "set", path: "optimizer.learning_rate", value: 1e-4 }] } });
  const [ofOne, ofOdd, ofLong] = [await fork(one, "of one"), await fork(odd, "of odd"), await fork(long, LONG)];
  for (const run of [ofOne, ofOdd, ofLong]) await finished(run);
  runs = { one, other, long, odd, ofOne, ofOdd, ofLong };
});

after(async () => {
  await browser?.close();
  lab?.close();
});

async function signedIn(width = 1440) {
  const isPhone = width < 500;
  return openAs(browser, lab, "admin", { viewport: { width, height: 900 }, hasTouch: isPhone, isMobile: isPhone });
}

const both = () => [`a (${runs.one})`, `a (${runs.other})`];
const optionsOf = (select) => select.locator("option").allInnerTexts();

test("runs of equal names are told apart by id wherever one is chosen or compared", async () => {
  const page = await signedIn();
  for (const name of both()) {
    await page.getByRole("link", { name, exact: true }).waitFor();
    await page.getByRole("checkbox", { name: `Select ${name}`, exact: true }).waitFor();
    await page.getByRole("button", { name: `Actions of ${name}`, exact: true }).waitFor();
  }
  await page.getByText(`forked from a (${runs.one})`).waitFor();
  await page.getByRole("link", { name: "of one", exact: true }).waitFor();
  await page.goto(`${lab.url}/compare?runs=${runs.one},${runs.other},${runs.ofOne}`);
  for (const name of both()) {
    await page.locator(".picker label", { hasText: name }).waitFor();
    await page.locator(".chosen li", { hasText: name }).waitFor();
    await page.locator(".plans thead th", { hasText: name }).waitFor();
    await page.locator(".tree text", { hasText: name }).waitFor();
    await page.locator(`.chart.main canvas[aria-label*="${name}"]`).waitFor();
  }
  const pairs = await optionsOf(page.locator(".difference select"));
  assert.ok(pairs.includes(`a (${runs.other}) − a (${runs.one})`), pairs.join(", "));
  await page.locator(".plans tr", { hasText: "Parent" }).getByText(`a (${runs.one}), step 40`).waitFor();
  await page.goto(`${lab.url}/playground?run=${runs.one}`);
  const source = page.getByLabel("Run", { exact: true });
  await source.locator("option").nth(1).waitFor({ state: "attached" });
  for (const name of both()) assert.ok((await optionsOf(source)).includes(name), name);
  await page.goto(`${lab.url}/start?from=${runs.one}`);
  await page.getByText(`A copy of the plan of a (${runs.one})`).waitFor();
  await page.goto(`${lab.url}/runs/${runs.ofOne}`);
  await page.locator(".origin", { hasText: `a (${runs.one})` }).waitFor();
  await page.locator(".journal .what", { hasText: `forked from a (${runs.one}) at step 40` }).waitFor();
  await page.goto(`${lab.url}/runs/${runs.one}/xray`);
  await page.locator(".crumbs", { hasText: `a (${runs.one})` }).waitFor();
  await page.locator(".crumb strong", { hasText: `a (${runs.one})` }).waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("datasets of equal names are told apart by id", async () => {
  const page = await signedIn();
  await page.goto(`${lab.url}/start`);
  for (const id of datasets.slice(0, 2)) await page.locator(".card-title", { hasText: `Same (${id})` }).waitFor();
  await page.goto(`${lab.url}/runs/${runs.long}`);
  await page.getByRole("button", { name: "Fork", exact: true }).click();
  const select = page.getByLabel("Dataset");
  await lab.until("the datasets", async () => (await optionsOf(select)).includes(`Same (${datasets[1]})`));
  await page.goto(`${lab.url}/data`);
  for (const id of datasets.slice(0, 2)) await page.locator(".dataset-card").getByText(id, { exact: true }).waitFor();
  await page.locator(".dataset-card", { has: page.getByText(datasets[1], { exact: true }) }).getByRole("button", { name: /Delete/ }).click();
  await page.getByRole("heading", { name: `Delete Same (${datasets[1]})?` }).waitFor();
  await page.keyboard.press("Escape");
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a bidirectional control is visible and leaves the text around it in order", async () => {
  const page = await signedIn();
  await page.locator("tr", { hasText: "of odd" }).getByText(`forked from ${SHOWN} at step 40`).waitFor();
  const pages = [`/runs/${runs.ofOdd}`, `/compare?runs=${runs.odd},${runs.ofOdd}`, `/playground?run=${runs.odd}`, `/runs/${runs.odd}/xray`];
  for (const path of pages) {
    await page.goto(lab.url + path);
    await page.getByText(SHOWN).first().waitFor({ state: "attached" });
    await still(page);
    // In names, tooltips and descriptions alike.
    const raw = await page.evaluate(() => document.documentElement.outerHTML.includes("\u202e"));
    assert.ok(!raw, path);
  }
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a deleted parent is marked on its fork and in Compare, and a renamed run shows its present name", async () => {
  const page = await signedIn();
  await page.goto(`${lab.url}/compare?runs=${runs.other},${runs.ofOdd}`);
  await page.locator(".chosen li", { hasText: `a (${runs.other})` }).waitFor();
  await change(runs.other, { name: "renamed" });
  await page.locator(".chosen li", { hasText: "renamed" }).waitFor();
  await page.locator(".plans thead th", { hasText: "renamed" }).waitFor();
  await page.locator(".picker label", { hasText: "renamed" }).waitFor();
  assert.equal(await page.getByText(runs.one).count(), 0, "a name that is unique again needs no id");
  await lab.api(`/runs/${runs.odd}`, { method: "DELETE" });
  await page.locator(".plans tr", { hasText: "Parent" }).getByText(`${SHOWN} (deleted), step 40`).waitFor();
  await page.locator(".tree text", { hasText: `${SHOWN} (deleted)` }).waitFor();
  await page.goto(`${lab.url}/runs/${runs.ofOdd}`);
  await page.locator(".origin", { hasText: `forked from ${SHOWN} (deleted) at step 40` }).waitFor();
  await page.locator(".journal .what", { hasText: `forked from ${SHOWN} (deleted)` }).waitFor();
  await page.goto(lab.url);
  await page.getByText(`forked from ${SHOWN} (deleted)`).waitFor();
  await page.getByRole("button", { name: /^Deleted/ }).click();
  await page.getByRole("button", { name: `Actions of ${SHOWN} (deleted)` }).click();
  await page.getByRole("button", { name: "Restore", exact: true }).click();
  await page.locator(".toast", { hasText: `${SHOWN} was restored` }).waitFor();
  await page.getByRole("button", { name: /^Active/ }).click();
  await page.getByText(`forked from ${SHOWN} at step 40`).waitFor();
  await change(runs.other, { name: "a" });
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

/** Elements that reach out of the window, and are not inside of something that scrolls or is cut. */
const outside = (page, width) =>
  page.evaluate((width) => {
    const clips = (element) => element && element !== document.body && (getComputedStyle(element).overflowX !== "visible" || clips(element.parentElement));
    const reaches = (element) => element.getBoundingClientRect().right > width + 1 && element.getClientRects().length > 0;
    const found = [...document.querySelectorAll("body *")].filter((element) => reaches(element) && !element.closest("svg") && !clips(element));
    return found.map((element) => `${element.tagName}.${element.className} ${Math.round(element.getBoundingClientRect().right)}`);
  }, width);

for (const width of [390, 1440]) {
  test(`long names fit into a window of ${width} px on every page`, async () => {
    const page = await signedIn(width);
    const { long, one, ofLong } = runs;
    const paths = ["/", `/runs/${long}`, `/runs/${ofLong}`, `/compare?runs=${long},${one},${ofLong}`, `/playground?run=${ofLong}`, "/data"];
    paths.push(`/start?from=${long}`, `/runs/${long}/xray`, `/runs/${long}/xray?view=neurons`);
    for (const path of paths) {
      await page.goto(lab.url + path);
      await page.getByText(/W{24}/).first().waitFor({ state: "attached" });
      await still(page);
      const scrolled = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(scrolled <= width, `${path} is ${scrolled} px wide on ${width}`);
      assert.deepEqual(await outside(page, width), [], path);
    }
    // A message and a question with the name.
    await page.goto(lab.url);
    const actions = page.getByRole("button", { name: new RegExp(`^Actions of .*${long}`) });
    await actions.click();
    await page.getByRole("button", { name: "Archive", exact: true }).click();
    await page.locator(".toast", { hasText: /was archived/ }).waitFor();
    assert.deepEqual(await outside(page, width), []);
    await page.locator(".toast").getByRole("button", { name: "Undo" }).click();
    await actions.click();
    await page.getByRole("button", { name: "Delete …" }).click();
    await page.getByRole("heading", { name: /^Delete .*\?$/ }).waitFor();
    assert.deepEqual(await outside(page, width), []);
    await page.keyboard.press("Escape");
    // The next page was opened while a part of the one before was fetched.
    const isCutOff = (fault) => /Failed to fetch[^]*parts\.js/.test(fault);
    assert.deepEqual(page.faults.filter((fault) => !isCutOff(fault)), []);
    await page.context().close();
  });
}
