"""Early stopping over the same finished runs: Kindling's rules beside those of Optuna and Ray Tune.

    stopping_rules.py FOLDER TAG [ORDERS]

Runs target/release/kindling (or KINDLING) on a copy of the lab FOLDER/lab, whose finished runs with TAG have equal numbers of steps and are
evaluated at equal steps (`sweep:1`: the trials of sweep 1); no server may have the lab open. Needs the packages optuna and ray[tune].

The runs are trained again in thought, one after the other, in ORDERS random orders (20 by default), the same for every implementation; each value
of the validation loss is given to the rule when the run reaches it. `kindling replay` reads runs in the order of their creation, which is therefore
changed in the copy. Optuna's pruners and Ray's schedulers are called as a study and a tuner call them. Ray's median rule lets no run wait for others;
its Hyperband is synchronous: it pauses runs until all of their bracket have reached the rung, and resumes the best.

The table has, over the orders: the median of the compute saved (steps not trained, % of all); the median, mean and largest regret (last loss of
the best run that is not stopped minus that of the best of all, nats per token); and in how many orders the best run is stopped. The exit code is 1
if the same rule of one of the others saves more and has less regret, both in the mean, than each setting of Kindling's.
"""

import contextlib
import csv
import json
import os
import pathlib
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections import deque

import optuna
from optuna.trial import TrialState
from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, HyperBandScheduler, MedianStoppingRule, TrialScheduler

FOLDER, TAG = pathlib.Path(sys.argv[1]), sys.argv[2]
ORDERS = int(sys.argv[3]) if len(sys.argv) > 3 else 20
PROGRAM = os.environ.get("KINDLING", str(pathlib.Path(__file__).parents[2] / "target/release/kindling"))
ETA = 3
BRACKETS = 3
FROM = 0.2
"""Part of the steps before which no median rule stops a run."""
OTHERS = 3
"""Other runs that a median rule needs."""
optuna.logging.set_verbosity(optuna.logging.ERROR)


class Lab:
    """A copy of the lab in which the order of the runs can be changed."""

    def __init__(self, folder):
        self.folder = folder
        left_out = shutil.ignore_patterns("checkpoints", "snapshots", "spool", "incoming", "lock")
        shutil.copytree(FOLDER / "lab", folder, ignore=left_out)
        tagged = "select id from runs join tags on tags.run = runs.id where tag = ? and state = 'finished' order by created_ms"
        self.runs = [run for (run,) in self.database(lambda open_: open_.execute(tagged, [TAG]).fetchall())]

    def database(self, use):
        with contextlib.closing(sqlite3.connect(self.folder / "lab.db")) as database, database:
            return use(database)

    def kindling(self, *arguments):
        command = [PROGRAM, *arguments, "--data", str(self.folder)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def curve(self, run):
        """Steps done and validation loss at each evaluation."""
        file = self.folder / "series.csv"
        self.kindling("export", "series", run, "--to", str(file))
        with file.open() as rows:
            return [(int(row["step"]) + 1, float(row["value"])) for row in csv.DictReader(rows) if row["series"] == "loss.valid"]

    def replay(self, order, rule, thresholds):
        """The steps at which a rule of Kindling stops runs, by the places of the runs."""
        created = [(at, self.runs[run]) for at, run in enumerate(order)]
        self.database(lambda open_: open_.executemany("update runs set created_ms = ? where id = ?", created))
        set_ = [part for name, value in thresholds.items() for part in ("--set", f"{name}={value}")]
        [found] = json.loads(self.kindling("replay", "--tag", TAG, "--rule", rule, *set_, "--json"))
        assert found["steps"] == sum(curve[-1][0] for curve in CURVES), "the rule has read other values than are exported"
        return {order[stopped["number"]]: stopped["stop"]["step"] for stopped in found["stopped"]}


def by_optuna(pruner):
    """The steps at which a pruner of Optuna stops runs."""

    def stops(order, seed):
        # The name decides the brackets.
        study, stopped = optuna.create_study(study_name=f"order {seed}", pruner=pruner()), {}
        for run in order:
            trial = study.ask()
            for step, value in CURVES[run][:-1]:
                trial.report(value, step)
                if trial.should_prune():
                    stopped[run] = step
                    break
            if run in stopped:
                study.tell(trial, state=TrialState.PRUNED)
            else:
                trial.report(CURVES[run][-1][1], STEPS)
                study.tell(trial, CURVES[run][-1][1])
        return stopped

    return stops


class Replayed:
    """A trial of Ray Tune that reads its results from a curve."""

    is_saving = False

    def __init__(self, run):
        self.run, self.trial_id, self.status, self.last = run, str(run), Trial.PENDING, None
        self.results = deque({"at": at + 1, "step": step, "loss": value} for at, (step, value) in enumerate(CURVES[run]))

    def train(self):
        """Its next result."""
        self.last = self.results.popleft()
        return self.last


class Tuner:
    """What the schedulers of Ray Tune call of its controller, with one trial at a time."""

    def __init__(self, scheduler, order):
        self.scheduler, self.trials = scheduler, [Replayed(run) for run in order]
        for trial in self.trials:
            scheduler.on_trial_add(self, trial)

    def get_trials(self):
        return self.trials

    def get_live_trials(self):
        return []

    def stop_trial(self, trial):
        if trial.status == Trial.RUNNING:
            self.scheduler.on_trial_complete(self, trial, trial.last)
        else:
            self.scheduler.on_trial_remove(self, trial)
        trial.status = Trial.TERMINATED

    def train(self, trial):
        """Trains a trial until it pauses, is stopped, or ends."""
        trial.status = Trial.RUNNING
        while trial.status == Trial.RUNNING:
            action = self.scheduler.on_trial_result(self, trial, trial.train())
            if action == TrialScheduler.STOP or not trial.results:
                self.stop_trial(trial)
            elif action == TrialScheduler.PAUSE:
                trial.status = Trial.PAUSED

    def stops(self):
        while trial := self.scheduler.choose_trial_to_run(self):
            self.train(trial)
        assert all(trial.status == Trial.TERMINATED for trial in self.trials)
        return {trial.run: trial.last["step"] for trial in self.trials if trial.results}


def by_ray(scheduler, **settings):
    """The steps at which a scheduler of Ray Tune stops runs."""
    return lambda order, _: Tuner(scheduler(metric="loss", mode="min", **settings), order).stops()


def by_kindling(rule, **thresholds):
    return lambda order, _: LAB.replay(order, rule, thresholds)


def rules():
    """Rule, implementation, and the steps at which it stops runs, by their order and its number."""
    # Below the first value, so that rounding does not move a rung to the next one.
    first = CURVES[0][0][0] - 0.01
    warm_up, bracket = int(FROM * STEPS), int(STEPS / ETA ** (BRACKETS - 1))
    median = {"from": FROM, "min_trials": OTHERS}
    return [
        ("median", "Kindling, defaults", by_kindling("median")),
        ("median", "Kindling, as the others", by_kindling("median", **median, until=1, protect=0)),
        ("median", "Optuna", by_optuna(lambda: optuna.pruners.MedianPruner(OTHERS, warm_up))),
        ("median", "Ray Tune", by_ray(MedianStoppingRule, time_attr="step", grace_period=warm_up, min_samples_required=OTHERS)),
        ("ASHA", "Kindling", by_kindling("asha", eta=ETA, min_fraction=first / STEPS)),
        ("ASHA", "Optuna", by_optuna(lambda: optuna.pruners.SuccessiveHalvingPruner(CURVES[0][0][0], ETA))),
        (
            "ASHA",
            "Ray Tune",
            by_ray(AsyncHyperBandScheduler, time_attr="step", max_t=STEPS, grace_period=CURVES[0][0][0], reduction_factor=ETA),
        ),
        ("Hyperband", "Kindling", by_kindling("hyperband", eta=ETA, brackets=BRACKETS)),
        ("Hyperband", "Optuna", by_optuna(lambda: optuna.pruners.HyperbandPruner(bracket, STEPS + 1, ETA))),
        (
            "Hyperband",
            "Ray Tune, synchronous",
            by_ray(HyperBandScheduler, time_attr="at", max_t=len(CURVES[0]), reduction_factor=ETA, stop_last_trials=False),
        ),
    ]


def effect(stopped):
    """Compute saved, regret, and whether the best run is stopped."""
    last = [curve[-1][1] for curve in CURVES]
    best = min(range(len(last)), key=last.__getitem__)
    kept = [value for run, value in enumerate(last) if run not in stopped] or [min(last[run] for run in stopped)]
    saved = sum(STEPS - step for step in stopped.values()) / (STEPS * len(CURVES))
    return saved, min(kept) - last[best], best in stopped


with tempfile.TemporaryDirectory() as folder:
    LAB = Lab(pathlib.Path(folder) / "lab")
    CURVES = [LAB.curve(run) for run in LAB.runs]
    STEPS = CURVES[0][-1][0]
    assert all([step for step, _ in curve] == [step for step, _ in CURVES[0]] for curve in CURVES), "evaluated at different steps"
    orders = [random.Random(seed).sample(range(len(CURVES)), len(CURVES)) for seed in range(ORDERS)]
    spread = sorted(curve[-1][1] for curve in CURVES)
    print(f"{len(CURVES)} runs of {STEPS} steps, {ORDERS} orders; best last loss {spread[0]:.4f}, second {spread[1]:.4f} nats/token")
    print(f"{'rule':<11}{'implementation':<25}{'saved':>7}{'regret':>9}{'mean':>9}{'largest':>9}  best stopped")
    found = {}
    for rule, by, stops in rules():
        effects = [effect(stops(order, seed)) for seed, order in enumerate(orders)]
        saved, regrets, lost = zip(*effects)
        found.setdefault(rule, []).append((by, statistics.mean(saved), statistics.mean(regrets)))
        columns = f"{statistics.median(saved):>7.1%}{statistics.median(regrets):>9.4f}{statistics.mean(regrets):>9.4f}{max(regrets):>9.4f}"
        print(f"{rule:<11}{by:<25}{columns}  {sum(lost)} of {ORDERS}", flush=True)

worse = False
for rule, all_ in found.items():
    own = [one for one in all_ if one[0].startswith("Kindling")]
    for by, saved, regret in (one for one in all_ if one not in own):
        if all(saved > mine[1] and regret < mine[2] for mine in own):
            worse = True
            print(f"{rule}: {by} saves more with less regret")
sys.exit(worse)
