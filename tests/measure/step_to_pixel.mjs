// Latency from the end of a step in the worker to its pixels in a browser:
// `node tests/measure/step_to_pixel.mjs [seconds] [batch size]`.
//
// The end of a step comes from the clock of the worker: the event of an evaluation has the time, and the series `secs` the training
// time since then. It is visible in the frame after the one in which the page drew the loss chart with that step in its header. Both
// clocks are those of this machine. The batch size sets the length of a step; the budget is for 20 steps per second.

import { longRun, openBrowser, openLab, openPage, runState, signIn } from "../browser/lab.mjs";

const seconds = Number(process.argv[2] ?? 40);
const batchSize = Number(process.argv[3] ?? 16);
const evalEvery = 20;

const [lab, browser] = await Promise.all([openLab(), openBrowser()]);
try {
  await lab.ready();
  const overrides = { "batch.size": batchSize, "intervals.eval_every": evalEvery, "intervals.eval_batches": 1, "intervals.sample_every": 0 };
  const spec = { ...longRun, preset: "nanogpt-cpu", overrides };
  const run = (await lab.api("/runs", { method: "POST", body: spec })).summary.id;
  const page = await openPage(browser);
  await signIn(page, lab.token("view", "--sign-in"));
  await page.getByRole("heading", { name: "Runs", exact: true }).waitFor();
  await page.goto(`${lab.url}/runs/${run}`);
  await runState(page, "running").waitFor({ timeout: 60_000 });
  await page.locator(".chart.main .legend li", { hasText: "train" }).first().waitFor();
  await page.evaluate(watchPixels);
  await page.waitForTimeout(seconds * 1000);
  const seen = await page.evaluate(() => window.seenSteps);
  report(await delays(run, seen), seen);
} finally {
  await browser.close();
  lab.close();
}

/** In the page: records the time of each frame that shows a new step, once the chart was drawn with it. */
function watchPixels() {
  window.seenSteps = [];
  let isDrawn = false;
  const chart = document.querySelector(".chart.main canvas");
  const context = CanvasRenderingContext2D.prototype;
  for (const name of ["stroke", "fill", "fillRect", "clearRect"]) {
    const plain = context[name];
    context[name] = function (...given) {
      isDrawn ||= this.canvas === chart;
      return plain.apply(this, given);
    };
  }
  const header = document.querySelector(".run-head .progress-line span");
  let drawn = null;
  let shown = 0;
  const observe = () => {
    // The frame that was drawn in the previous callback is on the screen by now.
    const now = performance.timeOrigin + performance.now();
    if (drawn > shown) window.seenSteps.push([(shown = drawn), now]);
    drawn = isDrawn ? Number(header.innerText.split("/")[0].replace(/\D/g, "")) : null;
    isDrawn = false;
    requestAnimationFrame(observe);
  };
  requestAnimationFrame(observe);
}

/** Milliseconds from the end of each step to the frame that showed it. */
async function delays(run, seen) {
  const last = seen.at(-1)[0];
  const window = await lab.api(`/runs/${run}/series?names=secs,step_ms&points=5000&from=${Math.max(0, last - 4000)}`);
  const [secs, stepMs] = window.map((series) => new Map(series.buckets.map((bucket) => [bucket.step, bucket.mean])));
  const evaluations = new Map();
  for (const event of await lab.api(`/runs/${run}/events`)) if (event.event.kind === "evaluated") evaluations.set(event.step, event.at_ms);
  const found = [];
  for (let step = 1; step <= last; step += 1) {
    const anchor = Math.floor((step - 1) / evalEvery) * evalEvery;
    const frame = seen.find(([shown]) => shown >= step);
    // The header shows n steps done when step n - 1 is drawn. The step after an evaluation starts with its event.
    if (!evaluations.has(anchor) || !secs.has(step - 1) || !secs.has(anchor) || step <= seen[0][0]) continue;
    const ended = evaluations.get(anchor) + stepMs.get(anchor) + (secs.get(step - 1) - secs.get(anchor)) * 1000;
    found.push(frame[1] - ended);
  }
  return found.sort((a, b) => a - b);
}

function report(found, seen) {
  const quantile = (of) => Math.round(found[Math.min(found.length - 1, Math.floor(found.length * of))]);
  const [first, last] = [seen[0], seen.at(-1)];
  const rate = ((last[0] - first[0]) / (last[1] - first[1])) * 1000;
  console.log(`${found.length} steps at ${rate.toFixed(1)} steps/s, ${((seen.length / (last[1] - first[1])) * 1000).toFixed(1)} new frames/s`);
  console.log(`step to pixel: median ${quantile(0.5)} ms, p95 ${quantile(0.95)} ms, p99 ${quantile(0.99)} ms, longest ${Math.round(found.at(-1))} ms`);
}
