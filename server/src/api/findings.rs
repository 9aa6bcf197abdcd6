//! Rules, and what they found in runs.

use axum::Json;
use axum::extract::State;
use research::rules::{RULES, Rule, Settings, rule};
use store::Recorded;
use wire::diagnosis::{Diagnosis, DiagnosisSettings, NewJudgement, RuleInfo, RunFinding};
use wire::{ApiErrorBody, Event, RunId};

use super::extract::{Body, Path};
use crate::auth::run::{RunSteerer, RunViewer};
use crate::auth::{self, SignedIn};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::live::feed::report;
use crate::runs::diagnosis;

/// Lists the rules that check every run, with their formulas, thresholds and remedies.
#[utoipa::path(get, path = "/rules", tag = "runs", responses((status = 200, body = Vec<RuleInfo>)))]
pub async fn list_rules(_: SignedIn) -> Json<Vec<RuleInfo>> {
    Json(RULES.iter().map(Rule::info).collect())
}

/// Returns what the rules found in a run, newest first, with remedies for the current state of the run. Values that the rules have not checked yet
/// are checked first.
#[utoipa::path(get, path = "/runs/{id}/findings", tag = "runs", params(("id" = RunId, Path)),
    responses((status = 200, body = Diagnosis)))]
pub async fn list_findings(
    _: RunViewer,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
) -> Result<Json<Diagnosis>, ApiError> {
    let mut found = diagnosis::check(lab.store(), &lab.diagnosis, &run).await?;
    found.checked_step = lab.diagnosis.checked_step(&run).await.or(found.checked_step);
    Ok(Json(found))
}

/// Replaces the settings of a run's rules from the next step on: muted rules, thresholds, and rules that may act. The change is recorded as
/// an event in the journal.
#[utoipa::path(put, path = "/runs/{id}/rules", tag = "runs", params(("id" = RunId, Path)), request_body = DiagnosisSettings,
    responses((status = 200, body = DiagnosisSettings),
        (status = 422, description = "A rule or threshold is unknown, or a value is outside its limits.", body = ApiErrorBody)))]
pub async fn set_rules(
    RunSteerer(identity): RunSteerer,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
    Body(settings): Body<DiagnosisSettings>,
) -> Result<Json<DiagnosisSettings>, ApiError> {
    let refused = |error: research::rules::SettingError| {
        ApiError::invalid("value_invalid", error.to_string())
            .hint("GET /api/v1/rules lists the rules and their thresholds")
    };
    Settings::try_from(&settings).map_err(refused)?;
    let summary = lab.feed.summary(&run).await?;
    let event = |before: &DiagnosisSettings| {
        let changes = before.changes(&settings, label);
        let event = (!changes.is_empty()).then_some(Event::RulesChanged { changes })?;
        Some(report(auth::author(&identity), summary.step, event, None))
    };
    lab.diagnosis.set_rules(&summary, settings.clone(), event).await?;
    Ok(Json(settings))
}

/// The label of a rule; the id of one that does not exist any more.
fn label(id: &str) -> String {
    rule(id).map_or_else(|| id.to_owned(), |rule| rule.label.to_owned())
}

/// Dismisses a finding: it stays in the list but is no longer counted.
#[utoipa::path(post, path = "/runs/{id}/findings/{finding}/dismiss", tag = "runs",
    params(("id" = RunId, Path), ("finding" = u64, Path, description = "Number of the finding in the run.")),
    responses((status = 200, body = RunFinding)))]
pub async fn dismiss_finding(
    _: RunSteerer,
    State(lab): State<Lab>,
    Path((run, number)): Path<(RunId, u64)>,
) -> Result<Json<RunFinding>, ApiError> {
    let recorded = lab.store().dismiss_finding(&run, number, true).await?;
    changed(&lab, &run, number, recorded).await
}

/// Undoes the dismissal of a finding.
#[utoipa::path(delete, path = "/runs/{id}/findings/{finding}/dismiss", tag = "runs",
    params(("id" = RunId, Path), ("finding" = u64, Path, description = "Number of the finding in the run.")),
    responses((status = 200, body = RunFinding)))]
pub async fn restore_finding(
    _: RunSteerer,
    State(lab): State<Lab>,
    Path((run, number)): Path<(RunId, u64)>,
) -> Result<Json<RunFinding>, ApiError> {
    let recorded = lab.store().dismiss_finding(&run, number, false).await?;
    changed(&lab, &run, number, recorded).await
}

/// Marks a finding as correct or as wrong, or removes the mark. The calibration of the project shows the correct fraction of each rule.
#[utoipa::path(put, path = "/runs/{id}/findings/{finding}/judgement", tag = "runs", request_body = NewJudgement,
    params(("id" = RunId, Path), ("finding" = u64, Path, description = "Number of the finding in the run.")),
    responses((status = 200, body = RunFinding)))]
pub async fn judge_finding(
    _: RunSteerer,
    State(lab): State<Lab>,
    Path((run, number)): Path<(RunId, u64)>,
    Body(NewJudgement { judgement }): Body<NewJudgement>,
) -> Result<Json<RunFinding>, ApiError> {
    let recorded = lab.store().judge_finding(&run, number, judgement).await?;
    changed(&lab, &run, number, recorded).await
}

/// Publishes a finding that was changed, and returns it.
async fn changed(
    lab: &Lab,
    run: &RunId,
    number: u64,
    recorded: Option<Recorded>,
) -> Result<Json<RunFinding>, ApiError> {
    if let Some(Recorded { changed, summary, .. }) = recorded {
        lab.feed.hub.publish_findings(summary, changed);
    }
    Ok(Json(diagnosis::finding(lab.store(), run, number).await?.found))
}
