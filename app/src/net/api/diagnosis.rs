//! Routes of the rules that check runs, and of what they find.

use wire::RunId;
use wire::diagnosis::{Diagnosis, DiagnosisSettings, Judgement, NewJudgement, RuleInfo, RunFinding};

use super::failure::ApiFailure;
use super::request::{get, send};

/// Every rule of the server, in the order in which pages list them.
pub(crate) async fn rules() -> Result<Vec<RuleInfo>, ApiFailure> {
    get("/rules").await
}

/// The findings of a run, with remedies for the run as it is now, and the settings of its rules.
pub(crate) async fn findings(run: &RunId) -> Result<Diagnosis, ApiFailure> {
    get(&format!("/runs/{run}/findings")).await
}

/// Replaces the settings of the rules of a run.
pub(crate) async fn set_rules(run: &RunId, settings: &DiagnosisSettings) -> Result<DiagnosisSettings, ApiFailure> {
    send("PUT", &format!("/runs/{run}/rules"), Some(settings)).await
}

/// Dismisses a finding, so that it is no longer counted.
pub(crate) async fn dismiss(run: &RunId, finding: u64) -> Result<RunFinding, ApiFailure> {
    send::<(), _>("POST", &format!("/runs/{run}/findings/{finding}/dismiss"), None).await
}

/// Marks a finding as correct or as wrong; `None` removes the mark.
pub(crate) async fn judge(run: &RunId, finding: u64, judgement: Option<Judgement>) -> Result<RunFinding, ApiFailure> {
    let path = format!("/runs/{run}/findings/{finding}/judgement");
    send("PUT", &path, Some(&NewJudgement { judgement })).await
}

/// Undoes [`dismiss`].
pub(crate) async fn restore(run: &RunId, finding: u64) -> Result<RunFinding, ApiFailure> {
    send::<(), _>("DELETE", &format!("/runs/{run}/findings/{finding}/dismiss"), None).await
}
