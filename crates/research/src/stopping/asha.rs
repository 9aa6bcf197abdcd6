//! Asynchronous successive halving (ASHA): rungs at r, r η, r η², ... steps. A trial that reaches a rung goes on if its value there is among
//! the best ⌊n / η⌋ of the n trials that have reached it, itself included; while n < η, if it is the best.
//!
//! The value at a rung is the first reported at its step or later. Trials never wait for others, so the first to reach a rung goes on.
//!
//! Source: Li et al. 2020 (arXiv 1810.05934), in the form that stops instead of pausing; `SuccessiveHalvingPruner` of Optuna 5.

use wire::number::{grouped, in_sentence};

use super::{Curve, Decision, Stop};

/// Rungs that a run can have; 2^64 steps are never reached.
const RUNGS: u32 = 64;

/// Thresholds of the rule.
#[derive(Debug, Clone, Copy)]
pub struct Asha {
    /// η.
    pub eta: u32,
    /// r: steps of the first rung.
    pub first: f64,
}

impl Asha {
    /// The rule for a trial of `steps` steps, with its first rung at a fraction of them.
    pub(super) fn from_fraction(eta: u32, min_fraction: f64, steps: u64) -> Self {
        Self { eta, first: (min_fraction * steps as f64).max(1.0) }
    }

    /// The rungs, steps, from the first on.
    pub(super) fn rungs(self) -> impl Iterator<Item = u64> {
        (0..RUNGS).map(move |rung| (self.first * f64::from(self.eta).powf(f64::from(rung))).ceil() as u64)
    }

    /// The decisions at the rungs that the last value passes, in order, up to the first that stops the trial.
    pub(super) fn decisions(&self, own: &Curve, others: &[&Curve]) -> Vec<Decision> {
        let Some(&(step, value)) = own.points.last() else { return vec![] };
        let before = own.points.len().checked_sub(2).map(|at| own.points[at].0);
        let passed = self.rungs().skip_while(|rung| before.is_some_and(|before| *rung <= before));
        let mut decisions = vec![];
        // A trial that has trained all its steps has nothing left to stop.
        for rung in passed.take_while(|rung| *rung <= step).filter(|rung| *rung < own.steps) {
            let decision = self.at_rung(rung, step, value, others);
            let is_last = decision.stops;
            decisions.push(decision);
            if is_last {
                break;
            }
        }
        decisions
    }

    fn at_rung(&self, rung: u64, step: u64, value: f64, others: &[&Curve]) -> Decision {
        let values = others.iter().filter_map(|other| other.first_from(rung)).filter(|value| value.is_finite());
        let mut competing: Vec<f64> = values.chain([value]).collect();
        competing.sort_unstable_by(f64::total_cmp);
        let go_on = (competing.len() / self.eta as usize).max(1);
        let threshold = competing[go_on - 1];
        let stops = value > threshold;
        let (verb, end) = match stops {
            true => ("is not", format!("; {} would be.", in_sentence(threshold))),
            false => ("is", ".".to_owned()),
        };
        let reason = format!(
            "Its value {} {verb} among the best {go_on} of the {} trials that have reached step {}{end}",
            in_sentence(value),
            competing.len(),
            grouped(rung),
        );
        let at = Stop { step, value: Some(value), threshold: Some(threshold), reason };
        Decision { stops, rung: Some(rung), at }
    }
}
