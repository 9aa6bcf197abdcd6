// From a command's request to its answer, against the length of a step: `node tests/measure/acknowledge.mjs [commands] [rows]`.
//
// A run of nanoGPT's CPU recipe trains; commands come at random moments, one after another, and each answer is timed here. What is
// held to 50 ms is the time beyond the longest step near it, taken from the run's own curve of step lengths.

import { openLab } from "../browser/lab.mjs";

const commands = Number(process.argv[2] ?? 200);
const rows = Number(process.argv[3] ?? 12);

const lab = await openLab();
try {
  await lab.ready();
  const overrides = { "batch.rows": rows, "cadence.eval_every": 0, "cadence.sample_every": 0, "keep.before_changes": false };
  const spec = { preset: "nanogpt-cpu", corpus: "tales", steps: 1_000_000, overrides };
  const run = (await lab.api("/runs", { method: "POST", body: spec })).summary.id;
  const done = async () => (await lab.api(`/runs/${run}`)).summary.step;
  await lab.until("the first steps", async () => (await done()) > 20);
  const asked = [];
  for (let i = 0; i < commands; i += 1) {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 120));
    const body = i % 2 ? { kind: "annotate", text: `note ${i}` } : { kind: "set", field: "clip", value: 1 + i / 1000 };
    const began = performance.now();
    const line = await lab.api(`/runs/${run}/commands`, { method: "POST", body });
    asked.push({ took: performance.now() - began, step: line.step });
  }
  const [lengths] = await lab.api(`/runs/${run}/series?names=step_ms&points=5000`);
  const near = (step) => Math.max(...lengths.buckets.filter((bucket) => Math.abs(bucket.step - step) <= 16).map((bucket) => bucket.max));
  print("answer", asked.map(({ took }) => took));
  print("a step, longest of 16 either side", asked.map(({ step }) => near(step)));
  print("beyond that step", asked.map(({ took, step }) => took - near(step)));
} finally {
  lab.close();
}

function print(what, values) {
  const sorted = values.sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))].toFixed(1);
  console.log(`${what}: median ${at(0.5)} ms, p95 ${at(0.95)} ms, longest ${at(1)} ms (${sorted.length})`);
}
