"""Golden values for `golden.rs`, from SciPy and statsmodels.

Run with Python 3 in an environment with numpy, scipy and statsmodels:

    python golden.py > golden.json
"""

import json
import math
import sys

import numpy as np
import scipy
import statsmodels
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestIndPower

random = np.random.default_rng(20_261_129)


def rounded(values, digits=6):
    """Values that JSON gives back exactly."""
    return [float(f"{value:.{digits}g}") for value in values]


def quantiles():
    probabilities = [0.001, 0.025, 0.2, 0.5, 0.8, 0.95, 0.975, 0.999]
    freedoms = [1, 1.7, 2, 3.3, 4, 9, 18.6, 60, 1000]
    return {
        "normal": [[p, stats.norm.ppf(p)] for p in probabilities],
        "t": [[p, f, stats.t.ppf(p, f)] for f in freedoms for p in probabilities],
        "chi_squared": [[p, f, stats.chi2.ppf(p, f)] for f in freedoms for p in probabilities],
        "t_two_sided": [[t, f, 2 * stats.t.sf(abs(t), f)] for f in freedoms for t in [0.0, 0.3, -1.2, 2.5, 6.0, 40.0]],
    }


def welch(a, b):
    result = stats.ttest_ind(b, a, equal_var=False)
    low, high = result.confidence_interval(0.95)
    return {
        "baseline": a, "change": b, "p": result.pvalue, "freedom": result.df, "low": low, "high": high,
        "error": math.sqrt(np.var(a, ddof=1) / len(a) + np.var(b, ddof=1) / len(b)),
    }


def paired(a, b):
    result = stats.ttest_rel(b, a)
    low, high = result.confidence_interval(0.95)
    return {"baseline": a, "change": b, "p": result.pvalue, "low": low, "high": high}


def permutation(a, b):
    def difference(x, y):
        return np.mean(x) - np.mean(y)

    # Both directions are counted by the absolute difference; SciPy would double the smaller tail.
    def absolute(x, y):
        return abs(difference(x, y))

    p = stats.permutation_test((a, b), absolute, n_resamples=np.inf, alternative="greater").pvalue
    return {"baseline": a, "change": b, "p": p}


def bootstrap(y, x):
    def ratio(y, x, axis=-1):
        return np.sum(y, axis=axis) / np.sum(x, axis=axis)

    result = stats.bootstrap(
        (y, x), ratio, paired=True, vectorized=True, method="BCa", n_resamples=200_000, batch=2000, rng=random
    )
    low, high = result.confidence_interval
    return {"y": y, "x": x, "low": low, "high": high, "error": result.standard_error}


def line(x, y):
    fit = sm.OLS(y, sm.add_constant(np.array(x))).fit()
    low, high = fit.conf_int(0.05)[1]
    mean = fit.get_prediction([[1.0, x[-1]]])
    return {
        "x": x, "y": y, "slope": fit.params[1], "error": fit.bse[1], "low": low, "high": high,
        "residual": math.sqrt(fit.mse_resid), "last": float(mean.predicted_mean[0]), "last_error": float(mean.se_mean[0]),
    }


def pooled(groups):
    squares = sum((len(group) - 1) * np.var(group, ddof=1) for group in groups)
    freedom = sum(len(group) - 1 for group in groups)
    ends = [math.sqrt(squares / stats.chi2.ppf(p, freedom)) for p in (0.975, 0.025)]
    return {"groups": groups, "sigma": math.sqrt(squares / freedom), "freedom": freedom, "low": ends[0], "high": ends[1]}


def tolerance(count, content, confidence):
    """The exact two-sided factor: the confidence is a mean over the error of the mean (Odeh, Owen 1980)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    freedom = count - 1

    def probability(k):
        def radius(shift):
            covered = lambda r: stats.norm.cdf(shift + r) - stats.norm.cdf(shift - r) - content
            return scipy.optimize.brentq(covered, 0, 50)

        inner = [stats.chi2.sf(freedom * radius(node / math.sqrt(count)) ** 2 / k**2, freedom) for node in nodes]
        return float(np.dot(weights, inner) / math.sqrt(2 * math.pi))

    factor = scipy.optimize.brentq(lambda k: probability(k) - confidence, 0.1, 100)
    return {"count": count, "content": content, "confidence": confidence, "factor": factor}


def main():
    normal = lambda count, mean=0.0, sd=1.0: rounded(random.normal(mean, sd, count))
    groups = [(normal(3), normal(3)), (normal(5, 1.5, 0.02), normal(8, 1.47, 0.05)), (normal(2), normal(9, 1.0, 3.0)),
              (normal(10, 2.1, 0.01), normal(10, 2.085, 0.01))]
    same = [(normal(3), normal(3)), (normal(6, 1.5, 0.02), normal(6, 1.48, 0.02))]
    small = [(normal(3), normal(3, 4.0)), (normal(4), normal(7, 1.0)), (rounded([1, 2, 3]), rounded([1, 2, 3])),
             (rounded([1, 1, 2, 2]), rounded([2, 2, 3, 3]))]
    sizes = rounded(random.integers(40, 400, 60))
    skewed = rounded(random.exponential(1.0, 60) * sizes * 0.01 - 0.004 * np.array(sizes))
    xs = rounded(np.linspace(3, 7, 40))
    ps = [0.01, 0.04, 0.03, 0.5, 0.011, 1.0]
    power = TTestIndPower()
    golden = {
        "versions": {"numpy": np.__version__, "scipy": scipy.__version__, "statsmodels": statsmodels.__version__},
        "quantiles": quantiles(),
        "welch": [welch(a, b) for a, b in groups],
        "paired": [paired(a, b) for a, b in same],
        "permutation": [permutation(a, b) for a, b in small],
        "bootstrap": [bootstrap(skewed, sizes), bootstrap(normal(200, 0.05, 1.0), rounded(np.ones(200)))],
        "line": [line(xs, rounded(2 - 0.3 * np.array(xs) + random.normal(0, 0.05, 40)))],
        "holm": {"p": ps, "adjusted": list(multipletests(ps, method="holm")[1])},
        "pooled": [pooled([normal(3), normal(5, 2.0), normal(2, -1.0)])],
        "tolerance": [tolerance(count, 0.95, 0.95) for count in (3, 5, 10, 30)],
        "runs_needed": [
            [effect, power.solve_power(effect_size=effect, alpha=0.05, power=0.8)] for effect in (0.5, 0.8, 1.0, 1.5, 2.0, 3.0)
        ],
        "mad": [[values, float(np.median(values)), float(stats.median_abs_deviation(values))] for values in
                (normal(9), normal(10), normal(100))],
    }
    json.dump(golden, sys.stdout, indent=None, separators=(",", ":"), default=float)
    print()


main()
