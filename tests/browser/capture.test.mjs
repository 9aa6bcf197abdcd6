// A page that is captured or printed as a whole, without scrolling: every chart is drawn, also where it was never on the screen.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser, openLab, openPage, shortRun, signIn } from "./lab.mjs";

let lab, browser, run, fork;

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  await lab.ready();
  const of = (id) => lab.api(`/runs/${id}`).then((view) => view.summary);
  const spec = { ...shortRun, name: "printed", steps: 300, overrides: { ...shortRun.overrides, "intervals.checkpoint_every": 100, "intervals.eval_every": 50 } };
  run = (await lab.api("/runs", { method: "POST", body: spec })).summary.id;
  await lab.until("its end", async () => (await of(run)).state === "finished");
  const parent = { run, step: 100, changes: [{ kind: "set", path: "optimizer.learning_rate", value: 1e-4 }] };
  fork = (await lab.api("/runs", { method: "POST", body: { name: "branch", steps: 300, parent } })).summary.id;
  await lab.until("the fork's end", async () => (await of(fork)).state === "finished");
});

after(async () => {
  await browser?.close();
  lab?.close();
});

/** Labels of the canvases without a single drawn pixel. */
const empty = (page) =>
  page.evaluate(() => {
    const isDrawn = (canvas) => canvas.width > 0 && canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean);
    const canvases = [...document.querySelectorAll("canvas:not(.overlay)")].filter((canvas) => canvas.clientWidth > 0);
    return canvases.filter((canvas) => !isDrawn(canvas)).map((canvas) => canvas.getAttribute("aria-label"));
  });

for (const [width, height] of [[1440, 500], [390, 600]]) {
  test(`every chart is drawn in a window of ${width} × ${height} px, also below its edge`, async () => {
    const page = await openPage(browser, { viewport: { width, height } });
    await signIn(page, lab.token("admin", "--sign-in"));
    const views = ["attention", "neurons", "weights", "embedding"].map((view) => [`/runs/${run}/xray?view=${view}`, 1]);
    for (const [path, charts] of [[`/runs/${run}`, 6], [`/compare?runs=${run},${fork}`, 2], ...views]) {
      await page.goto(lab.url + path);
      const count = () => page.locator("canvas:not(.overlay)").count();
      await lab.until(`the charts of ${path}`, async () => (await count()) >= charts);
      await lab.until(`drawings on ${path}`, async () => (await empty(page)).length === 0).catch(async (error) => {
        throw new Error(`${error.message.split("\n")[0]}; empty: ${(await empty(page)).join(", ")}`);
      });
    }
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });
}
