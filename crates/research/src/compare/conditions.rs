//! What must be equal for a fair comparison, and the reasons why values cannot be compared.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use wire::series::Axis;

/// Largest relative difference of two budgets (tokens, FLOPs, time) that still counts as equal.
pub(super) const BUDGET_TOLERANCE: f64 = 0.01;
/// Largest difference of the learning rate, as a fraction of the peak, that still is the same phase of a schedule.
const PHASE_TOLERANCE: f64 = 0.05;

/// The conditions under which a loss was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Conditions {
    /// Hash or name of the tokenizer: losses per token of two tokenizers have different units.
    pub tokenizer: String,
    /// UTF-8 bytes of text per token of the validation text; `None` if unknown.
    pub bytes_per_token: Option<f64>,
    /// Hash or name of the validation text, with the windows that were evaluated.
    pub validation: String,
    /// Training tokens before the evaluation.
    pub tokens: f64,
    /// Floating-point operations before the evaluation.
    pub flops: f64,
    /// Training time before the evaluation, s.
    pub secs: f64,
    /// Learning rate at the evaluation divided by the peak: 1 in the stable phase, the final fraction after a decay.
    pub learning_rate_fraction: f64,
}

impl Conditions {
    /// The budget on an axis.
    pub fn budget(&self, axis: Axis) -> f64 {
        match axis {
            Axis::Tokens | Axis::Step => self.tokens,
            Axis::Flops => self.flops,
            Axis::Secs => self.secs,
        }
    }
}

/// Why a comparison would not be fair, or not possible. The message says what to do.
#[derive(Debug, Clone, PartialEq, Error, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Reason {
    /// Two tokenizers, and the bytes per token of one are unknown.
    #[error(
        "the tokenizers differ ({baseline}, {change}) and bits per byte are unknown; evaluate both in bits per byte"
    )]
    Tokenizer { baseline: String, change: String },
    /// Two validation texts or sets of windows.
    #[error(
        "the validation texts differ ({baseline}; {change}); evaluate both on the same text: train both on the same datasets, and with \
         different tokenizers or context lengths compare the last evaluations on a dataset of at most 4,096 windows, which cover all of it"
    )]
    ValidationText { baseline: String, change: String },
    /// Unequal budgets.
    #[error(
        "the budgets differ: {} and {} {}; compare both at the smaller one, at which both have an evaluation",
        wire::number::brief(*.baseline), wire::number::brief(*.change), unit(*.axis)
    )]
    Budget { axis: Axis, baseline: f64, change: f64 },
    /// Two phases of the schedule.
    #[error(
        "the learning rate is at {} and {} of its peak; compare both in the same phase of the schedule, for example after a decay",
        wire::number::brief(*.baseline), wire::number::brief(*.change)
    )]
    Phase { baseline: f64, change: f64 },
    /// A run without a finite value; leaving it out would hide that it diverged.
    #[error("the loss of run {run} is not a finite number; compare without it only if its failure has another cause")]
    NotFinite { run: String },
    /// A run without an evaluation.
    #[error("run {run} has no evaluation of the validation loss yet; let it train to its first evaluation")]
    NoEvaluation { run: String },
    /// A seed occurs twice in a group: the same run again is no second sample.
    #[error("seed {seed} occurs more than once in a group; use another seed for each run")]
    RepeatedSeed { seed: u64 },
    /// Too few runs for a variance, and no noise floor.
    #[error(
        "the spread over seeds is unknown, because the baseline has {} and the compared group {}; run at least 3 seeds of each, or more seeds \
         of one group only, whose spread is then used as the noise floor for both",
        wire::number::counted(*.baseline as u64, "run"), wire::number::counted(*.change as u64, "run")
    )]
    TooFewRuns { baseline: usize, change: usize },
    /// All values of both groups are equal, or differ by a constant, so nothing says how far another seed would be.
    #[error("the values do not vary over seeds; check that the seed is used")]
    NoVariation,
    /// Too few windows, or documents if windows of one document belong together.
    #[error("{count} independent parts of the validation text are too few; evaluate at least {needed}")]
    TooFewWindows { count: usize, needed: usize },
}

fn unit(axis: Axis) -> &'static str {
    match axis {
        Axis::Tokens | Axis::Step => "tokens",
        Axis::Flops => "FLOPs",
        Axis::Secs => "s",
    }
}

/// Everything that makes the comparison of values under these conditions unfair; each kind of reason at most once.
pub fn unfair(baseline: &[&Conditions], change: &[&Conditions], axis: Axis) -> Vec<Reason> {
    let Some(first) = baseline.first() else { return vec![] };
    let all = || baseline.iter().chain(change);
    let other = |differs: &dyn Fn(&Conditions) -> bool| all().copied().find(|conditions| differs(conditions));
    let tokenizer = other(&|conditions| conditions.tokenizer != first.tokenizer).filter(|_| !all_have_bytes(all()));
    let text = other(&|conditions| conditions.validation != first.validation);
    let budget = first.budget(axis);
    let is_unequal = |value: f64| (value - budget).abs() > BUDGET_TOLERANCE * budget.abs().max(value.abs());
    let unequal = other(&|conditions| is_unequal(conditions.budget(axis)));
    let phase = first.learning_rate_fraction;
    let elsewhere = other(&|conditions| (conditions.learning_rate_fraction - phase).abs() > PHASE_TOLERANCE);
    [
        tokenizer.map(|other| Reason::Tokenizer { baseline: first.tokenizer.clone(), change: other.tokenizer.clone() }),
        text.map(|other| Reason::ValidationText {
            baseline: first.validation.clone(),
            change: other.validation.clone(),
        }),
        unequal.map(|other| Reason::Budget { axis, baseline: budget, change: other.budget(axis) }),
        elsewhere.map(|other| Reason::Phase { baseline: phase, change: other.learning_rate_fraction }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whether bits per byte are known of all.
pub(super) fn all_have_bytes<'a>(mut all: impl Iterator<Item = &'a &'a Conditions>) -> bool {
    all.all(|conditions| conditions.bytes_per_token.is_some_and(|bytes| bytes > 0.0))
}
