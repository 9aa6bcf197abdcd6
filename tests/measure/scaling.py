"""A scaling law over real runs: the error of its predictions for runs that the fit has not seen, and its refusal on two sizes.

    scaling.py FOLDER [STEPS]

Runs target/release/kindling (or KINDLING) on FOLDER/lab. One sweep trains 4 sizes (d_model 16, 24, 40 and 64, 2 layers) with 4 numbers of steps
(STEPS, 4,000 by default, and 2, 4 and 8 times as many; 512 tokens in a step), with muP so that one learning rate suits all sizes. The text is the
source of Python's standard library: the loss of the generated datasets falls by leaps, which is no power law. With fewer steps, or smaller sizes, the
loss of a large model falls faster with the tokens than that of a small one, and the law is refused. It takes 15 minutes on 2 cores; a folder whose
sweep has ended is not trained again. It prints

1. the runs, and the law that `kindling fit law` finds over all, with its error on the 4 runs with the most compute, held out;
2. the largest size with the most tokens, predicted by the fit of the other 15 runs;
3. each run, predicted by the fit of the others, and the root mean square of these errors, in all and within the range of the others;
4. what `kindling fit law` says of the two smallest sizes.

The exit code is 1 if the law over all runs is refused, or if 4. is not.
"""

import json
import math
import os
import pathlib
import re
import statistics
import subprocess
import sys
import sysconfig
import time
import urllib.parse
import urllib.request

FOLDER = pathlib.Path(sys.argv[1])
STEPS = int(sys.argv[2]) if len(sys.argv) > 2 else 4000
PROGRAM = os.environ.get("KINDLING", str(pathlib.Path(__file__).parents[2] / "target/release/kindling"))
WIDTHS = (16, 24, 40, 64)
BUDGETS = tuple(STEPS * times for times in (1, 2, 4, 8))
SWEEP = f"""name = "scaling"
sampler = "grid"
at_once = 2
[base]
preset = "tiny"
corpus = "python"
tokenizer = "byte"
[base.overrides]
"model.seq" = 32
"model.mup_base_width" = 32
"optimizer.learning_rate" = 4e-3
"batch.size" = 16
"intervals.eval_every" = {STEPS}
"intervals.eval_batches" = 100
"intervals.sample_every" = 0
"intervals.stats_every" = 0
"intervals.checkpoint_every" = 0
[space]
constraints = ["model.d_ff == 4 * model.d_model"]
[space.parameters]
"model.d_model" = {{ choices = {list(WIDTHS)} }}
"model.d_ff" = {{ choices = {[4 * width for width in WIDTHS]} }}
"steps" = {{ choices = {list(BUDGETS)} }}
"""


def kindling(*arguments, **options):
    command = [PROGRAM, *arguments, "--data", str(FOLDER / "lab")]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, **options)


class Server:
    """A server on the lab; its answers have more digits than the command line prints."""

    def __enter__(self):
        arguments = [PROGRAM, "serve", "--data", FOLDER / "lab", "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=(FOLDER / "log").open("w"), text=True)
        self.address = re.search(r"http://[^/\s]+", self.process.stdout.readline()).group()
        self.token = kindling("token", "--name", "scaling", stderr=subprocess.DEVNULL, check=True).stdout.strip()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def ask(self, path, body=None):
        request = urllib.request.Request(f"{self.address}/api/v1{path}", body, {"authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def upload(self, name, text):
        """Adds a dataset and waits until it is ready."""
        self.ask(f"/corpora?name={name}", text)
        while any(job["state"] == "running" for job in self.ask("/jobs")):
            time.sleep(0.2)

    def fit(self, runs, at):
        """The report of a scaling law over runs, extrapolated to the size and tokens of another."""
        query = {"kind": "scaling_law", "runs": ",".join(run["run"] for run in runs), "parameters": at["parameters"], "tokens": at["tokens"]}
        return self.ask(f"/fit?{urllib.parse.urlencode(query)}")


def trained():
    """The ids of the runs."""
    ids = FOLDER / "runs.json"
    if not ids.exists():
        sources = sorted(pathlib.Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
        with Server() as server:
            server.upload("python", b"\n".join(source.read_bytes() for source in sources))
        file = FOLDER / "scaling.toml"
        file.write_text(SWEEP)
        trials = json.loads(kindling("sweep", str(file), "--json", check=True).stdout)["trials"]
        unfinished = [f"trial {trial['number']} {trial['state']}: {trial['reason']}" for trial in trials if trial["state"] != "finished"]
        assert not unfinished, unfinished
        ids.write_text(json.dumps([trial["run"] for trial in trials]))
    return json.loads(ids.read_text())


def predicted(server, runs, run):
    """The error of the fit of `runs` on another run, as a fraction of its loss, and whether the loss is within the interval; None if refused."""
    result = server.fit(runs, run)["result"]
    if result["kind"] == "refused":
        print(f"{run['name']}: refused. {result['value']['sentence']}")
        return None
    law, loss = result["value"], result["value"]["extrapolation"]["loss"]
    error, width = loss["value"] / run["loss"] - 1, 2 * law["residual"]
    is_inside = loss["low"] * (1 - width) <= run["loss"] <= loss["high"] * (1 + width)
    interval = f"{loss['value']:.4f} (95 % interval {loss['low']:.4f} to {loss['high']:.4f})"
    size = f"{run['parameters']:>9,.0f} parameters, {run['tokens']:>9,.0f} tokens"
    print(f"{size}: loss {run['loss']:.4f}, predicted {interval}, error {error:+.2%}", flush=True)
    return error, is_inside


def root_mean_square(errors):
    return math.sqrt(statistics.mean(error * error for error in errors))


FOLDER.mkdir(parents=True, exist_ok=True)
ids = trained()
with Server() as server:
    target = {"parameters": 1e6, "tokens": 1e7}
    runs = sorted(server.fit([{"run": run} for run in ids], target)["runs"], key=lambda run: (run["parameters"], run["tokens"]))
    for run in runs:
        print(f"{run['parameters']:>9,.0f} parameters, {run['tokens']:>9,.0f} tokens: {run['loss']:.4f} nats/token")
    print("\nLargest size with the most tokens, held out:")
    predicted(server, runs[:-1], runs[-1])
    print("\nEach run, held out:")
    found = [(run, predicted(server, [other for other in runs if other is not run], run)) for run in runs]

errors = [(run, error) for run, prediction in found if prediction for error, _ in [prediction]]
ends = {key: (min(run[key] for run in runs), max(run[key] for run in runs)) for key in ("parameters", "tokens")}
inner = [error for run, error in errors if all(run[key] not in ends[key] for key in ends)]
if errors:
    print(f"\nRoot mean square of {len(errors)} errors: {root_mean_square(error for _, error in errors):.2%} of the loss")
if inner:
    print(f"of the {len(inner)} of inner sizes and tokens: {root_mean_square(inner):.2%}")

law = kindling("fit", "law", *ids, stderr=subprocess.STDOUT)
print(f"\nAll runs:\n{law.stdout}")
two = kindling("fit", "law", *[run["run"] for run in runs[: 2 * len(BUDGETS)]], stderr=subprocess.STDOUT)
print(f"Two sizes (exit code {two.returncode}):\n{two.stdout}")
sys.exit(law.returncode != 0 or two.returncode == 0 or "at least 3 model sizes" not in two.stdout)
