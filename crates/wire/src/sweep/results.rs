//! What a sweep shows about its parameters: the curves of its trials, and the importance of each parameter.

use serde::{Deserialize, Serialize};

/// The metric of a trial by step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TrialCurve {
    /// Number of the trial.
    pub trial: u64,
    /// Steps, in increasing order.
    pub steps: Vec<u64>,
    /// The value at each of them; the mean where several steps were aggregated.
    pub values: Vec<f64>,
}

/// How much of the spread of the results each parameter explains, by functional ANOVA; `research::importance` has the formula.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SweepImportance {
    /// Configurations of which all trials have ended and at least one has finished.
    pub configurations: u64,
    /// Configurations that are needed.
    pub needed: u64,
    /// Fraction of the variance of configurations that the forest predicts without having seen them, at most 1. At 0 and below it predicts no
    /// better than their mean, and the importances are noise. `None` with too few configurations, or if all have the same value.
    pub explained: Option<f64>,
    /// From the most important; empty if `explained` is `None`.
    pub parameters: Vec<ParameterImportance>,
}

/// A parameter with its fraction of the variance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ParameterImportance {
    /// Name of the parameter.
    pub name: String,
    /// Fraction of the variance over the search space that comes from this parameter alone, 0 to 1. What is missing to 1 comes from
    /// interactions.
    pub fraction: f64,
    /// Standard deviation of the fraction over the trees of the forest.
    pub spread: f64,
}
