//! A difference with its confidence interval, and tests of two means on small samples.

use serde::{Deserialize, Serialize};

use crate::statistics::distribution::{t_quantile, t_two_sided};
use crate::statistics::sample::{mean, variance};

/// The variation that an interval contains. An interval over one kind says nothing about the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Variation {
    /// Over training runs with other seeds, on the same validation text: would the change help again?
    Seeds,
    /// Over other validation text, for these very runs: is this model better than that one?
    ValidationWindows,
    /// Over other items of an evaluation task, for these very runs: is this model better than that one?
    Items,
}

/// How a difference and its interval are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Welch's t for two independent groups, whose variances may differ.
    Welch,
    /// Student's t on differences of runs with equal seeds.
    PairedSeeds,
    /// A confidence sequence on differences of runs with equal seeds: valid at all numbers of seeds together.
    ConfidenceSequence,
    /// Student's t with the pooled standard deviation of a noise floor.
    NoiseFloor,
    /// Bias-corrected and accelerated bootstrap over validation windows, or documents.
    BcaBootstrap,
    /// Newcombe's interval of the difference of two independent fractions.
    Newcombe,
}

/// Change minus baseline, so a negative one is an improvement of a loss, and a positive one of an accuracy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Difference {
    pub estimate: f64,
    pub standard_error: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Level of the interval, such as 0.95.
    pub level: f64,
    pub variation: Variation,
    pub method: Method,
    /// Two-sided p-value of no difference; `None` for methods that have an interval alone.
    pub p_value: Option<f64>,
    /// Degrees of freedom of t; `None` for other methods.
    pub freedom: Option<f64>,
}

impl Difference {
    /// Whether the interval excludes 0.
    pub fn is_significant(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// An estimate with the t interval of a standard error. `None` if the error is not positive.
pub(super) fn by_t(estimate: f64, error: f64, freedom: f64, level: f64, method: Method) -> Option<Difference> {
    let margin = t_quantile(0.5 + level / 2.0, freedom) * error;
    let is_usable = error > 0.0 && margin.is_finite() && estimate.is_finite();
    is_usable.then(|| Difference {
        estimate,
        standard_error: error,
        low: estimate - margin,
        high: estimate + margin,
        level,
        variation: Variation::Seeds,
        method,
        p_value: Some(t_two_sided(estimate / error, freedom)),
        freedom: Some(freedom),
    })
}

/// Welch's t: change minus baseline of two independent groups.
///
/// se² = v_a / n_a + v_b / n_b; degrees of freedom se⁴ / (Σ (v / n)² / (n - 1)) (Welch 1947; `scipy.stats.ttest_ind(equal_var=False)`).
/// `None` for fewer than 2 values in a group, or without variation.
pub fn welch(baseline: &[f64], change: &[f64], level: f64) -> Option<Difference> {
    let part = |values: &[f64]| variance(values) / values.len() as f64;
    let (a, b) = (part(baseline), part(change));
    let freedom = (a + b).powi(2) / (a * a / (baseline.len() as f64 - 1.0) + b * b / (change.len() as f64 - 1.0));
    by_t(mean(change) - mean(baseline), (a + b).sqrt(), freedom, level, Method::Welch)
}

/// Student's t on paired values: change minus baseline (Student 1908; `scipy.stats.ttest_rel`). `None` for fewer than 2 pairs, or if all
/// differences are equal.
pub fn paired(pairs: &[(f64, f64)], level: f64) -> Option<Difference> {
    let differences: Vec<f64> = pairs.iter().map(|(baseline, change)| change - baseline).collect();
    let count = differences.len() as f64;
    let error = (variance(&differences) / count).sqrt();
    by_t(mean(&differences), error, count - 1.0, level, Method::PairedSeeds)
}
