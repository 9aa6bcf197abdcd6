//! Asynchronous successive halving (ASHA): rungs at r, r η, r η², ... steps. A trial that reaches a rung goes on if its value there is among
//! the best ⌊n / η⌋ of the n trials that have reached it, itself included; while n < η, if it is the best.
//!
//! The value at a rung is the first reported at its step or later. Trials never wait for others, so the first to reach a rung goes on.
//!
//! Source: Li et al. 2020 (arXiv 1810.05934), in the form that stops instead of pausing; `SuccessiveHalvingPruner` of Optuna 5.

use wire::number::{brief, grouped};

use super::{Curve, Stop};

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
    pub(super) fn decide(&self, own: &Curve, others: &[&Curve]) -> Option<Stop> {
        let (step, value) = *own.points.last()?;
        let before = own.points.len().checked_sub(2).map(|at| own.points[at].0);
        let rungs = (0..RUNGS).map(|rung| (self.first * f64::from(self.eta).powf(f64::from(rung))).ceil() as u64);
        let reached =
            rungs.skip_while(|rung| before.is_some_and(|before| *rung <= before)).take_while(|rung| *rung <= step);
        // A trial that has trained all its steps has nothing left to stop.
        reached.filter(|rung| *rung < own.steps).find_map(|rung| self.at_rung(rung, step, value, others))
    }

    fn at_rung(&self, rung: u64, step: u64, value: f64, others: &[&Curve]) -> Option<Stop> {
        let values = others.iter().filter_map(|other| other.first_from(rung)).filter(|value| value.is_finite());
        let mut competing: Vec<f64> = values.chain([value]).collect();
        competing.sort_unstable_by(f64::total_cmp);
        let go_on = (competing.len() / self.eta as usize).max(1);
        let threshold = competing[go_on - 1];
        if value <= threshold {
            return None;
        }
        let reason = format!(
            "Its value {} is not among the best {go_on} of the {} trials that have reached step {}; {} would be.",
            brief(value),
            competing.len(),
            grouped(rung),
            brief(threshold),
        );
        Some(Stop { step, value: Some(value), threshold: Some(threshold), reason })
    }
}
