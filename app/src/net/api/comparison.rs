//! Routes of the fair comparison.

use research::compare::FairComparison;
use wire::series::Axis;
use wire::{RunId, RunSummary};

use super::failure::ApiFailure;
use super::request::{get, send};

/// Compares groups of runs with a baseline, at an equal amount of tokens, FLOPs or time.
pub(crate) async fn fair(
    baseline: &[RunId],
    changes: &[Vec<RunId>],
    equal: Axis,
) -> Result<FairComparison, ApiFailure> {
    let list = |runs: &[RunId]| runs.iter().map(RunId::to_string).collect::<Vec<_>>().join(",");
    let changes = changes.iter().map(|runs| list(runs)).collect::<Vec<_>>().join("%3B");
    let equal = match equal {
        Axis::Flops => "flops",
        Axis::Secs => "secs",
        Axis::Tokens | Axis::Step => "tokens",
    };
    get(&format!("/compare?baseline={}&change={changes}&equal={equal}", list(baseline))).await
}

/// Queues runs that differ from a run in the seed only.
pub(crate) async fn more_seeds(run: &RunId, count: u32) -> Result<Vec<RunSummary>, ApiFailure> {
    send("POST", &format!("/runs/{run}/seeds"), Some(&serde_json::json!({ "count": count }))).await
}
