//! Early stopping of trials: rules that end a trial whose values are worse than those of the others. A lower value is better.
//!
//! - [`median`]: percentile with safety; [`asha`]: asynchronous successive halving; [`hyperband`]: several of them;
//! - [`kept`]: which values of a trial a rule reads, so that nobody keeps the others;
//! - [`replay`]: a rule over finished runs: compute saved against winners lost; [`settings`]: the same for a range of its thresholds.
//!
//! [`decide`] is a pure function of the rule, the series of a trial up to a step, and the series of the others as far as they are known.
//!
//! ```
//! use research::stopping::{Curve, decide};
//! use wire::sweep::stopping::StoppingRule;
//!
//! let curve = |number: u64, loss: f64| Curve {
//!     number,
//!     steps: 1000,
//!     points: (1..=5).map(|at| (100 * at, loss - 0.01 * at as f64)).collect(),
//!     is_finished: false,
//! };
//! let others = [curve(0, 2.0), curve(1, 2.1), curve(2, 2.2), curve(3, 2.3)];
//! let others: Vec<&Curve> = others.iter().collect();
//! let stop = decide(&StoppingRule::median(), &curve(4, 2.5), &others).unwrap();
//! assert_eq!(stop.step, 500);
//! assert_eq!(stop.reason, "Its best value 2.45 is above 2.1, the median of 4 other trials at step 500.");
//! assert_eq!(decide(&StoppingRule::median(), &curve(4, 1.9), &others), None);
//! ```

pub mod asha;
pub mod hyperband;
pub mod kept;
pub mod median;
pub mod replay;
pub mod settings;

use serde::{Deserialize, Serialize};
use wire::sweep::stopping::StoppingRule;

pub use kept::keep;
pub use replay::{Replay, ReplayedStop, replay};

/// The values of the metric of a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Number of the trial; Hyperband chooses its bracket by it.
    pub number: u64,
    /// Steps planned.
    pub steps: u64,
    /// Step and value, in increasing steps.
    pub points: Vec<(u64, f64)>,
    /// Whether it trained all its steps.
    pub is_finished: bool,
}

impl Curve {
    /// Whether it has a value at this step or later.
    pub fn has_reached(&self, step: u64) -> bool {
        self.points.last().is_some_and(|(last, _)| *last >= step)
    }

    /// The smallest value up to a step; `None` without one that is finite.
    pub fn best_until(&self, step: u64) -> Option<f64> {
        let values = self.points.iter().take_while(|(at, _)| *at <= step).map(|(_, value)| *value);
        values.filter(|value| value.is_finite()).reduce(f64::min)
    }

    /// The first value at a step or later.
    pub fn first_from(&self, step: u64) -> Option<f64> {
        self.points.iter().find(|(at, _)| *at >= step).map(|(_, value)| *value)
    }
}

/// A decision to stop a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stop {
    /// The step whose value decided.
    pub step: u64,
    /// The value that was compared.
    pub value: Option<f64>,
    /// The value that it would have had to reach.
    pub threshold: Option<f64>,
    /// Why, in a sentence.
    pub reason: String,
}

impl Stop {
    fn not_finite(step: u64) -> Self {
        Self { step, value: None, threshold: None, reason: "Its value is not finite.".to_owned() }
    }
}

/// The decision of a rule about the last value of a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Whether it stops the trial.
    pub stops: bool,
    /// The rung that the value passes, steps; `None` for a rule without rungs.
    pub rung: Option<u64>,
    /// The numbers that were compared, and the reason.
    pub at: Stop,
}

/// Whether the last value of a trial stops it, by the values that the others have had so far. `None`: it goes on.
pub fn decide(rule: &StoppingRule, own: &Curve, others: &[&Curve]) -> Option<Stop> {
    decisions(rule, own, others).into_iter().find(|decision| decision.stops).map(|decision| decision.at)
}

/// All decisions about the last value of a trial, in order: one for each rung that it passes, up to the first that stops it. A rule without
/// rungs decides only to stop.
pub fn decisions(rule: &StoppingRule, own: &Curve, others: &[&Curve]) -> Vec<Decision> {
    let Some(&(step, value)) = own.points.last() else { return vec![] };
    let stop = |at: Stop| Decision { stops: true, rung: None, at };
    if !value.is_finite() {
        return vec![stop(Stop::not_finite(step))];
    }
    match *rule {
        StoppingRule::Median { percentile, min_trials, from, until, protect } => {
            let median = median::Median { percentile, min_trials, from, until, protect };
            median.decide(own, others).map(stop).into_iter().collect()
        }
        StoppingRule::Asha { eta, min_fraction } => {
            asha::Asha::from_fraction(eta, min_fraction, own.steps).decisions(own, others)
        }
        StoppingRule::Hyperband { eta, brackets } => hyperband::decisions(eta, brackets, own, others),
    }
}
