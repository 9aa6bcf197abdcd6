//! Percentile rule with safety: a trial stops at step s if its best value so far is above the percentile of the best values that the other
//! trials had at s.
//!
//! Safety: only between two fractions of its steps; only with enough other trials that have reached s; never one of the best few at s; and
//! not at a step at which the rule would have stopped the best finished trial, since there the order says nothing about the end.
//!
//! Sources: median rule of Google Vizier (Golovin et al. 2017); `PercentileEarlyStoppingStrategy` of Ax (minimum of curves, bounds on the
//! progress, protected best trials). The percentile is linear between values, as in NumPy.

use wire::number::in_sentence;

use super::{Curve, Stop};
use crate::statistics::sample::quantile;

/// Thresholds of the rule; [`wire::sweep::stopping::StoppingRule::Median`] explains them.
#[derive(Debug, Clone, Copy)]
pub struct Median {
    pub percentile: f64,
    pub min_trials: usize,
    pub from: f64,
    pub until: f64,
    pub protect: usize,
}

impl Median {
    pub(super) fn decide(&self, own: &Curve, others: &[&Curve]) -> Option<Stop> {
        let (step, _) = *own.points.last()?;
        let progress = step as f64 / own.steps.max(1) as f64;
        // First, because it saves the sorting below.
        if !(self.from..=self.until).contains(&progress) {
            return None;
        }
        let value = own.best_until(step)?;
        let reached: Vec<&Curve> = others.iter().filter(|other| other.has_reached(step)).copied().collect();
        let mut values: Vec<f64> = reached.iter().filter_map(|other| other.best_until(step)).collect();
        values.sort_unstable_by(f64::total_cmp);
        if values.len() < self.min_trials {
            return None;
        }
        let threshold = quantile(&values, self.percentile / 100.0);
        let is_protected = values.iter().filter(|other| **other < value).count() < self.protect;
        if value <= threshold || is_protected || would_stop_the_best(&reached, step, threshold) {
            return None;
        }
        let which =
            if self.percentile == 50.0 { "the median".to_owned() } else { format!("percentile {}", self.percentile) };
        let (own, bound, count) = (in_sentence(value), in_sentence(threshold), values.len());
        let reason = format!("Its best value {own} is above {bound}, {which} of {count} other trials at step {step}.");
        Some(Stop { step, value: Some(value), threshold: Some(threshold), reason })
    }
}

/// Whether the finished trial with the lowest value was above the threshold at this step.
fn would_stop_the_best(others: &[&Curve], step: u64, threshold: f64) -> bool {
    let finished = others.iter().filter(|other| other.is_finished);
    let best = finished.filter_map(|other| Some((other.best_until(u64::MAX)?, other.best_until(step)?)));
    best.min_by(|a, b| a.0.total_cmp(&b.0)).is_some_and(|(_, then)| then > threshold)
}
