// Latency of commands relative to the length of a step: `node tests/measure/acknowledge.mjs [commands] [batch size]`.
//
// A run of the preset nanogpt-cpu trains. Commands are sent at random times, one after another, and each answer is timed. The budget of
// 50 ms is for the time beyond the longest step near the command, from the series of step times.

import { openLab } from "../browser/lab.mjs";

const commands = Number(process.argv[2] ?? 200);
const batchSize = Number(process.argv[3] ?? 12);

const lab = await openLab();
try {
  await lab.ready();
  const overrides = { "batch.size": batchSize, "intervals.eval_every": 0, "intervals.sample_every": 0, "retention.before_changes": false };
  const spec = { preset: "nanogpt-cpu", corpus: "tales", steps: 1_000_000, overrides };
  const run = (await lab.api("/runs", { method: "POST", body: spec })).summary.id;
  const done = async () => (await lab.api(`/runs/${run}`)).summary.step;
  await lab.until("the first steps", async () => (await done()) > 20);
  const answers = [];
  for (let i = 0; i < commands; i += 1) {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 120));
    const body = i % 2 ? { kind: "annotate", text: `note ${i}` } : { kind: "set", path: "optimizer.grad_clip", value: 1 + i / 1000 };
    const began = performance.now();
    const event = await lab.api(`/runs/${run}/commands`, { method: "POST", body });
    answers.push({ took: performance.now() - began, step: event.step });
  }
  const [lengths] = await lab.api(`/runs/${run}/series?names=step_ms&points=5000`);
  const near = (step) => Math.max(...lengths.buckets.filter((bucket) => Math.abs(bucket.step - step) <= 16).map((bucket) => bucket.max));
  print("answer", answers.map(({ took }) => took));
  print("a step, longest of 16 either side", answers.map(({ step }) => near(step)));
  print("beyond that step", answers.map(({ took, step }) => took - near(step)));
} finally {
  lab.close();
}

function print(what, values) {
  const sorted = values.sort((a, b) => a - b);
  const at = (quantile) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))].toFixed(1);
  console.log(`${what}: median ${at(0.5)} ms, p95 ${at(0.95)} ms, longest ${at(1)} ms (${sorted.length})`);
}
