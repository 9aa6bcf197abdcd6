//! A confidence sequence: an interval for the mean of paired differences that stays valid however often it is looked at while seeds are added,
//! and whenever the experimenter stops.
//!
//! For differences x_1 .. x_n with S = Σ (x - μ), V = Σ (x - μ)², the mixture of t likelihood ratios over effect sizes δ = mean / σ with the
//! prior N(0, 1 / c²), M_n(μ) = sqrt(c² / (n + c²)) (V / (V - S² / (n + c²)))^(n / 2), is a martingale that starts at 1 if μ is the mean and the
//! differences are normal, with any variance. By Ville's inequality it exceeds 1 / α at some n with a probability of at most α, so the
//! interval of the μ with M_n(μ) < 1 / α contains the mean at all n together with 1 - α. With d = (mean - μ)² and
//! r = ((n + c²) / (c² α²))^(1 / n): d < (r - 1) Σ (x - mean)² / (n (1 - r c² / (n + c²))). The p-value is 1 / M_n(0).
//!
//! c² = 0.05 is a prior for large effects, since a few seeds can find no others; the interval is finite from 3 seeds on, and about twice as wide
//! as Student's t there.
//!
//! Sources: Lai 1976; Wang, Ramdas 2024, Anytime-valid t-tests and confidence sequences for Gaussian means with unknown variance
//! (arXiv 2310.03722); Howard et al. 2021 (arXiv 1810.08240).

use super::difference::{Difference, Method, Variation};
use crate::statistics::sample::{mean, variance};

/// c²: the precision of the prior of effect sizes.
const PRECISION: f64 = 0.05;

/// Change minus baseline of pairs (baseline, change), with an interval that is valid at all numbers of pairs together. `None` for fewer
/// than 3 pairs, or if all differences are equal.
pub fn confidence_sequence(pairs: &[(f64, f64)], level: f64) -> Option<Difference> {
    let differences: Vec<f64> = pairs.iter().map(|(baseline, change)| change - baseline).collect();
    let (n, alpha) = (differences.len() as f64, 1.0 - level);
    let (center, squares) = (mean(&differences), variance(&differences) * (n - 1.0));
    let ratio = ((n + PRECISION) / (PRECISION * alpha * alpha)).powf(1.0 / n);
    let shrinking = 1.0 - ratio * PRECISION / (n + PRECISION);
    let margin = ((ratio - 1.0) * squares / (n * shrinking)).sqrt();
    let is_usable =
        differences.len() >= 3 && shrinking > 0.0 && margin > 0.0 && margin.is_finite() && center.is_finite();
    is_usable.then(|| Difference {
        estimate: center,
        standard_error: (squares / (n * (n - 1.0))).sqrt(),
        low: center - margin,
        high: center + margin,
        level,
        variation: Variation::Seeds,
        method: Method::ConfidenceSequence,
        p_value: Some((1.0 / evidence(n, center, squares)).min(1.0)),
        freedom: Some(n - 1.0),
    })
}

/// M_n(0): how much more likely the differences are with an effect than without.
fn evidence(n: f64, mean: f64, squares: f64) -> f64 {
    let all = squares + n * mean * mean;
    let rest = all - (n * mean).powi(2) / (n + PRECISION);
    (PRECISION / (n + PRECISION)).sqrt() * (all / rest).powf(0.5 * n)
}
