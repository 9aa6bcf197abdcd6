//! Routes of fits over runs and of replays of stopping rules.

use research::fits::report::{FitKind, FitReport};
use research::stopping::settings::{ReplayReport, RuleKind};

use super::failure::ApiFailure;
use super::request::{escape, get};

/// Fits the runs that a list names: ids, `tag:NAME`, `sweep:ID`, `project:NAME`, separated by commas. `dataset` is
/// the one whose loss a mix predicts; empty for the mean over all.
pub(crate) async fn fit(kind: FitKind, runs: &str, dataset: &str) -> Result<FitReport, ApiFailure> {
    let dataset = if dataset.is_empty() { String::new() } else { format!("&dataset={}", escape(dataset)) };
    get(&format!("/fit?kind={}&runs={}{dataset}", kind.word(), escape(runs))).await
}

/// Replays a rule over the runs that a list names, for a range of its thresholds.
pub(crate) async fn replay(rule: RuleKind, runs: &str) -> Result<ReplayReport, ApiFailure> {
    get(&format!("/replay?rule={}&runs={}", rule.word(), escape(runs))).await
}
