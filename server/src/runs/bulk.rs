//! Actions on several runs. They run one after the other; a failure of one run is its own outcome and does not stop the others.

use store::Identity;
use wire::access::Role;
use wire::control::author::Author;
use wire::run::RunChange;
use wire::run::table::tags::{check_tag, checked_tags};
use wire::run::table::{BulkAction, BulkOutcome, BulkRequest, MAX_BULK};
use wire::{Command, PlanError, RunId, RunSummary};

use super::{commands, edit};
use crate::auth::{author, run as permission};
use crate::error::ApiError;
use crate::lab::Lab;

/// Carries out an action for each run, in their order.
///
/// # Errors
/// 422 for more than 500 runs, a run that is listed twice, or an invalid tag. Nothing is changed then.
pub async fn carry_out(lab: &Lab, by: &Identity, request: BulkRequest) -> Result<Vec<BulkOutcome>, ApiError> {
    check(&request)?;
    let mut outcomes = Vec::with_capacity(request.runs.len());
    for run in request.runs {
        let done = match permission::check(lab, by, &run, Role::Steer).await {
            Ok(()) => apply(lab, author(by), &run, &request.action).await,
            Err(error) => Err(error),
        };
        outcomes.push(match done {
            Ok(summary) => BulkOutcome { run, state: Some(summary.state), error: None },
            Err(error) => BulkOutcome { run, state: None, error: Some(*error.body) },
        });
    }
    Ok(outcomes)
}

fn check(request: &BulkRequest) -> Result<(), ApiError> {
    let invalid = |message: String, hint: String| ApiError::invalid_value(PlanError::new("runs", message).hint(hint));
    if request.runs.is_empty() || request.runs.len() > MAX_BULK {
        return Err(invalid(
            format!("{} runs are not a valid number", request.runs.len()),
            format!("give 1 to {MAX_BULK} runs"),
        ));
    }
    let mut known = std::collections::HashSet::new();
    if let Some(run) = request.runs.iter().find(|run| !known.insert(*run)) {
        return Err(invalid(format!("{run} is listed twice"), "list each run once".into()));
    }
    match &request.action {
        BulkAction::Tag { tag } | BulkAction::Untag { tag } => check_tag(tag).map_err(ApiError::invalid_value),
        _ => Ok(()),
    }
}

async fn apply(lab: &Lab, author: Author, run: &RunId, action: &BulkAction) -> Result<RunSummary, ApiError> {
    match action {
        BulkAction::Archive => edit::change(lab, run, archived(true)).await,
        BulkAction::Unarchive => edit::change(lab, run, archived(false)).await,
        BulkAction::Tag { tag } => retag(lab, run, |tags| tags.push(tag.clone())).await,
        BulkAction::Untag { tag } => retag(lab, run, |tags| tags.retain(|known| known != tag)).await,
        BulkAction::Delete => edit::delete(lab, run).await,
        BulkAction::Restore => edit::restore(lab, run).await,
        BulkAction::Stop => {
            let summary = lab.feed.summary(run).await?;
            commands::carry_out(lab, &summary, author, Command::Stop { reason: None }).await?;
            lab.feed.summary(run).await
        }
    }
}

fn archived(archived: bool) -> RunChange {
    RunChange { archived: Some(archived), ..RunChange::default() }
}

/// Changes the tags that a run has then: two requests at a time may add one each.
async fn retag(lab: &Lab, run: &RunId, change: impl FnOnce(&mut Vec<String>) + Send) -> Result<RunSummary, ApiError> {
    let changed = |mut tags: Vec<String>| {
        change(&mut tags);
        checked_tags(&tags).map_err(ApiError::invalid_value)
    };
    lab.store().change_tags(run, changed).await?;
    lab.feed.publish_summary(run).await
}
