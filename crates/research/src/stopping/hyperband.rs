//! Hyperband: brackets s = 0 .. S - 1, each an ASHA among its own trials whose first rung is at steps / η^(S - 1 - s). Early rungs save more,
//! late ones lose fewer trials that start slowly; brackets try both. The last bracket has no rung below the last step and stops none.
//!
//! Bracket s receives trials in proportion to ⌈S η^(S - 1 - s) / (S - s)⌉, by a hash of the number of the trial.
//!
//! Source: Li et al. 2018 (JMLR 18, 185), algorithm 1; `HyperbandPruner` of Optuna 5, whose hash also has the name of the study.

use super::asha::Asha;
use super::{Curve, Decision, Stop};

pub(super) fn decisions(eta: u32, brackets: u32, own: &Curve, others: &[&Curve]) -> Vec<Decision> {
    let bracket = bracket(eta, brackets, own.number);
    let is_same = |other: &&&Curve| self::bracket(eta, brackets, other.number) == bracket;
    let same: Vec<&Curve> = others.iter().filter(is_same).copied().collect();
    let named = |decision: Decision| {
        let reason = format!("Bracket {} of {brackets}: {}", bracket + 1, decision.at.reason);
        Decision { at: Stop { reason, ..decision.at }, ..decision }
    };
    asha(eta, brackets, bracket, own.steps).decisions(own, &same).into_iter().map(named).collect()
}

/// The rule of a bracket for a trial of `steps` steps.
pub(super) fn asha(eta: u32, brackets: u32, bracket: u32, steps: u64) -> Asha {
    let first = steps as f64 / f64::from(eta).powf(f64::from(brackets - 1 - bracket));
    Asha { eta, first: first.max(1.0) }
}

/// The bracket of a trial, from 0.
pub fn bracket(eta: u32, brackets: u32, number: u64) -> u32 {
    let share = |bracket: u32| {
        let left = f64::from(brackets - bracket);
        (f64::from(brackets) * f64::from(eta).powf(left - 1.0) / left).ceil() as u64
    };
    let total: u64 = (0..brackets).map(share).sum();
    let mut place = fastrand::Rng::with_seed(number).u64(0..total.max(1));
    let found = (0..brackets).find(|bracket| {
        let own = share(*bracket);
        let is_here = place < own;
        place = place.saturating_sub(own);
        is_here
    });
    found.unwrap_or(brackets.saturating_sub(1))
}
