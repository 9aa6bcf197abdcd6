// What keeping checkpoints costs a run, as a share of its time: `node tests/measure/checkpoint_share.mjs [steps] [every]`.
//
// nanoGPT's CPU recipe trains with checkpoints on the default cadence (every 500 steps). The steps after a checkpoint pay for
// it: they copy what it still holds, and share the machine with the thread that writes. So the cost of one is the time of the
// WINDOW steps after it less that of the same number before it; the copy itself, 0.1 ms on a CPU, is between two steps and not in it.

import { openLab } from "../browser/lab.mjs";

const steps = Number(process.argv[2] ?? 4000);
const every = Number(process.argv[3] ?? 500);
const WINDOW = 40;

const lab = await openLab();
try {
  await lab.ready();
  const overrides = { "cadence.eval_every": 0, "cadence.sample_every": 0, "keep.best": false, "keep.every": every };
  const run = (await lab.api("/runs", { method: "POST", body: { preset: "nanogpt-cpu", corpus: "tales", steps, overrides } })).summary.id;
  await lab.until("the end", async () => (await lab.api(`/runs/${run}`)).summary.state === "finished", 3600);
  const [lengths] = await lab.api(`/runs/${run}/series?names=step_ms&points=5000`);
  const spent = new Float64Array(steps);
  for (const { step, mean } of lengths.buckets) spent[step] = mean;
  const total = spent.reduce((a, b) => a + b);
  const sum = (from) => spent.subarray(from, from + WINDOW).reduce((a, b) => a + b);
  const costs = [];
  for (let step = every; step + WINDOW <= steps; step += every) costs.push(sum(step) - sum(step - WINDOW));
  const cost = costs.reduce((a, b) => a + b);
  console.log(`${costs.length} checkpoints, ms each: ${costs.map((ms) => ms.toFixed(1)).join(", ")}`);
  console.log(`${cost.toFixed(0)} of ${total.toFixed(0)} ms: ${((100 * cost) / total).toFixed(2)} %`);
} finally {
  lab.close();
}
