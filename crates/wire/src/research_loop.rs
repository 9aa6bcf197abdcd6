//! Research loops. A loop lowers the validation loss on a dataset by changing the listed hyperparameters, within a budget of device hours. It works
//! in rounds. A round proposes values of one hyperparameter with a prediction, trains short screening trials of them (a sweep), tests the
//! most promising value with pairs of full-length runs (an experiment), and keeps or discards the change.
//!
//! - here: [`LoopGoal`], as a person writes it in TOML or JSON; [`check`]: its valid values;
//! - [`record`]: a loop with its rounds, proposals and decisions.
//!
//! ```toml
//! title = "Tune the tiny preset"
//!
//! [base]
//! preset = "tiny"
//! corpus = "tales"
//! steps = 300
//!
//! [parameters]
//! "optimizer.learning_rate" = { log = [1e-4, 1e-1] }
//! "optimizer.weight_decay" = { float = [0, 0.3] }
//!
//! [budget]
//! device_hours = 0.5
//! ```

pub mod check;
pub mod record;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::run::spec::RunSpec;
use crate::sweep::space::Parameter;
use crate::sweep::stopping::StoppingRule;

/// The unit of the metric of a loop: the validation loss of the last evaluation, which does not depend on the tokenizer.
pub const UNIT: &str = "bits/byte";

/// The goal of a research loop as a person states it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LoopGoal {
    /// One line, at most 40 characters. It names the sweeps, experiments and runs of the loop.
    pub title: String,
    /// The project of the loop and of its runs; `default` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The recipe to improve: preset, datasets, steps, device or pool, and overrides.
    pub base: RunSpec,
    /// Hyperparameters that may change, by path, with their ranges, as in a sweep.
    pub parameters: BTreeMap<String, Parameter>,
    pub budget: LoopBudget,
    #[serde(default)]
    pub proposer: Proposer,
    #[serde(default)]
    pub screening: LoopScreening,
    #[serde(default)]
    pub rule: LoopRule,
}

/// The maximum cost of the runs of a loop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LoopBudget {
    /// Maximum device hours of all runs before the confirmation, including failed ones. The confirmation adds `rule.confirmation_pairs` pairs of
    /// full-length runs.
    pub device_hours: f64,
}

/// The source of the proposals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Proposer {
    /// The strategy of the lab, a coordinate search.
    #[default]
    Builtin,
    /// An agent, by `POST /research-loops/{id}/proposals`. The loop waits for each of its proposals.
    Agent,
}

/// The short trials with which a round begins.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct LoopScreening {
    /// Steps of a screening trial as a fraction of the full steps, 0.05 to 0.9; 0.25 by default. Warm-up and schedule shrink with it.
    pub fraction: f64,
    /// Number of seeds with which the default recipe is trained at this length to measure the noise floor, 2 to 20; 4 by default.
    pub seeds: u32,
    /// Maximum number of values of a hyperparameter that a round screens, 1 to 16; 4 by default.
    pub values: u32,
    /// Maximum number of screening trials that train or wait at the same time, 1 to 64; 2 by default.
    pub at_once: u32,
    /// The rule that stops screening trials early. By default the median rule: after a quarter of its steps, it stops a trial that is worse than
    /// the median of the others, if there are at least two.
    pub stopping: StoppingRule,
}

impl Default for LoopScreening {
    fn default() -> Self {
        let stopping = StoppingRule::Median { percentile: 50.0, min_trials: 2, from: 0.25, until: 0.9, protect: 1 };
        Self { fraction: 0.25, seeds: 4, values: 4, at_once: 2, stopping }
    }
}

/// The conditions under which a change is kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct LoopRule {
    /// Smallest effect that counts, bits/byte; 0.005 by default.
    pub effect: f64,
    /// Maximum probability that a loop without any effect keeps a change, 0.01 to 0.5; 0.05 by default. Each test has the level `alpha / tests`.
    pub alpha: f64,
    /// Maximum number of changes that are tested with full-length runs, 1 to 40; 10 by default.
    pub tests: u32,
    /// Maximum number of pairs of full-length runs in a test, 4 to 50; 8 by default.
    pub max_pairs: u32,
    /// Number of pairs of full-length runs that compare the best recipe with the default at the end, with new seeds, 3 to 50; 5 by default.
    pub confirmation_pairs: u32,
}

impl Default for LoopRule {
    fn default() -> Self {
        Self { effect: 0.005, alpha: 0.05, tests: 10, max_pairs: 8, confirmation_pairs: 5 }
    }
}

impl LoopRule {
    /// The accepted probability of a wrong verdict of one test.
    pub fn alpha_of_test(&self) -> f64 {
        self.alpha / f64::from(self.tests)
    }
}
