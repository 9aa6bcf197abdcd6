//! What the rules found in a run, with what can be done about it now.

use store::{Store, StoreError};
use wire::RunId;
use wire::diagnosis::{Diagnosis, FindingView, RunFinding};

use super::remedies::PresentRun;
use crate::error::ApiError;
use crate::live::diagnosis::Diagnosis as Rules;

/// The findings of a run, newest first. Values that its rules have not read are read first.
///
/// # Errors
/// The run does not exist; an error of the store.
pub async fn check(store: &Store, rules: &Rules, run: &RunId) -> Result<Diagnosis, StoreError> {
    let summary = store.summary(run).await?.ok_or_else(|| StoreError::UnknownRun { run: run.clone() })?;
    match rules.check(&summary).await {
        // The values of a run may be removed; what was found in them stays.
        Ok(()) | Err(StoreError::RunFolderMissing { .. }) => stored(store, run).await,
        Err(error) => Err(error),
    }
}

/// The findings of a run as they are stored, newest first.
///
/// # Errors
/// The run does not exist; an error of the store.
pub async fn stored(store: &Store, run: &RunId) -> Result<Diagnosis, StoreError> {
    let present = PresentRun::read(store, run).await?;
    let record = store.diagnosis(run).await?;
    let found = store.findings(run).await?;
    Ok(Diagnosis {
        health: present.health(),
        settings: record.settings,
        findings: found.into_iter().rev().map(|stored| view(&present, stored.found)).collect(),
        checked_step: record.state.and_then(|state| state.checked_step),
    })
}

/// One finding of a run.
///
/// # Errors
/// The run has no such finding; an error of the store.
pub async fn finding(store: &Store, run: &RunId, number: u64) -> Result<FindingView, ApiError> {
    let stored = store.findings(run).await?;
    let Some(found) = stored.into_iter().map(|stored| stored.found).find(|found| found.id == number) else {
        return Err(ApiError::not_found(format!("{run} has no finding of this number"))
            .hint(format!("GET /api/v1/runs/{run}/findings lists its findings")));
    };
    Ok(view(&PresentRun::read(store, run).await?, found))
}

fn view(present: &PresentRun, mut found: RunFinding) -> FindingView {
    let (remedies, change) = (present.remedies(&found), present.change_before(&found));
    if let Some(change) = &change {
        found.text = format!("{} {}", found.text, change.text);
    }
    FindingView { found, change, remedies }
}
