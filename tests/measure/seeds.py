"""Trains runs that differ in the seed only, for the calibration of comparisons.

    seeds.py FOLDER [COUNT] [OPTIONS OF kindling train ...]

Trains COUNT runs (64 by default) with target/release/kindling (or KINDLING) into FOLDER, one after the other, at the preset tiny with 300 steps on
tales unless the options say otherwise. A run that was killed is continued, and one that is done is not trained again, so the command can be
repeated until it is complete. It then writes their final validation losses to FOLDER/seeds.json, which
`cargo run --release -p research --example calibration FOLDER/seeds.json` reads.
"""

import os
import pathlib
import re
import subprocess
import sys

FOLDER = pathlib.Path(sys.argv[1])
COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 64
OPTIONS = sys.argv[3:] or ["--preset", "tiny", "--corpus", "tales", "--steps", "300"]
PROGRAM = os.environ.get("KINDLING", str(pathlib.Path(__file__).parents[2] / "target/release/kindling"))


def kindling(*arguments, **options):
    return subprocess.run([PROGRAM, *arguments, "--data", str(FOLDER)], check=True, **options)


def unfinished(name):
    """The id of the run with this name that was killed before its end."""
    if not (FOLDER / "lab.db").exists():
        return None
    status = kindling("status", capture_output=True, text=True).stdout
    found = re.search(rf"^Run (\S+) \({re.escape(name)}\)", status, re.MULTILINE)
    return found and found.group(1)


def train(seed):
    name, done = f"seed-{seed}", FOLDER / f"seed-{seed}.done"
    if done.exists():
        return
    run = unfinished(name)
    start = ["--resume", run] if run else [*OPTIONS, "--seed", str(seed), "--name", name]
    kindling("train", *start, stderr=subprocess.DEVNULL)
    done.touch()
    print(f"{name} of {COUNT}", flush=True)


FOLDER.mkdir(parents=True, exist_ok=True)
for seed in range(1, COUNT + 1):
    train(seed)
names = [f"seed-{seed}" for seed in range(1, COUNT + 1)]
losses = kindling("compare", names[0], ",".join(names), "--json", capture_output=True, text=True).stdout
(FOLDER / "seeds.json").write_text(losses)
print(FOLDER / "seeds.json")
