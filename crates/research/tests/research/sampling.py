"""Golden values of samplers from Optuna 5.0 and cmaes 0.13: python3 sampling.py > sampling.json (pip install optuna scipy cmaes).

`parzen`: log densities of Optuna's Parzen estimators. `cma`: the distribution of the package cmaes after given generations. `best`: the best
values of 60 trials by Optuna's samplers on standard functions, 20 seeds each. `grid`: the same on a grid of 128 trainings (`grid.json`), with the
parameters as integers, the places of their values, and for `tpe_choices` as categories without an order.
"""
import itertools
import json
import math
import pathlib
import random
import warnings

import cmaes
import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_weights

warnings.filterwarnings("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)


def parzen():
    rng = random.Random(1)
    space = {
        "float": FloatDistribution(-1.0, 3.0),
        "log": FloatDistribution(1e-4, 1e-1, log=True),
        "step": FloatDistribution(0.0, 1.0, step=0.125),
        "int": IntDistribution(2, 11, step=3),
        "log_int": IntDistribution(8, 512, log=True),
        "choices": CategoricalDistribution(["a", "b", "c"]),
    }
    draw = {
        "float": lambda: rng.uniform(-1, 3),
        "log": lambda: math.exp(rng.uniform(math.log(1e-4), math.log(1e-1))),
        "step": lambda: rng.randrange(9) / 8,
        "int": lambda: 2 + 3 * rng.randrange(4),
        "log_int": lambda: rng.randrange(8, 513),
        "choices": lambda: rng.randrange(3),
    }
    settings = _ParzenEstimatorParameters(1.0, True, False, default_weights, True)
    cases = []
    # Of equal places, NumPy's sort leaves open which one has which neighbour, so several trials have none.
    several = ["float", "log", "log_int", "choices"]
    joint = [(list(space), 1), (several, 9), (several, 15), (several[:2] + several[3:], 30), (several[:2] + several[3:], 60)]
    for names, count in [([name], n) for name in space for n in (0, 1, 2, 9)] + joint:
        observed = [[draw[name]() for name in names] for _ in range(count)]
        points = [[draw[name]() for name in names] for _ in range(4)]
        columns = {name: np.array([row[at] for row in observed], dtype=float) for at, name in enumerate(names)}
        estimator = _ParzenEstimator(columns, {name: space[name] for name in names}, settings)
        density = estimator.log_pdf({name: np.array([row[at] for row in points], dtype=float) for at, name in enumerate(names)})
        cases.append({"names": names, "observed": observed, "points": points, "log_density": list(map(float, density))})
    return cases


def cma():
    cases = []
    for size in (1, 2, 5):
        optimizer = cmaes.CMA(mean=np.full(size, 0.5), sigma=1 / 6, seed=size)
        generations = []
        for _ in range(6):
            points = [optimizer.ask() for _ in range(optimizer.population_size)]
            points.sort(key=lambda x: float(np.sum((x - 0.8) ** 2 * np.arange(1, size + 1) ** 2)))
            optimizer.tell([(x, float(rank)) for rank, x in enumerate(points)])
            generations.append([list(map(float, x)) for x in points])
        cases.append(
            {
                "generations": generations,
                "mean": list(map(float, optimizer.mean)),
                "sigma": float(optimizer._sigma),
                "covariance": [list(map(float, row)) for row in optimizer._C],
            }
        )
    return cases


def hartmann6(x):
    a = np.array([[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]])
    p = 1e-4 * np.array(
        [
            [1312, 1696, 5569, 124, 8283, 5886],
            [2329, 4135, 8307, 3736, 1004, 9991],
            [2348, 1451, 3522, 2883, 3047, 6650],
            [4047, 8828, 8732, 5743, 1091, 381],
        ]
    )
    return -float(np.dot([1.0, 1.2, 3.0, 3.2], np.exp(-np.sum(a * (np.array(x) - p) ** 2, axis=1))))


def branin(x):
    a, b = 15 * x[0] - 5, 15 * x[1]
    return (b - 5.1 / (4 * math.pi**2) * a * a + 5 / math.pi * a - 6) ** 2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10


def ackley(x):
    z = [64 * v - 32 + 5 for v in x]
    squares = math.sqrt(sum(v * v for v in z) / len(z))
    return -20 * math.exp(-0.2 * squares) - math.exp(sum(math.cos(2 * math.pi * v) for v in z) / len(z)) + 20 + math.e


def sphere(x):
    return sum((v - 0.3) ** 2 for v in x)


def rosenbrock(x):
    z = [4 * v - 2 for v in x]
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in zip(z, z[1:]))


FUNCTIONS = {"sphere": (sphere, 4), "rosenbrock": (rosenbrock, 2), "branin": (branin, 2), "hartmann6": (hartmann6, 6), "ackley": (ackley, 3)}


def best():
    samplers = {
        "random": optuna.samplers.RandomSampler,
        "tpe": optuna.samplers.TPESampler,
        "cma_es": optuna.samplers.CmaEsSampler,
    }
    found = {}
    for name, (function, size) in FUNCTIONS.items():
        for sampler, make in samplers.items():
            values = []
            for seed in range(20):
                study = optuna.create_study(sampler=make(seed=seed))
                study.optimize(lambda trial: function([trial.suggest_float(f"x{at}", 0, 1) for at in range(size)]), n_trials=60)
                values.append(study.best_value)
            found.setdefault(name, {})[sampler] = [float(f"{value:.6g}") for value in sorted(values)]
    return found


def grid():
    trained = json.loads(pathlib.Path(__file__).with_name("grid.json").read_text())
    sizes = {name: len(values) for name, values in trained["parameters"].items()}
    losses = dict(zip(itertools.product(*map(range, sizes.values())), trained["losses"], strict=True))
    integer = lambda trial, name: trial.suggest_int(name, 0, sizes[name] - 1)
    choice = lambda trial, name: trial.suggest_categorical(name, list(range(sizes[name])))
    samplers = {
        "tpe": (optuna.samplers.TPESampler, integer),
        "tpe_choices": (optuna.samplers.TPESampler, choice),
        "cma_es": (optuna.samplers.CmaEsSampler, integer),
    }
    found = {}
    for sampler, (make, suggest) in samplers.items():
        for seed in range(20):
            study = optuna.create_study(sampler=make(seed=seed))
            study.optimize(lambda trial: losses[tuple(suggest(trial, name) for name in sizes)], n_trials=60)
            found.setdefault(sampler, []).append(float(f"{study.best_value:.6g}"))
    return {sampler: sorted(values) for sampler, values in found.items()}


print(json.dumps({"parzen": parzen(), "cma": cma(), "best": best(), "grid": grid()}))
