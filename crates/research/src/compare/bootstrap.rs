//! The bias-corrected and accelerated (BCa) bootstrap interval of a ratio of sums over independent parts.
//!
//! Formulas: θ = Σ y / Σ x; z0 = Φ⁻¹(share of resampled θ* below θ, equal ones half); a = Σ d³ / (6 (Σ d²)^1.5) with d = mean of the
//! jackknife values - jackknife value; ends at the quantiles Φ(z0 + (z0 + z) / (1 - a (z0 + z))) of θ*, z = Φ⁻¹(α / 2), Φ⁻¹(1 - α / 2).
//! Source: Efron 1987; Efron, Tibshirani 1993, ch. 14; `scipy.stats.bootstrap(method="BCa")`.

use crate::statistics::distribution::{normal_probability, normal_quantile};
use crate::statistics::sample::{mean, quantile, variance};

/// Resamples of an interval.
const RESAMPLES: usize = 4_000;

/// A ratio with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BcaInterval {
    /// Σ y / Σ x.
    pub estimate: f64,
    /// Standard deviation of the resampled ratios.
    pub standard_error: f64,
    pub low: f64,
    pub high: f64,
}

/// The BCa interval of Σ y / Σ x over independent parts (y, x) with x > 0. `seed` decides the resamples: equal arguments give equal
/// intervals. `None` for fewer than 2 parts, or without variation.
pub fn bca_ratio(parts: &[(f64, f64)], level: f64, seed: u64) -> Option<BcaInterval> {
    let (sum_y, sum_x) = parts.iter().fold((0.0, 0.0), |(sy, sx), (y, x)| (sy + y, sx + x));
    let estimate = sum_y / sum_x;
    let mut resampled = resample(parts, seed);
    resampled.sort_unstable_by(f64::total_cmp);
    let error = variance(&resampled).sqrt();
    if parts.len() < 2 || !(error > 0.0) || !estimate.is_finite() {
        return None;
    }
    let below = resampled.partition_point(|value| *value < estimate);
    let not_above = resampled.partition_point(|value| *value <= estimate);
    let bias = normal_quantile((below + not_above) as f64 / (2 * resampled.len()) as f64);
    let jackknife: Vec<f64> = parts.iter().map(|(y, x)| (sum_y - y) / (sum_x - x)).collect();
    let center = mean(&jackknife);
    let power = |exponent: i32| jackknife.iter().map(|value| (center - value).powi(exponent)).sum::<f64>();
    let acceleration = power(3) / (6.0 * power(2).powf(1.5));
    let end = |p: f64| {
        let z = bias + normal_quantile(p);
        quantile(&resampled, normal_probability(bias + z / (1.0 - acceleration * z)))
    };
    let (low, high) = (end(0.5 - level / 2.0), end(0.5 + level / 2.0));
    (low.is_finite() && high.is_finite()).then_some(BcaInterval { estimate, standard_error: error, low, high })
}

fn resample(parts: &[(f64, f64)], seed: u64) -> Vec<f64> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut one = || {
        let drawn = (0..parts.len()).map(|_| parts[random.usize(..parts.len())]);
        let (y, x) = drawn.fold((0.0, 0.0), |(sy, sx), (y, x)| (sy + y, sx + x));
        y / x
    };
    if parts.is_empty() { vec![] } else { (0..RESAMPLES).map(|_| one()).collect() }
}
