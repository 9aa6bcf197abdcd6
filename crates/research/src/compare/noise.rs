//! Noise floor: the spread of a final value over seeds, from repeated runs, and what it means for a single run, a chart and a plan.
//!
//! Pooled standard deviation s = sqrt(Σ (n_i - 1) s_i² / Σ (n_i - 1)) over groups that differ in the seed only; its interval from the
//! chi-squared distribution. Prediction: a new run is within mean ± t(f) s sqrt(1 + 1 / n). Tolerance: mean ± k s contains a share of all
//! runs with a confidence, k = sqrt(f (1 + 1 / n) z² / χ²(1 - confidence, f)) (Howe 1969, within 3 % of the exact factor from n = 3 on).
//! Sources: NIST/SEMATECH e-Handbook of Statistical Methods, sections 7.2.6.3 and 7.3.1.

use serde::{Deserialize, Serialize};

use super::difference::{Difference, Method, by_t};
use crate::statistics::distribution::{chi_squared_quantile, normal_quantile, t_quantile};
use crate::statistics::sample::{mean, variance};

/// Probability with which a difference should be found.
const POWER: f64 = 0.8;

/// The standard deviation of a value over seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NoiseFloor {
    /// Pooled standard deviation, in the unit of the values.
    pub sigma: f64,
    /// Degrees of freedom: runs minus groups.
    pub freedom: f64,
    /// Lower end of the 95 % interval of `sigma`.
    pub low: f64,
    /// Upper end of the 95 % interval of `sigma`.
    pub high: f64,
}

impl NoiseFloor {
    /// The noise floor of groups of runs; in each group the runs differ in the seed only. Groups of one run add nothing. `None` without two
    /// runs in a group, with a value that is not finite, or without variation.
    pub fn pooled(groups: &[&[f64]]) -> Option<Self> {
        let groups = groups.iter().filter(|group| group.len() >= 2);
        let (squares, freedom) = groups.fold((0.0, 0.0), |(squares, freedom), group| {
            let own = group.len() as f64 - 1.0;
            (squares + own * variance(group), freedom + own)
        });
        let sigma = (squares / freedom).sqrt();
        let end = |p: f64| (squares / chi_squared_quantile(p, freedom)).sqrt();
        (sigma.is_finite() && sigma > 0.0).then(|| Self { sigma, freedom, low: end(0.975), high: end(0.025) })
    }

    /// Change minus baseline, with the standard deviation of the noise floor instead of the groups' own: also for single runs. It assumes
    /// that the change leaves the spread over seeds as it is. `None` if a group is empty.
    pub fn difference(&self, baseline: &[f64], change: &[f64], level: f64) -> Option<Difference> {
        let error = self.sigma * (1.0 / baseline.len() as f64 + 1.0 / change.len() as f64).sqrt();
        by_t(mean(change) - mean(baseline), error, self.freedom, level, Method::NoiseFloor)
    }

    /// The smallest true difference that [`Self::difference`] finds for groups of these sizes in 80 % of cases, at a 95 % interval.
    pub fn detectable(&self, baseline: usize, change: usize) -> f64 {
        detectable(self.sigma, self.freedom, baseline, change)
    }

    /// The number of runs a side, at most 1,000, with which Welch's t finds a true difference of this size in 80 % of cases, at a 95 %
    /// interval; `None` if more are needed.
    pub fn runs_needed(&self, difference: f64) -> Option<usize> {
        let found = |count: &usize| detectable(self.sigma, 2.0 * *count as f64 - 2.0, *count, *count);
        (2..=1000).find(|count| found(count) <= difference.abs())
    }

    /// The factor k of the tolerance band mean ± k σ that contains a share `content` of all runs with this confidence, if the mean is that of
    /// `count` runs.
    pub fn tolerance_factor(&self, count: usize, content: f64, confidence: f64) -> f64 {
        let z = normal_quantile(0.5 + content / 2.0);
        let spread = self.freedom * (1.0 + 1.0 / count as f64) / chi_squared_quantile(1.0 - confidence, self.freedom);
        z * spread.sqrt()
    }
}

/// The true difference that is found in 80 % of cases at a 95 % interval: (t(0.975, f) + t(0.8, f)) σ sqrt(1 / a + 1 / b) for a standard
/// deviation with f degrees of freedom. It approximates the noncentral t distribution; see `tests/research/golden.py` for how well.
pub fn detectable(sigma: f64, freedom: f64, baseline: usize, change: usize) -> f64 {
    let quantiles = t_quantile(0.975, freedom) + t_quantile(POWER, freedom);
    quantiles * sigma * (1.0 / baseline as f64 + 1.0 / change as f64).sqrt()
}

/// The band of a metric over seeds at a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BandPoint {
    pub step: u64,
    /// Mean over the runs that have a value at this step.
    pub mean: f64,
    /// Lower end of the range in which 95 % of new runs are.
    pub low: f64,
    /// Upper end of the range in which 95 % of new runs are.
    pub high: f64,
    /// Runs with a value.
    pub runs: usize,
}

/// Steps on each side whose variances are averaged: with few seeds the variance of a single step is rough.
const NEIGHBOURS: usize = 2;

/// The noise floor along a metric: at each step at which at least 2 runs have a finite value, the range of a new run with another seed. Each
/// series has (step, value) in increasing steps. The variance is a mean over up to 5 such steps; it counts with the degrees of freedom of
/// one, because the values of a run at neighbouring steps are correlated.
pub fn band(runs: &[Vec<(u64, f64)>]) -> Vec<BandPoint> {
    let mut at_step = std::collections::BTreeMap::<u64, Vec<f64>>::new();
    for (step, value) in runs.iter().flatten().filter(|(_, value)| value.is_finite()) {
        at_step.entry(*step).or_default().push(*value);
    }
    at_step.retain(|_, values| values.len() >= 2);
    let steps: Vec<(u64, Vec<f64>)> = at_step.into_iter().collect();
    let variances: Vec<f64> = steps.iter().map(|(_, values)| variance(values)).collect();
    let point = |(index, (step, values)): (usize, &(u64, Vec<f64>))| {
        let near = index.saturating_sub(NEIGHBOURS)..(index + NEIGHBOURS + 1).min(steps.len());
        let (count, center) = (values.len() as f64, mean(values));
        let margin = t_quantile(0.975, count - 1.0) * (mean(&variances[near]) * (1.0 + 1.0 / count)).sqrt();
        BandPoint { step: *step, mean: center, low: center - margin, high: center + margin, runs: values.len() }
    };
    steps.iter().enumerate().map(point).collect()
}
