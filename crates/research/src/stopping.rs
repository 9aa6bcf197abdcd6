//! Early stopping of trials: rules that end a trial whose values are worse than those of the others. A lower value is better.
//!
//! - [`median`]: percentile with safety; [`asha`]: asynchronous successive halving; [`hyperband`]: several of them;
//! - [`replay`]: a rule over finished runs: compute saved against winners lost.
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
pub mod median;
pub mod replay;

use serde::{Deserialize, Serialize};
use wire::sweep::stopping::StoppingRule;

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

/// Whether the last value of a trial stops it, by the values that the others have had so far. `None`: it goes on.
pub fn decide(rule: &StoppingRule, own: &Curve, others: &[&Curve]) -> Option<Stop> {
    let (step, value) = *own.points.last()?;
    if !value.is_finite() {
        return Some(Stop::not_finite(step));
    }
    match *rule {
        StoppingRule::Median { percentile, min_trials, from, until, protect } => {
            median::Median { percentile, min_trials, from, until, protect }.decide(own, others)
        }
        StoppingRule::Asha { eta, min_fraction } => {
            let first = (min_fraction * own.steps as f64).max(1.0);
            asha::Asha { eta, first }.decide(own, others)
        }
        StoppingRule::Hyperband { eta, brackets } => hyperband::decide(eta, brackets, own, others),
    }
}
