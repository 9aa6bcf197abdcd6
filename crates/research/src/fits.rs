//! Fits over several runs, or over the series of one. Each refuses to answer when the runs do not determine the answer, and says why.
//!
//! - [`scaling_law`]: loss by model size and tokens; [`isoflop`]: the best size at equal compute;
//! - [`learning_rate`]: the range test; [`batch_size`]: the gradient noise scale and the batch size that it suggests;
//! - [`data_mix`]: loss by the weights of datasets, and the best mix;
//! - [`report`]: the answer of the server to a request for a fit: what was read, and the fit or the reason for which there is none;
//! - [`simplex`]: minimum of a function of a few variables; [`quadratic`]: parabola through points.

pub mod batch_size;
pub mod data_mix;
pub mod isoflop;
pub mod learning_rate;
mod quadratic;
pub mod report;
pub mod scaling_law;
mod simplex;

use serde::{Deserialize, Serialize};

use crate::refused::{Refused, RefusedReason, sentence};
use crate::statistics::distribution::{normal_quantile, t_quantile};
use crate::statistics::sample::quantile;

/// A value with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = FitEstimate))]
pub struct Estimate {
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Estimate {
    /// The estimate with the ends at 2.5 % and 97.5 % of resampled values.
    fn of(value: f64, mut resampled: Vec<f64>) -> Self {
        resampled.sort_unstable_by(f64::total_cmp);
        let end = |p: f64| quantile(&resampled, p);
        Self { value, low: end(0.025), high: end(0.975) }
    }

    /// Whether a value is in the interval.
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// Whether value and interval are finite.
    pub fn is_finite(&self) -> bool {
        [self.value, self.low, self.high].iter().all(|end| end.is_finite())
    }
}

/// The factor by which residuals of a fit are widened before they are drawn: sqrt(n / (n - p)) makes up for the p fitted values, and
/// t(0.975, n - p) / z(0.975) for the few residuals, so that the ends of the interval are those of Student's t.
fn widening(count: usize, parameters: usize) -> f64 {
    let freedom = count as f64 - parameters as f64;
    (count as f64 / freedom).sqrt() * t_quantile(0.975, freedom) / normal_quantile(0.975)
}

/// The reason for which a fit is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Too few different runs.
    #[error("the fit needs at least {needed} {what}, and has {found}")]
    TooFew { what: &'static str, found: usize, needed: usize },
    /// The data do not determine a parameter.
    #[error("the interval of {what} is {low:.3} to {high:.3}, too wide to extrapolate; {remedy}")]
    TooWide { what: &'static str, low: f64, high: f64, remedy: &'static str },
    /// The optimum is not among the runs.
    #[error("{what}; {remedy}")]
    NoOptimum { what: String, remedy: &'static str },
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let reason = match refusal {
            Refusal::TooFew { .. } => RefusedReason::TooFew,
            Refusal::TooWide { .. } => RefusedReason::TooWide,
            Refusal::NoOptimum { .. } => RefusedReason::NoOptimum,
        };
        Self { reason, sentence: sentence(&refusal.to_string()) }
    }
}
