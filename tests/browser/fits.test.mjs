// Replays of stopping rules on the page of a sweep, and fits there and on the Compare page: what is refused with its reason, a scaling law that is
// extrapolated to typed targets without a request, sliders by keyboard, and both panels on a phone and in the dark.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { violations, violationsInBothThemes } from "./accessibility.mjs";
import { openAs, openBrowser, openLab, shortRun } from "./lab.mjs";

let lab, browser, sweep, run;

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  await lab.ready();
  const overrides = { ...shortRun.overrides, "intervals.eval_every": 10, "intervals.eval_batches": 1 };
  const base = { ...shortRun, steps: 60, overrides };
  const parameters = { "optimizer.learning_rate": { log: [1e-5, 1e-2] } };
  const body = { name: "rates", base, sampler: "random", trials: 5, space: { parameters } };
  sweep = (await lab.api("/sweeps", { method: "POST", body })).id;
  await lab.until("the end of the sweep", async () => (await lab.api(`/sweeps/${sweep}`)).sweep.state === "finished");
  run = (await lab.api(`/sweeps/${sweep}`)).trials[0].run;
});

after(async () => {
  await browser?.close();
  lab?.close();
});

const signedIn = (role, options = {}) => openAs(browser, lab, role, options);

const replay = (page) => page.getByRole("region", { name: "Replay", exact: true });
const fits = (page) => page.getByRole("region", { name: "Fits", exact: true });

/** 16 runs on L = 1.2 + 0.4 / (N / 1e6)^0.5 + 0.1 / (D / 1e9)^0.4, as the server answers. */
function scalingLaw() {
  const loss = (n, d) => 1.2 + 0.4 * (n / 1e6) ** -0.5 + 0.1 * (d / 1e9) ** -0.4;
  const point = (n, d) => ({ run: "a", name: `${n} ${d}`, parameters: n, tokens: d, flops: 6 * n * d, loss: loss(n, d) });
  const runs = [1e5, 4e5, 16e5, 64e5].flatMap((n) => [2e6, 8e6, 32e6, 128e6].map((d) => point(n, d)));
  const values = (e) => ({ linear: [e, 0.4, 0.1], alpha: 0.5, beta: 0.4 });
  const estimate = (value) => ({ value, low: value - 0.01, high: value + 0.01 });
  const extrapolation = {
    parameters: 256e5,
    tokens: 512e6,
    loss: estimate(loss(256e5, 512e6)),
    flops: 6 * 256e5 * 512e6,
    best_parameters: estimate(3e7),
  };
  const law = { law: values(1.2), resampled: [values(1.19), values(1.2), values(1.21)], runs: 16, residual: 0.003 };
  const value = {
    irreducible: estimate(1.2),
    a: estimate(0.4),
    alpha: estimate(0.5),
    b: estimate(0.1),
    beta: estimate(0.4),
    residual: 0.003,
    held_out: { runs: 4, error: 0.005 },
    extrapolation,
    law,
  };
  return { runs, left_out: [], series: [], result: { kind: "scaling_law", value } };
}

test("a rule is replayed over a sweep, its threshold is moved by keyboard, and nothing is requested for it", async () => {
  const page = await signedIn("view");
  const requests = [];
  page.on("request", (request) => request.url().includes("/api/v1/replay") && requests.push(request.url()));
  await page.goto(`${lab.url}/sweeps/${sweep}`);
  await replay(page).getByText("Choose a rule").waitFor();
  assert.deepEqual(requests, [], "nothing is computed before a rule is chosen");
  await replay(page).getByRole("button", { name: "ASHA", exact: true }).click();
  const eta = replay(page).getByRole("slider", { name: "eta", exact: true });
  await eta.waitFor();
  assert.equal(await eta.getAttribute("aria-valuetext"), "4", "the default of the rule");
  const said = replay(page).locator(".verdict");
  assert.match(await said.innerText(), /^ASHA, eta 4 saves \d+\s%\sof the steps and stops \d of 5 trials\./);
  await eta.focus();
  await page.keyboard.press("Home");
  await replay(page).getByText(/^ASHA, eta 2 saves/).waitFor();
  const { settings, runs } = await lab.api(`/replay?rule=asha&runs=sweep:${sweep}`);
  assert.equal(runs.length, 5);
  const setting = settings.find(({ rule }) => rule.eta === 2 && rule.min_fraction === 0.01);
  const stopped = setting.stops.length;
  assert.match(await said.innerText(), new RegExp(`stops ${stopped} of 5 trials\\.`));
  await replay(page).getByText(`${stopped} ${stopped === 1 ? "trial" : "trials"} stopped by this setting`).click();
  assert.equal(await replay(page).locator("tbody tr").count(), stopped);
  await replay(page).getByRole("button", { name: "Median", exact: true }).click();
  await replay(page).getByRole("slider", { name: "Percentile", exact: true }).waitFor();
  await replay(page).getByText(/^The median rule saves/).waitFor();
  await replay(page).getByRole("group", { name: /^Compute saved against winners lost/ }).focus();
  assert.equal(requests.length, 2, "one request for each rule");
  assert.deepEqual(await violations(page, "main"), []);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a fit that the trials do not determine is refused with its reason", async () => {
  const page = await signedIn("view");
  await page.goto(`${lab.url}/sweeps/${sweep}`);
  await fits(page).getByRole("button", { name: "Scaling law", exact: true }).click();
  await fits(page).getByText("No fit. The fit needs at least 3 model sizes, and has 1.").waitFor();
  await fits(page).getByText("Table of the 5 runs").click();
  assert.equal(await fits(page).locator("tbody tr").count(), 5);
  await fits(page).getByRole("button", { name: "Learning-rate range test", exact: true }).click();
  const single = fits(page).getByRole("combobox", { name: "Run of the fit" });
  await single.waitFor();
  assert.equal(await single.locator("option").count(), 5, "each finished trial");
  await fits(page).getByText(/^No fit\. /).waitFor();
  assert.deepEqual(await violations(page, "main"), []);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a scaling law on the Compare page is extrapolated to what is typed, also on a phone and in the dark", async () => {
  for (const width of [1440, 390]) {
    const page = await signedIn("view", { viewport: { width, height: 800 } });
    let asked = 0;
    await page.route(/\/api\/v1\/fit\?kind=scaling_law/, (route) => {
      asked += 1;
      return route.fulfill({ json: scalingLaw() });
    });
    await page.goto(`${lab.url}/compare?runs=${run}`);
    await fits(page).getByRole("button", { name: "Scaling law", exact: true }).click();
    await fits(page).getByText("L(N, D) = 1.2 + 0.4 / (N / 1e6)^0.5 + 0.1 / (D / 1e9)^0.4", { exact: true }).waitFor();
    await fits(page).getByText(/A fit without the 4 runs with the most compute predicts their loss with an error of 0\.5\s%/).waitFor();
    const field = (label) => fits(page).locator("label.field", { hasText: label }).first().locator("input");
    await field("Parameters").fill("1e8");
    await field("Training tokens").fill("2e9");
    await fits(page).getByText(/^100\sM parameters and 2\sB tokens: a loss of 1\.316\snats\/token/).waitFor();
    await field("Training tokens").fill("many");
    await fits(page).locator(".field-error", { hasText: /./ }).first().waitFor();
    await field("Training tokens").fill("");
    assert.equal(asked, 1, "typing sends no request");
    const scope = fits(page).getByRole("combobox", { name: "Runs of the fit" });
    await scope.selectOption("project:default");
    await lab.until("the fit of the project", async () => asked === 2);
    assert.ok(await page.evaluate((width) => document.documentElement.scrollWidth <= width, width), `${width} pixels`);
    const found = width === 390 ? await violationsInBothThemes(page, "main") : await violations(page, "main");
    assert.deepEqual(found, []);
    assert.deepEqual(page.faults, []);
    await page.context().close();
  }
});

test("the page of a sweep with a replay and a fit is as wide as a phone", async () => {
  const page = await signedIn("view", { viewport: { width: 390, height: 800 } });
  await page.goto(`${lab.url}/sweeps/${sweep}`);
  await replay(page).getByRole("button", { name: "Hyperband", exact: true }).click();
  await replay(page).getByRole("slider", { name: "Brackets", exact: true }).waitFor();
  await fits(page).getByRole("button", { name: "IsoFLOP profiles", exact: true }).click();
  await fits(page).getByText(/^No fit\. /).waitFor();
  await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 390), "as wide as the phone");
  assert.deepEqual(await violationsInBothThemes(page, "main"), []);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
