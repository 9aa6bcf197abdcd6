// The research journal: its timeline is searched and filtered, a finding is judged, and its report opens without the server.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { violations, violationsInBothThemes } from "./accessibility.mjs";
import { longRun, openAs, openBrowser, openLab, openPage } from "./lab.mjs";

const program = process.env.KINDLING ?? fileURLToPath(new URL("../../target/release/kindling", import.meta.url));

let lab, browser, run;

/** A run of so few steps that it ends at once. */
const spec = {
  preset: "tiny",
  corpus: "tales",
  steps: 40,
  name: "short <b>run</b>",
  overrides: { "model.layers": 1, "model.d_model": 32, "model.d_ff": 64, "model.seq": 32, "intervals.eval_batches": 2 },
};

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  await lab.ready();
});

after(async () => {
  await browser?.close();
  lab?.close();
});

async function open(role, path, options = {}, heading = "Research journal") {
  const page = await openAs(browser, lab, role, options);
  await page.goto(`${lab.url}${path}`);
  if (heading) await page.getByRole("heading", { name: heading }).waitFor();
  return page;
}

/** The run of the first test; without it, one that is created here and has a note. */
async function shownRun() {
  if (run) return run;
  run = (await lab.api("/runs", { method: "POST", body: spec })).summary.id;
  await lab.until("the run", async () => (await lab.api(`/runs/${run}`)).summary.state === "finished");
  await lab.api(`/runs/${run}/commands`, { method: "POST", body: { kind: "annotate", text: "The loss <i>fell</i> at once." } });
  return run;
}

const entries = (page) => page.locator(".journal-entry");

test("an empty journal says what will be listed, and a note appears in it by itself", async () => {
  const journal = await open("steer", "/journal");
  await journal.getByText("Nothing was recorded yet").waitFor();
  assert.deepEqual(await violations(journal), []);
  await shownRun();
  await entries(journal).filter({ hasText: "The loss <i>fell</i> at once." }).waitFor();
  await entries(journal).filter({ hasText: "finished" }).first().waitFor();
  assert.deepEqual(journal.faults, []);
  await journal.context().close();
});

test("the timeline is searched and filtered, and leads to its run", async () => {
  const id = await shownRun();
  const page = await open("view", "/journal");
  await entries(page).filter({ hasText: "The loss <i>fell</i>" }).waitFor();
  const all = await entries(page).count();
  assert.ok(all >= 3, `${all} entries`);
  await page.getByRole("button", { name: "Notes", exact: true }).click();
  await lab.until("the notes alone", async () => (await entries(page).count()) === 1);
  assert.equal(await page.getByRole("button", { name: "Notes", exact: true }).getAttribute("aria-pressed"), "true");
  await page.getByRole("searchbox", { name: "Search the research journal" }).fill("gradient explosion");
  await page.getByText("No entry matches").waitFor();
  await page.getByRole("button", { name: "Clear filters" }).click();
  await lab.until("all entries", async () => (await entries(page).count()) >= all);
  await page.getByRole("button", { name: "Calibration of rules and authors" }).click();
  await page.getByText("No experiment of this project has a verdict.").waitFor();
  assert.deepEqual(await violations(page), []);
  await entries(page).filter({ hasText: "The loss <i>fell</i>" }).getByRole("link").click();
  await page.waitForURL(`**/runs/${id}`);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a viewer reads the journal on a phone, in light and dark", async () => {
  await shownRun();
  const page = await open("view", "/journal", { viewport: { width: 390, height: 800 } });
  await entries(page).first().waitFor();
  await page.getByRole("button", { name: "Calibration of rules and authors" }).click();
  await page.getByText("No experiment of this project has a verdict.").waitFor();
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 390));
  assert.deepEqual(await violationsInBothThemes(page), []);
  await page.context().close();
});

/** Opens a file in a browser that has no session and no network. */
async function openFile(path) {
  const page = await openPage(browser, { offline: true });
  // The address of a file is no address of another machine.
  page.removeAllListeners("request");
  const requests = [];
  page.on("request", (request) => requests.push(request.url()));
  const address = pathToFileURL(path).href;
  await page.goto(address);
  await page.getByRole("heading", { name: "Research journal of default" }).waitFor();
  assert.deepEqual(requests, [address], "the file loads nothing else");
  return page;
}

test("a report is downloaded and opened without the server, in light and dark", async () => {
  await shownRun();
  const page = await open("view", "/journal");
  const downloading = page.waitForEvent("download");
  await page.getByRole("link", { name: "Report (HTML)" }).click();
  const download = await downloading;
  assert.equal(download.suggestedFilename(), "default.html");
  const path = join(lab.folder, "downloaded.html");
  await download.saveAs(path);
  const file = await openFile(path);
  await file.getByRole("heading", { name: "Loss curves" }).waitFor();
  assert.ok((await file.locator("figure svg path").count()) >= 1, "the losses are drawn");
  await file.getByRole("cell", { name: "The loss <i>fell</i> at once." }).first().waitFor();
  assert.ok((await file.getByText("short <b>run</b>").count()) >= 1);
  assert.equal(await file.locator("main b, main i, script").count(), 0, "texts of people are no markup");
  const ids = await file.locator("clipPath").evaluateAll((found) => found.map((one) => one.id));
  assert.equal(new Set(ids).size, ids.length, "no id is there twice");
  const ground = () => file.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await file.emulateMedia({ colorScheme: "dark" });
  assert.notEqual(await ground(), light);
  await file.emulateMedia({ colorScheme: "light" });
  assert.deepEqual(await violationsInBothThemes(file), []);
  await file.context().close();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("the command line writes the same report while the server runs, also as Markdown", async () => {
  await shownRun();
  const report = (...args) => {
    const done = spawnSync(program, ["report", "default", "--data", lab.data, ...args], { encoding: "utf8" });
    assert.equal(done.status, 0, done.stderr);
    return done.stdout;
  };
  const path = join(lab.folder, "written.html");
  assert.equal(report("--output", path).trim(), path);
  const file = await openFile(path);
  assert.ok((await file.locator("figure svg").count()) >= 1);
  await file.context().close();
  const markdown = report();
  assert.ok(markdown.startsWith("# Research journal of default\n"), markdown.slice(0, 200));
  assert.ok(markdown.includes("The loss \\<i\\>fell\\</i\\> at once."));
  assert.ok(markdown.includes("](data:image/svg+xml;base64,"));
  const picture = Buffer.from(markdown.match(/base64,([A-Za-z0-9+/=]+)\)/)[1], "base64").toString();
  assert.ok(picture.startsWith("<svg ") && picture.trimEnd().endsWith("</svg>"));
  const unknown = spawnSync(program, ["report", "absent", "--data", lab.data], { encoding: "utf8" });
  assert.equal(unknown.status, 1);
  assert.match(unknown.stderr, /absent/);
});

test("a comparison is added to the journal, which leads back to it", async () => {
  const first = await shownRun();
  const body = { ...spec, name: "second", overrides: { ...spec.overrides, "optimizer.learning_rate": 1e-4 } };
  const second = (await lab.api("/runs", { method: "POST", body })).summary.id;
  await lab.until("the second run", async () => (await lab.api(`/runs/${second}`)).summary.state === "finished");
  const page = await open("steer", `/compare?runs=${first},${second}`, {}, null);
  await page.getByRole("button", { name: "Add to the research journal" }).click();
  await page.getByText("The comparison was added to the research journal").waitFor();
  await page.goto(`${lab.url}/journal`);
  await page.getByRole("button", { name: "Comparisons", exact: true }).click();
  await lab.until("the comparison alone", async () => (await entries(page).count()) === 1);
  await entries(page).first().getByRole("link").click();
  await page.waitForURL(/\/compare\?runs=/);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

/** Trains past the first 200 steps, which the rule needs, and then with a learning rate with which the loss jumps. */
test("a finding that is marked as correct counts in the calibration of its rule", async () => {
  const id = (await lab.api("/runs", { method: "POST", body: { ...longRun, name: "spiky" } })).summary.id;
  const command = (body) => lab.api(`/runs/${id}/commands`, { method: "POST", body });
  await lab.until("450 steps", async () => (await lab.api(`/runs/${id}`)).summary.step > 450);
  await command({ kind: "set", path: "optimizer.learning_rate", value: 0.5, reason: "planted" });
  const spike = await lab.until("the finding", async () => {
    const { findings } = await lab.api(`/runs/${id}/findings`);
    return findings.find(({ found }) => found.finding.rule === "loss_spike")?.found;
  });
  await command({ kind: "stop" });
  const page = await open("steer", `/runs/${id}?finding=${spike.id}`, {}, null);
  const card = page.locator(".finding", { has: page.locator(".finding-body") });
  await card.getByRole("button", { name: "Correct", exact: true }).click();
  await card.getByRole("button", { name: "Correct", exact: true, pressed: true }).waitFor();
  await page.goto(`${lab.url}/journal`);
  await page.getByRole("button", { name: "Findings", exact: true }).click();
  await entries(page).filter({ hasText: "marked as correct" }).first().waitFor();
  await page.getByRole("button", { name: "Calibration of rules and authors" }).click();
  const row = page.locator(".calibration-table tbody tr", { hasText: "Loss spike" });
  await row.getByText(/100\s%/).first().waitFor();
  assert.deepEqual(await violations(page), []);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
