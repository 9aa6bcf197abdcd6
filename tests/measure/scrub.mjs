// Measures the X-ray page: frames of the browser while kept steps are scrubbed, view by view, and the time from a step to its picture.
// `node tests/measure/scrub.mjs [frames]`; KINDLING and CHROMIUM as for the stories.

import { openBrowser, openLab, openPage, runState } from "../browser/lab.mjs";

const FRAMES = Number(process.argv[2] ?? 200);
const VIEWS = ["map", "attention", "lens", "weights", "embedding", "emergence"];

const percentile = (values, share) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];

/** Moves the slider one kept step a frame, there and back, and gives the milliseconds between frames. */
async function scrub(page, frames) {
  return page.evaluate(async (frames) => {
    const slider = document.querySelector(".timeline .scrub");
    const last = Number(slider.max) - 1;
    const between = [];
    let before = await new Promise(requestAnimationFrame);
    for (let frame = 0; frame < frames; frame++) {
      const way = frame % (2 * last);
      slider.value = String(way <= last ? way : 2 * last - way);
      slider.dispatchEvent(new Event("input", { bubbles: true }));
      const now = await new Promise(requestAnimationFrame);
      between.push(now - before);
      before = now;
    }
    return between;
  }, frames);
}

const [lab, browser] = await Promise.all([openLab(), openBrowser()]);
try {
  const page = await openPage(browser);
  await page.goto(lab.link);
  await lab.ready();
  const overrides = { "keep.every": 500, "cadence.eval_every": 0, "cadence.sample_every": 0 };
  const run = (await lab.api("/runs", { method: "POST", body: { preset: "tiny", corpus: "tales", steps: 200_000, name: "scrubbed", overrides } })).summary.id;
  const kept = async () => (await lab.api(`/runs/${run}/frames/steps`)).length;
  await lab.until("kept steps", async () => (await kept()) >= Math.min(100, FRAMES / 2), 900);
  await lab.api(`/runs/${run}/commands`, { method: "POST", body: { kind: "pause" } });
  console.log(`${await kept()} kept steps, scrubbed for ${FRAMES} frames`);
  for (const view of VIEWS) {
    await page.goto(`${lab.url}/runs/${run}/xray?view=${view}`);
    await page.locator(".timeline .scrub").waitFor();
    await lab.until("the slider", async () => Number(await page.locator(".timeline .scrub").first().getAttribute("max")) > 90);
    await scrub(page, 20);
    await page.waitForTimeout(1500);
    const between = await scrub(page, FRAMES);
    const mean = between.reduce((sum, each) => sum + each, 0) / between.length;
    console.log(`${view}: mean ${mean.toFixed(1)} ms, median ${percentile(between, 0.5).toFixed(1)}, p95 ${percentile(between, 0.95).toFixed(1)}, longest ${Math.max(...between).toFixed(1)}; ${(1000 / mean).toFixed(1)} frames a second`);
  }
  // From a step to its picture: the run is held, one step is asked for, and the page is watched for that step's attention.
  await page.goto(`${lab.url}/runs/${run}/xray?view=attention`);
  await runState(page, "paused").waitFor({ state: "attached" }).catch(() => {});
  await page.locator(".view .provenance .mono").waitFor();
  const times = [];
  for (let at = 0; at < 40; at++) {
    const step = (await lab.api(`/runs/${run}`)).summary.step + 1;
    const seen = page.evaluate(
      (step) =>
        new Promise((resolve) => {
          const look = () => {
            const shown = document.querySelector(".view .provenance .mono")?.textContent.replace(/\D/g, "");
            const told = document.querySelector(".timeline .at")?.textContent.replace(/\D/g, "");
            if (told === String(step)) window.toldAt ??= performance.now();
            if (shown === String(step)) resolve(performance.now() - (window.toldAt ?? performance.now()));
            else requestAnimationFrame(look);
          };
          window.toldAt = undefined;
          look();
        }),
      step,
    );
    const asked = performance.now();
    await lab.api(`/runs/${run}/commands`, { method: "POST", body: { kind: "step", steps: 1 } });
    const after = await seen;
    times.push({ whole: performance.now() - asked, after });
  }
  const whole = times.map((time) => time.whole);
  const after = times.map((time) => time.after);
  console.log(`step asked to picture, held: median ${percentile(whole, 0.5).toFixed(0)} ms, p95 ${percentile(whole, 0.95).toFixed(0)} ms; step told to picture: median ${percentile(after, 0.5).toFixed(0)} ms, p95 ${percentile(after, 0.95).toFixed(0)} ms`);
} finally {
  await browser.close();
  lab.close();
}
