// Measures the X-ray page: frames of the browser while the slider moves through snapshots, view by view, and the time
// from a step to its result on the page. `node tests/measure/scrub.mjs [frames]`; KINDLING and CHROMIUM as for the
// browser tests.

import { openBrowser, openLab, openPage, runState, signIn } from "../browser/lab.mjs";

const FRAMES = Number(process.argv[2] ?? 200);
const VIEWS = ["overview", "attention", "logit_lens", "weights", "embedding", "emergence"];

function percentile(values, share) {
  const ascending = [...values].sort((a, b) => a - b);
  return ascending[Math.min(values.length - 1, Math.floor(values.length * share))];
}

/** Moves the slider one snapshot a frame, to the end and back, and returns the milliseconds between frames. */
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
  await signIn(page, lab.link);
  await lab.ready();
  const overrides = { "intervals.checkpoint_every": 500, "intervals.eval_every": 0, "intervals.sample_every": 0 };
  const body = { preset: "tiny", corpus: "tales", steps: 200_000, name: "scrubbed", overrides };
  const run = (await lab.api("/runs", { method: "POST", body })).summary.id;
  const snapshots = async () => (await lab.api(`/runs/${run}/snapshots/steps`)).length;
  await lab.until("snapshots", async () => (await snapshots()) >= Math.min(100, FRAMES / 2), 900);
  await lab.api(`/runs/${run}/commands`, { method: "POST", body: { kind: "pause" } });
  console.log(`${await snapshots()} snapshots, ${FRAMES} frames`);
  for (const view of VIEWS) {
    await page.goto(`${lab.url}/runs/${run}/xray?view=${view}`);
    const slider = page.locator(".timeline .scrub");
    await slider.waitFor();
    await lab.until("the slider", async () => Number(await slider.first().getAttribute("max")) > 90);
    await scrub(page, 20);
    await page.waitForTimeout(1500);
    const between = await scrub(page, FRAMES);
    const mean = between.reduce((sum, each) => sum + each, 0) / between.length;
    const [median, p95] = [0.5, 0.95].map((share) => percentile(between, share).toFixed(1));
    const longest = Math.max(...between).toFixed(1);
    const rate = `${(1000 / mean).toFixed(1)} frames/s`;
    console.log(`${view}: mean ${mean.toFixed(1)} ms, median ${median}, p95 ${p95}, longest ${longest}; ${rate}`);
  }
  // From a step to its result: the run is paused, trains one step on request, and the page is watched for the attention
  // of that step.
  await page.goto(`${lab.url}/runs/${run}/xray?view=attention`);
  await runState(page, "paused").waitFor({ state: "attached" }).catch(() => {});
  await page.locator(".view .provenance .mono").waitFor();
  const times = [];
  for (let at = 0; at < 40; at++) {
    const step = (await lab.api(`/runs/${run}`)).summary.step + 1;
    const seen = page.evaluate(
      (step) =>
        new Promise((resolve) => {
          const check = () => {
            const shown = document.querySelector(".view .provenance .mono")?.textContent.replace(/\D/g, "");
            const announced = document.querySelector(".timeline .at")?.textContent.replace(/\D/g, "");
            if (announced === String(step)) window.announcedAt ??= performance.now();
            if (shown === String(step)) resolve(performance.now() - (window.announcedAt ?? performance.now()));
            else requestAnimationFrame(check);
          };
          window.announcedAt = undefined;
          check();
        }),
      step,
    );
    const requested = performance.now();
    await lab.api(`/runs/${run}/commands`, { method: "POST", body: { kind: "step", steps: 1 } });
    const after = await seen;
    times.push({ whole: performance.now() - requested, after });
  }
  const summary = (of) => {
    const values = times.map(of);
    return `median ${percentile(values, 0.5).toFixed(0)} ms, p95 ${percentile(values, 0.95).toFixed(0)} ms`;
  };
  console.log(`from the request of a step to its result, paused: ${summary((time) => time.whole)}`);
  console.log(`from the step on the page to its result: ${summary((time) => time.after)}`);
} finally {
  await browser.close();
  lab.close();
}
