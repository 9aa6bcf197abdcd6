"""Golden values of stopping rules from Optuna 5.0: python3 stopping.py > stopping.json (pip install optuna).

40 simulated curves, one after the other; `asha`: the step at which SuccessiveHalvingPruner stops each, or null.
"""
import json
import math
import random
import warnings

import optuna

warnings.filterwarnings("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)
STEPS = 400


def curves():
    rng = random.Random(7)
    found = []
    for _ in range(40):
        end, start, rate = rng.uniform(1.4, 2.4), rng.uniform(2.0, 4.0), rng.uniform(0.3, 1.1)
        found.append([(s, round(end + start * s**-rate + rng.gauss(0, 0.01), 4)) for s in range(10, STEPS + 1, 10)])
    return found


def asha(found, eta, first):
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=eta, min_early_stopping_rate=0)
    study, stopped = optuna.create_study(pruner=pruner), []
    for curve in found:
        trial, at = study.ask(), None
        for step, value in curve[:-1]:
            trial.report(value, step)
            if trial.should_prune():
                at = step
                break
        study.tell(trial, *([] if at else [curve[-1][1]]), **({"state": optuna.trial.TrialState.PRUNED} if at else {}))
        stopped.append(at)
    return stopped


found = curves()
rules = [{"eta": eta, "first": first, "stopped": asha(found, eta, first)} for eta, first in [(4, 4), (3, 10), (2, 25)]]
print(json.dumps({"steps": STEPS, "curves": found, "asha": rules}))
