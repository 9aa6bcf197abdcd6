// Screenshots of every page with a run that trains, on a desktop and on a phone, light and dark:
// `node tests/measure/pictures.mjs FOLDER [PAGE ..]`. A person reviews them; the script reports faults and pages
// that are wider than their window.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { openBrowser, openLab, openPage, signIn } from "../browser/lab.mjs";

const folder = process.argv[2] ?? "pictures";
const only = process.argv.slice(3);
mkdirSync(folder, { recursive: true });

const sizes = {
  wide: { viewport: { width: 1440, height: 900 } },
  phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
};

/** Starts a run with a changed learning rate, an abandoned segment and a fork. */
async function prepare(lab) {
  const start = (body) => lab.api("/runs", { method: "POST", body }).then((view) => view.summary.id);
  const overrides = { "intervals.checkpoint_every": 200, "retention.every_nth": 1 };
  const run = await start({ preset: "tiny", corpus: "tales", steps: 1_000_000, name: "long run", overrides });
  const command = (body) => lab.api(`/runs/${run}/commands`, { method: "POST", body });
  const step = async () => (await lab.api(`/runs/${run}`)).summary.step;
  await lab.until("a curve", async () => (await step()) > 700);
  const reason = "the loss has stopped falling";
  await command({ kind: "set", path: "optimizer.learning_rate", value: 5e-4, reason });
  await lab.until("more steps", async () => (await step()) > 1000);
  await command({ kind: "rollback", checkpoint: "0-600" });
  await start({ parent: { run }, name: "fork" });
  await lab.until("a new segment", async () => (await step()) > 800);
  return run;
}

/** The address of each page. */
function addresses(run) {
  const xray = (query) => `/runs/${run}/xray?${query}`;
  return {
    lab: "/",
    "new-run": "/start",
    data: "/data",
    settings: "/settings",
    fleet: "/fleet",
    device: "/fleet/cpu",
    run: `/runs/${run}`,
    compare: `/compare?runs=${run}`,
    playground: `/playground?run=${run}`,
    overview: xray("view=overview"),
    attention: xray("view=attention&layer=1&head=1"),
    "logit-lens": xray("view=logit_lens"),
    neurons: xray("view=neurons&layer=0"),
    neuron: xray("view=neurons&layer=0&neuron=5"),
    weights: xray("view=weights"),
    matrix: xray("view=weights&tensor=block.0.mlp.up"),
    embedding: xray("view=embedding"),
    interventions: xray("view=interventions"),
    batch: xray("batch=100"),
    emergence: xray("view=emergence"),
    snapshot: xray("view=overview"),
    "no-snapshot": xray("view=neurons&layer=0"),
  };
}

/** What is done on a page before its screenshot. */
const actions = {
  interventions: async (page) => {
    await page.getByRole("button", { name: /^Ablate/ }).click();
    await page.locator(".intervention-table").waitFor();
  },
  snapshot: async (page) => {
    await page.getByLabel("Color by").selectOption("gradient norm");
    await page.getByRole("slider", { name: "Step", exact: true }).fill("30");
    await page.waitForTimeout(700);
  },
  "no-snapshot": async (page) => {
    await page.getByRole("slider", { name: "Step", exact: true }).fill("30");
    await page.waitForTimeout(700);
  },
};

async function photograph(page, name, size, colorScheme) {
  const { viewport } = sizes[size];
  // A window as tall as the page, since charts are drawn only while they are in view.
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ ...viewport, height: Math.min(Math.max(height, viewport.height), 4000) });
  await page.waitForTimeout(700);
  await page.screenshot({ path: join(folder, `${name}-${size}-${colorScheme}.png`) });
  await page.setViewportSize(viewport);
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  if (width > viewport.width) console.log(`${name}, ${size}: ${width} px wide on ${viewport.width}`);
}

const [lab, browser] = await Promise.all([openLab(), openBrowser()]);
try {
  await lab.ready();
  const pages = Object.entries(addresses(await prepare(lab)));
  const chosen = pages.filter(([name]) => !only.length || only.includes(name));
  const first = await openPage(browser);
  await signIn(first, lab.token("admin", "--sign-in"));
  await first.getByRole("heading", { name: "Runs", exact: true }).waitFor();
  const storageState = await first.context().storageState();
  for (const size of Object.keys(sizes)) {
    for (const colorScheme of ["light", "dark"]) {
      const page = await openPage(browser, { ...sizes[size], colorScheme, storageState });
      for (const [name, path] of chosen) {
        await page.goto(lab.url + path);
        await page.waitForTimeout(2500);
        await actions[name]?.(page);
        await photograph(page, name, size, colorScheme);
      }
      if (page.faults.length) console.log(size, colorScheme, page.faults);
      await page.context().close();
    }
  }
} finally {
  await browser.close();
  lab.close();
}
