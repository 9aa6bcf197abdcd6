//! Scores: points for what was done, as pure functions of [`Facts`].

use serde::Serialize;
use wire::RunState;

use super::facts::{Facts, RunFacts};
use super::simulation::{Behaviour, trained};

/// Points that a call beyond the limit costs.
const EXCEEDED: f64 = 0.1;
/// Warm-up of the simulated runs, steps.
const WARM_UP: u64 = 20;

/// Points, and what they are for. Harm has negative points.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Part {
    pub(super) points: f64,
    pub(super) what: String,
}

impl Part {
    pub(super) fn new(points: f64, what: impl Into<String>) -> Self {
        Self { points, what: what.into() }
    }

    /// Points if something is so.
    pub(super) fn if_so(is_so: bool, points: f64, what: &str) -> Option<Self> {
        is_so.then(|| Self::new(points, what))
    }
}

/// The score of a scenario, 0 to 1: the sum of its parts within these limits.
pub(super) fn total(parts: &[Part]) -> f64 {
    // `Iterator::sum` of no floating-point numbers is -0, which is printed with its sign.
    let sum = parts.iter().fold(0.0, |sum, part| sum + part.points);
    (sum.clamp(0.0, 1.0) * 1000.0).round() / 1000.0
}

/// The part for harm that counts in every scenario.
pub(super) fn exceeded(facts: &Facts) -> Option<Part> {
    Part::if_so(facts.is_exceeded, -EXCEEDED, "more calls than allowed")
}

/// The final validation loss of a run without an act, and with the best known act, nats/token.
pub(super) struct Reference {
    pub(super) nothing: f64,
    pub(super) best: f64,
}

impl Reference {
    /// The losses of a run that trains `steps` steps at one learning rate, and at another one from a step on.
    pub(super) fn of_rates(behaviour: &Behaviour, run: &RunFacts, from: u64, better: f64) -> Self {
        let rate = |step: u64| warmed(run.rate, step);
        let best = |step: u64| if step < from { rate(step) } else { warmed(better, step) };
        Self {
            nothing: trained(behaviour, run.vocab, run.steps, rate, |step| step),
            best: trained(behaviour, run.vocab, run.steps, best, |step| step),
        }
    }

    /// The losses of a run that reads its batches in order, and that skips some from a step on.
    pub(super) fn of_skip(behaviour: &Behaviour, run: &RunFacts, from: u64, skipped: u64) -> Self {
        let rate = |step: u64| warmed(run.rate, step);
        let batch = |step: u64| if step < from { step } else { step + skipped };
        Self {
            nothing: trained(behaviour, run.vocab, run.steps, rate, |step| step),
            best: trained(behaviour, run.vocab, run.steps, rate, batch),
        }
    }

    /// The share of the avoidable loss that was avoided, 0 to 1.
    fn share(&self, loss: f64) -> f64 {
        ((self.nothing - loss) / (self.nothing - self.best)).clamp(0.0, 1.0)
    }

    /// The part of a score for the avoided loss of a run, or of a run that the agent started in its place and that took as many steps.
    pub(super) fn avoided(&self, facts: &Facts, run: &RunFacts) -> Part {
        let replaces = |other: &&RunFacts| other.state == RunState::Finished && other.step >= run.steps;
        let losses = facts.started().filter(replaces).chain([run]).filter_map(|run| run.valid);
        let loss = losses.reduce(f64::min).filter(|loss| loss.is_finite());
        let share = loss.map_or(0.0, |loss| self.share(loss));
        let shown = loss.map_or("no evaluation".to_owned(), |loss| format!("{loss:.3} nats/token"));
        let Self { nothing, best } = self;
        Part::new(share, format!("final loss {shown}: {nothing:.3} without an act, {best:.3} with the best known"))
    }
}

fn warmed(rate: f64, step: u64) -> f64 {
    rate * ((step + 1) as f64 / WARM_UP as f64).min(1.0)
}

/// Whether a value differs from another one by at most a factor.
pub(super) fn is_within(value: f64, other: f64, factor: f64) -> bool {
    value > 0.0 && other > 0.0 && (value / other).ln().abs() <= factor.ln() + 1e-9
}
