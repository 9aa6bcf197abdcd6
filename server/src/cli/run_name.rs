//! Runs on the command line: by id, or by a name that only one run has.

use wire::{RunId, RunSummary};

/// A text that names no run, or several.
#[derive(Debug, thiserror::Error)]
pub enum RunNameError {
    #[error("no run is named {name:?}; the page and GET /api/v1/runs list the runs with their ids")]
    Unknown { name: String },
    #[error("several runs are named {name:?}: {ids}; give the id of one")]
    Ambiguous { name: String, ids: String },
}

/// The run with this id, or the only one with this name.
///
/// # Errors
/// No run has the name, or several have it.
pub(super) fn run_named(name: &str, runs: &[RunSummary]) -> Result<RunId, RunNameError> {
    if let Some(run) = runs.iter().find(|run| run.id.as_str() == name) {
        return Ok(run.id.clone());
    }
    let found: Vec<&RunId> = runs.iter().filter(|run| run.name == name).map(|run| &run.id).collect();
    match found.as_slice() {
        [only] => Ok((*only).clone()),
        [] => Err(RunNameError::Unknown { name: name.to_owned() }),
        several => {
            let ids = several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Err(RunNameError::Ambiguous { name: name.to_owned(), ids })
        }
    }
}
