// Pictures of every page with a run in full flow, wide and on a phone, light and dark: `node tests/measure/pictures.mjs FOLDER [PAGE ..]`.
// They are to be looked at; what a machine can see is said: faults, and pages wider than their window.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { openBrowser, openLab, openPage } from "../browser/lab.mjs";

const folder = process.argv[2] ?? "pictures";
const only = process.argv.slice(3);
mkdirSync(folder, { recursive: true });
const [lab, browser] = await Promise.all([openLab(), openBrowser()]);
try {
  await lab.ready();
  const start = (body) => lab.api("/runs", { method: "POST", body }).then((view) => view.summary.id);
  const command = (run, body) => lab.api(`/runs/${run}/commands`, { method: "POST", body });
  const run = await start({ preset: "tiny", corpus: "tales", steps: 1_000_000, name: "in full flow", overrides: { "keep.every": 200, "keep.every_nth": 1 } });
  const done = async () => (await lab.api(`/runs/${run}`)).summary.step;
  await lab.until("a curve", async () => (await done()) > 700);
  await command(run, { kind: "set", field: "rate", value: 5e-4, reason: "the curve is flat" });
  await lab.until("more of it", async () => (await done()) > 1000);
  await command(run, { kind: "rollback", checkpoint: "0-600" });
  await start({ parent: { run }, name: "the other way" });
  await lab.until("a new stretch", async () => (await done()) > 800);
  const inside = (query) => `/runs/${run}/xray?${query}`;
  const places = {
    lab: "/", start: "/start", texts: "/texts", settings: "/settings", run: `/runs/${run}`, compare: `/compare?runs=${run}`, playground: `/playground?run=${run}`,
    map: inside("view=map"), attention: inside("view=attention&layer=1&head=1"), lens: inside("view=lens"), mlp: inside("view=mlp&layer=0"),
    unit: inside("view=mlp&layer=0&unit=5"), weights: inside("view=weights"), matrix: inside("view=weights&tensor=block.0.mlp.up"),
    embedding: inside("view=embedding"), hands: inside("view=hands"), batch: inside("batch=100"), emergence: inside("view=emergence"),
  };
  places.past = places.map;
  const acts = {
    hands: async (page) => {
      await page.getByRole("button", { name: /^Silence/ }).click();
      await page.locator(".hands-table").waitFor();
    },
    past: async (page) => {
      await page.getByLabel("Light by").selectOption("gradient norm");
      await page.getByRole("slider", { name: "Step", exact: true }).fill("30");
      await page.waitForTimeout(700);
    },
  };
  const first = await openPage(browser);
  await first.goto(lab.token("admin", "--sign-in"));
  await first.getByRole("heading", { name: "Runs", exact: true }).waitFor();
  const storageState = await first.context().storageState();
  const sizes = { wide: { viewport: { width: 1440, height: 900 } }, phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true } };
  for (const [size, options] of Object.entries(sizes)) {
    for (const colorScheme of ["light", "dark"]) {
      const page = await openPage(browser, { ...options, colorScheme, storageState });
      for (const [name, path] of Object.entries(places).filter(([name]) => !only.length || only.includes(name))) {
        await page.goto(lab.url + path);
        await page.waitForTimeout(2500);
        await acts[name]?.(page);
        // A window as tall as the page, since charts are drawn once they are in sight.
        const height = await page.evaluate(() => document.documentElement.scrollHeight);
        await page.setViewportSize({ ...options.viewport, height: Math.min(Math.max(height, options.viewport.height), 4000) });
        await page.waitForTimeout(700);
        await page.screenshot({ path: join(folder, `${name}-${size}-${colorScheme}.png`) });
        await page.setViewportSize(options.viewport);
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        if (width > options.viewport.width) console.log(`${name}, ${size}: ${width} px wide on ${options.viewport.width}`);
      }
      if (page.faults.length) console.log(size, colorScheme, page.faults);
      await page.context().close();
    }
  }
} finally {
  await browser.close();
  lab.close();
}
