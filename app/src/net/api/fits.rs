//! Routes of fits over runs and of replays of stopping rules.

use research::fits::report::{FitKind, FitReport};
use research::stopping::settings::{ReplayReport, RuleKind};

use super::failure::ApiFailure;
use super::request::{escape, get};

/// Fits the runs that a list names: ids, `tag:NAME`, `sweep:ID`, `project:NAME`, separated by commas.
pub(crate) async fn fit(kind: FitKind, runs: &str) -> Result<FitReport, ApiFailure> {
    get(&format!("/fit?kind={}&runs={}", kind.word(), escape(runs))).await
}

/// Replays a rule over the runs that a list names, for a range of its thresholds.
pub(crate) async fn replay(rule: RuleKind, runs: &str) -> Result<ReplayReport, ApiFailure> {
    get(&format!("/replay?rule={}&runs={}", rule.word(), escape(runs))).await
}
