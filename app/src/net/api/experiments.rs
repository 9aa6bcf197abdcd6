//! Routes of experiments.

use research::experiment::AuthorScore;
use wire::experiment::ExperimentSpec;
use wire::experiment::record::{ExperimentAction, ExperimentSummary, ExperimentView};

use super::failure::ApiFailure;
use super::request::{get, send};

/// The experiments that this person may see, newest first.
pub(crate) async fn list() -> Result<Vec<ExperimentSummary>, ApiFailure> {
    get("/experiments").await
}

/// How often the predictions of each author came true.
pub(crate) async fn scores() -> Result<Vec<AuthorScore>, ApiFailure> {
    get("/experiments/scores").await
}

/// An experiment with its runs and its journal.
pub(crate) async fn experiment(id: u64) -> Result<ExperimentView, ApiFailure> {
    get(&format!("/experiments/{id}")).await
}

/// Creates an experiment, whose first pair of runs is queued.
pub(crate) async fn create(spec: &ExperimentSpec) -> Result<ExperimentView, ApiFailure> {
    send("POST", "/experiments", Some(spec)).await
}

/// Pauses, resumes or stops an experiment.
pub(crate) async fn change(id: u64, action: &ExperimentAction) -> Result<ExperimentView, ApiFailure> {
    send("PATCH", &format!("/experiments/{id}"), Some(action)).await
}
