"""muP: is the best learning rate of width 64 still the best at width 256?

    mup.py FOLDER [STEPS]

Runs target/release/kindling (or KINDLING) on FOLDER/lab. Three sweeps over 7 learning rates, each twice the one before, with 2 seeds and STEPS steps
of 512 tokens (200 by default) on tales, 2 layers: width 64, width 256 with muP base width 64, and width 256 without muP. At width 64 muP with this
base changes nothing. It takes about 10 minutes on 2 cores; a sweep that has ended is not trained again.

Prints the mean of the last validation losses for each learning rate; a run that diverges counts as infinity. The exit code is 1 if the best learning
rate of width 256 with muP is more than one point of the grid from that of width 64, or if that of width 64 is at an end of the grid.
"""

import json
import math
import os
import pathlib
import statistics
import subprocess
import sys

FOLDER = pathlib.Path(sys.argv[1])
STEPS = int(sys.argv[2]) if len(sys.argv) > 2 else 200
PROGRAM = os.environ.get("KINDLING", str(pathlib.Path(__file__).parents[2] / "target/release/kindling"))
RATES = [2.0**power for power in range(-11, -4)]
SEEDS = [1, 2]
MODELS = {
    "width 64": {"d_model": 64, "d_ff": 256},
    "width 256, muP": {"d_model": 256, "d_ff": 1024, "mup_base_width": 64},
    "width 256": {"d_model": 256, "d_ff": 1024},
}


def sweep(name, model):
    """The mean of the last losses of the seeds by learning rate."""
    view = FOLDER / f"{name.replace(', ', '-').replace(' ', '-')}.json"
    if not view.exists():
        file = view.with_suffix(".toml")
        overrides = "\n".join(f'"model.{key}" = {value}' for key, value in model.items())
        file.write_text(
            f'name = "{name}"\nsampler = "grid"\nat_once = 2\n[base]\npreset = "tiny"\ncorpus = "tales"\ntokenizer = "byte"\nsteps = {STEPS}\n'
            f'[base.overrides]\n{overrides}\n"model.seq" = 32\n"batch.size" = 16\n"intervals.eval_every" = {STEPS}\n"intervals.eval_batches" = 40\n'
            '"intervals.sample_every" = 0\n"intervals.stats_every" = 0\n"intervals.checkpoint_every" = 0\n'
            f'[space]\nseeds = {SEEDS}\n[space.parameters]\n"optimizer.learning_rate" = {{ choices = {RATES} }}\n'
        )
        command = [PROGRAM, "sweep", str(file), "--json", "--data", str(FOLDER / "lab")]
        view.write_text(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    losses = {rate: [] for rate in RATES}
    for trial in json.loads(view.read_text())["trials"]:
        is_finished = trial["state"] == "finished" and trial["last"] is not None
        losses[trial["point"]["values"]["optimizer.learning_rate"]].append(trial["last"] if is_finished else math.inf)
    assert all(len(seeds) == len(SEEDS) for seeds in losses.values()), losses
    return [statistics.mean(losses[rate]) for rate in RATES]


FOLDER.mkdir(parents=True, exist_ok=True)
print(f"{'learning rate':<16}" + "".join(f"{rate:>9.5f}" for rate in RATES) + "     best", flush=True)
best = {}
for name, model in MODELS.items():
    losses = sweep(name, model)
    best[name] = losses.index(min(losses))
    print(f"{name:<16}" + "".join(f"{loss:>9.4f}" for loss in losses) + f"{RATES[best[name]]:>9.5f}", flush=True)

narrow = best["width 64"]
for name in list(MODELS)[1:]:
    print(f"{name}: the best learning rate is {best[name] - narrow:+d} points of the grid from that of width 64")
is_at_end = narrow in (0, len(RATES) - 1)
if is_at_end:
    print("the best learning rate of width 64 is at an end of the grid")
sys.exit(is_at_end or abs(best["width 256, muP"] - narrow) > 1)
