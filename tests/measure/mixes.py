"""The best mix of two generated datasets by a grid, by RegMix and by online data mixing.

    mixes.py FOLDER [STEPS]

Runs target/release/kindling (or KINDLING) on FOLDER. All runs have the preset tiny and STEPS steps (300 by default) on tales and induction, and are
compared by the mean of the validation losses of both datasets.

1. A grid of 11 mixes with 3 seeds each: the best mix, and the noise floor (twice the standard error of the difference of two means of 3 seeds).
2. 24 trials of one seed on Dirichlet mixes, and the mix that `kindling fit mix` finds; 3 seeds of this mix. It passes if their mean loss is at most
   one noise floor above that of the best mix of the grid.
3. Online data mixing from equal weights, 3 seeds, beside equal weights.

The exit code is 1 if RegMix's choice does not pass.
"""

import csv
import json
import math
import os
import pathlib
import re
import statistics
import subprocess
import sys

FOLDER = pathlib.Path(sys.argv[1])
STEPS = int(sys.argv[2]) if len(sys.argv) > 2 else 300
PROGRAM = os.environ.get("KINDLING", str(pathlib.Path(__file__).parents[2] / "target/release/kindling"))
DATASETS = ("tales", "induction")


def kindling(*arguments):
    command = [PROGRAM, *arguments, "--data", str(FOLDER / "lab")]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def sweep(name, head, parameters, base=""):
    """Trains the trials of a sweep; returns its number, and the weight of the first dataset and the run of each trial."""
    file = FOLDER / f"{name}.toml"
    file.write_text(
        f'name = "{name}"\n{head}\n[base]\npreset = "tiny"\ntokenizer = "byte"\nsteps = {STEPS}\n{base}\n'
        f"[space.parameters]\n{parameters}\n"
    )
    view = json.loads(kindling("sweep", str(file), "--json"))
    return view["sweep"]["id"], [(trial["point"]["values"], trial["run"]) for trial in view["trials"]]


def loss(run):
    """The mean of the last validation losses of the datasets, nats per token."""
    file = FOLDER / f"{run}.csv"
    kindling("export", "series", run, "--to", str(file))
    with file.open() as rows:
        last = {row["series"]: float(row["value"]) for row in csv.DictReader(rows)}
    return statistics.mean(last[f"loss.valid/{name}"] for name in DATASETS)


def fixed(weight):
    """The parameters of one mix."""
    pair = zip(DATASETS, (weight, 1 - weight))
    return "\n".join(f'"mix.{name}" = {{ choices = [{value}] }}' for name, value in pair)


def seeds(name, parameters, base=""):
    """The losses of 3 seeds of one point."""
    _, trials = sweep(name, 'sampler = "grid"\nseeds_per_point = 3', parameters, base)
    return [loss(run) for _, run in trials]


def said(name, losses):
    print(f"{name}: {statistics.mean(losses):.4f} nats/token, seeds {', '.join(f'{one:.4f}' for one in losses)}", flush=True)


FOLDER.mkdir(parents=True, exist_ok=True)
tenths = ", ".join(f"{at / 10}" for at in range(11))
grid = "\n".join(f'"mix.{name}" = {{ choices = [{tenths}] }}' for name in DATASETS)
head = 'sampler = "grid"\nseeds_per_point = 3'
constraint = f'\n[space]\nconstraints = ["mix.{DATASETS[0]} + mix.{DATASETS[1]} == 1"]'
_, trials = sweep("grid", head, grid, constraint)
by_weight = {}
for values, run in trials:
    by_weight.setdefault(values[f"mix.{DATASETS[0]}"], []).append(loss(run))
for weight, losses in sorted(by_weight.items()):
    said(f"{weight:.0%} {DATASETS[0]}", losses)
spread = math.sqrt(statistics.mean(statistics.variance(losses) for losses in by_weight.values()))
floor = 2 * spread * math.sqrt(2 / 3)
best = min(by_weight.values(), key=statistics.mean)
print(f"noise floor: {floor:.4f} nats/token")

drawn = "\n".join(f'"mix.{name}" = {{ float = [0, 1] }}' for name in DATASETS)
number, _ = sweep("dirichlet", 'sampler = "dirichlet"\ntrials = 24', drawn)
found = kindling("fit", "mix", "--tag", f"sweep:{number}")
print(found)
weight = float(re.search(rf"^{DATASETS[0]}\s+(\S+)", found, re.MULTILINE).group(1))
chosen = seeds("regmix", fixed(weight))
said("RegMix's choice", chosen)

said("equal weights", seeds("equal", fixed(0.5)))
said("online data mixing", seeds("odm", fixed(0.5), '[base.overrides]\n"mixing.rule" = "odm"'))

above = statistics.mean(chosen) - statistics.mean(best)
print(f"RegMix's choice is {above:+.4f} nats/token from the best mix of the grid, {above / floor:.2f} noise floors")
sys.exit(above > floor)
