// Cost of checkpoints as a fraction of the training time: `node tests/measure/checkpoint_share.mjs [steps] [interval]`.
//
// The preset nanogpt-cpu trains with checkpoints at the default interval of 500 steps. A checkpoint slows the steps after it: they copy
// the tensors that it still references, and share the machine with the checkpoint writer. Its cost is therefore the time of the WINDOW
// steps after it minus that of the WINDOW steps before it. The copy itself, 0.1 ms on a CPU, is between two steps and not included.

import { openLab } from "../browser/lab.mjs";

const steps = Number(process.argv[2] ?? 4000);
const every = Number(process.argv[3] ?? 500);
const WINDOW = 40;

const lab = await openLab();
try {
  await lab.ready();
  const overrides = { "intervals.eval_every": 0, "intervals.sample_every": 0, "retention.best": false, "intervals.checkpoint_every": every };
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
