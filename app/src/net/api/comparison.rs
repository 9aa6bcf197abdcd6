//! Routes of the fair comparison.

use research::compare::FairComparison;
use wire::research_journal::JournalEntry;
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
    get(&path(baseline, changes, equal)).await
}

/// Compares in the same way, and adds the conclusion to the research journal of the project of the runs.
pub(crate) async fn add(baseline: &[RunId], changes: &[Vec<RunId>], equal: Axis) -> Result<JournalEntry, ApiFailure> {
    send::<(), _>("POST", &path(baseline, changes, equal), None).await
}

fn path(baseline: &[RunId], changes: &[Vec<RunId>], equal: Axis) -> String {
    let list = |runs: &[RunId]| runs.iter().map(RunId::to_string).collect::<Vec<_>>().join(",");
    let changes = changes.iter().map(|runs| list(runs)).collect::<Vec<_>>().join("%3B");
    let equal = match equal {
        Axis::Flops => "flops",
        Axis::Secs => "secs",
        Axis::Tokens | Axis::Step => "tokens",
    };
    format!("/compare?baseline={}&change={changes}&equal={equal}", list(baseline))
}

/// Queues runs that differ from a run in the seed only.
pub(crate) async fn more_seeds(run: &RunId, count: u32) -> Result<Vec<RunSummary>, ApiFailure> {
    send("POST", &format!("/runs/{run}/seeds"), Some(&serde_json::json!({ "count": count }))).await
}
