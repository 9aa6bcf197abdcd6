//! The evaluations of a run, and its losses at a budget: those of the evaluation there, or of the two around it, interpolated linearly.

use wire::evaluation::{DatasetLosses, WindowLosses};
use wire::series::Axis;

use super::conditions::BUDGET_TOLERANCE;

/// Largest distance of two evaluations between which losses are interpolated, as a fraction of the budget.
const MAX_GAP: f64 = 0.25;

/// An evaluation of a run, with what the run had used before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Steps done.
    pub step: u64,
    /// Training tokens.
    pub tokens: f64,
    /// Floating-point operations.
    pub flops: f64,
    /// Training time, s.
    pub secs: f64,
    /// Learning rate divided by the peak.
    pub learning_rate_fraction: f64,
    /// Reported validation loss, nats per token.
    pub loss: f64,
    /// Whether it is the last evaluation of the run, which reads more windows.
    pub is_last: bool,
    /// Losses by window; `None` for runs of older versions.
    pub windows: Option<WindowLosses>,
}

impl Evaluation {
    /// What the run had used on an axis; steps count as tokens.
    pub fn budget(&self, axis: Axis) -> f64 {
        match axis {
            Axis::Tokens | Axis::Step => self.tokens,
            Axis::Flops => self.flops,
            Axis::Secs => self.secs,
        }
    }
}

/// A run with what a comparison needs of it.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredRun {
    /// Id.
    pub run: String,
    /// Display name.
    pub name: String,
    pub seed: u64,
    /// Name of the tokenizer, with its datasets if it was made of them: equal names are equal tokenizers.
    pub tokenizer: String,
    /// UTF-8 bytes per token of the validation text.
    pub bytes_per_token: Option<f64>,
    /// Name and content hash of each dataset of the plan, in its order.
    pub datasets: Vec<(String, String)>,
    /// What an evaluation other than the last one reads: two equal texts are the same windows.
    pub evaluated: String,
    /// On its path, in order of steps.
    pub evaluations: Vec<Evaluation>,
}

impl MeasuredRun {
    /// The budget of its last evaluation.
    pub fn last_budget(&self, axis: Axis) -> Option<f64> {
        self.evaluations.last().map(|evaluation| evaluation.budget(axis))
    }

    /// Its evaluation at a budget, or an interpolated one; without one near enough, the nearest, whose budget differs. `None` without
    /// evaluations.
    pub fn at(&self, axis: Axis, budget: f64) -> Option<Evaluation> {
        let distance = |evaluation: &&Evaluation| (evaluation.budget(axis) - budget).abs();
        let nearest = self.evaluations.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
        if distance(&nearest) <= 0.5 * BUDGET_TOLERANCE * budget.abs() {
            return Some(nearest.clone());
        }
        let after = self.evaluations.iter().position(|evaluation| evaluation.budget(axis) > budget);
        let around = after.filter(|at| *at > 0).map(|at| (&self.evaluations[at - 1], &self.evaluations[at]));
        let between = around.and_then(|(before, after)| between(before, after, axis, budget));
        Some(between.unwrap_or_else(|| nearest.clone()))
    }
}

fn between(before: &Evaluation, after: &Evaluation, axis: Axis, budget: f64) -> Option<Evaluation> {
    let (from, to) = (before.budget(axis), after.budget(axis));
    // A mean of two losses on different text is a loss on neither; with window losses the common windows are known.
    let has_windows = before.windows.is_some() && after.windows.is_some();
    if to - from > MAX_GAP * budget || (before.is_last != after.is_last && !has_windows) {
        return None;
    }
    let part = (budget - from) / (to - from);
    let mix = |one: f64, other: f64| one + (other - one) * part;
    Some(Evaluation {
        step: mix(before.step as f64, after.step as f64).round() as u64,
        tokens: mix(before.tokens, after.tokens),
        flops: mix(before.flops, after.flops),
        secs: mix(before.secs, after.secs),
        learning_rate_fraction: mix(before.learning_rate_fraction, after.learning_rate_fraction),
        loss: mix(before.loss, after.loss),
        is_last: before.is_last && after.is_last,
        windows: before.windows.as_ref().zip(after.windows.as_ref()).map(|(one, other)| windows(one, other, part)),
    })
}

/// The windows that both evaluations have, interpolated.
fn windows(before: &WindowLosses, after: &WindowLosses, part: f64) -> WindowLosses {
    let mix = |(one, other): (&f32, &f32)| (f64::from(*one) + (f64::from(*other) - f64::from(*one)) * part) as f32;
    let dataset = |(one, other): (&DatasetLosses, &DatasetLosses)| DatasetLosses {
        split: one.split,
        nats: one.nats.iter().zip(&other.nats).map(mix).collect(),
        whole: one.whole.zip(other.whole).map(|(one, other)| one + (other - one) * part),
    };
    WindowLosses {
        seq: before.seq,
        is_last: before.is_last && after.is_last,
        datasets: before.datasets.iter().zip(&after.datasets).map(dataset).collect(),
    }
}
