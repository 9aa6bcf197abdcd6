//! Experiments: created, and led from pair to pair until there is a verdict. Where an experiment stands is in the store alone, so a server that
//! was killed goes on where it was.
//!
//! - here: the task that leads all experiments, and what people do with them; [`create`]: a new one, checked against the lab;
//! - [`next`]: what follows from where an experiment stands, as a pure function; [`pairs`]: the runs of a pair, queued; [`values`]: what runs
//!   that have ended gave.

pub mod create;
mod next;
mod pairs;
mod values;

use std::time::Duration;

use store::ExperimentStanding;
use tokio::time::timeout;
use wire::Command;
use wire::control::author::Author;
use wire::experiment::record::{ExperimentAction, ExperimentView, REASON_CHARS};

use super::commands;
use super::create::is_full_for_now;
use crate::error::ApiError;
use crate::lab::Lab;
use next::{Next, next};

/// Maximum time between two checks of the active experiments: a run may have ended meanwhile.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// Leads all experiments for as long as the server runs. A failure of one is logged, and does not keep the others from going on.
pub async fn serve(lab: Lab) {
    loop {
        match lab.store().active_experiments().await {
            Ok(active) => {
                for id in active {
                    // In its own task, so that a panic ends none of the others.
                    let one = lab.clone();
                    match tokio::spawn(async move { advance(&one, id).await }).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => tracing::error!("the experiment {id} could not be continued: {error}"),
                        Err(panic) => tracing::error!("the experiment {id} could not be continued: {panic}"),
                    }
                }
            }
            Err(error) => tracing::error!("the experiments could not be read: {error}"),
        }
        // After a timeout they are read as after a wake-up.
        let _ = timeout(CHECK_EVERY, lab.feed.experiments_woken()).await;
    }
}

/// Reads the runs of an experiment that have ended, also of a paused or stopped experiment. If the experiment is running, takes its next
/// step.
///
/// # Errors
/// An error of the store; then nothing is decided, and the next look tries again.
pub async fn advance(lab: &Lab, id: u64) -> Result<(), ApiError> {
    let Some(view) = lab.store().experiment(id).await? else { return Ok(()) };
    values::settle(lab, &view).await?;
    match lab.store().experiment_standing(id).await? {
        Some(standing) => follow(lab, &standing).await,
        None => Ok(()),
    }
}

async fn follow(lab: &Lab, standing: &ExperimentStanding) -> Result<(), ApiError> {
    let id = standing.view.summary.id;
    match next(standing) {
        Next::Wait => {}
        Next::Pause(reason) => pause(lab, id, &reason).await?,
        Next::Decide(verdict) => {
            lab.store().decide_experiment(id, &verdict).await?;
        }
        Next::Start(wanted) => match pairs::start(lab, standing, &wanted).await {
            Ok(()) => {}
            Err(error) if error.status.is_server_error() => return Err(error),
            Err(error) if is_temporary(&error) => wait(lab, standing, &error.to_string()).await?,
            Err(error) => pause(lab, id, &format!("no run could be started: {error}")).await?,
        },
    }
    Ok(())
}

/// Whether an error may end by itself: a full queue, an agent with too many runs, or a device that has not reported since the server started.
fn is_temporary(error: &ApiError) -> bool {
    is_full_for_now(error) || matches!(error.body.field.as_deref(), Some("device" | "pool"))
}

async fn wait(lab: &Lab, standing: &ExperimentStanding, reason: &str) -> Result<(), ApiError> {
    let summary = &standing.view.summary;
    if summary.reason.as_deref() != Some(reason) {
        lab.store().set_experiment_reason(summary.id, Some(reason)).await?;
    }
    Ok(())
}

async fn pause(lab: &Lab, id: u64, reason: &str) -> Result<(), ApiError> {
    lab.store().pause_experiment(id, &Author::System, reason).await?;
    Ok(())
}

/// An experiment.
///
/// # Errors
/// 404; an error of the store.
pub async fn view(lab: &Lab, id: u64) -> Result<ExperimentView, ApiError> {
    Ok(lab.store().experiment(id).await?.ok_or(store::StoreError::UnknownExperiment { id })?)
}

/// Pauses, resumes or stops an experiment.
///
/// # Errors
/// 409 in a state that does not allow it, 422 for an invalid reason; an error of the store.
pub async fn change(lab: &Lab, id: u64, author: Author, action: ExperimentAction) -> Result<ExperimentView, ApiError> {
    let before = view(lab, id).await?;
    let is_done = match &action {
        ExperimentAction::Pause => lab.store().pause_experiment(id, &author, "on request").await?,
        ExperimentAction::Resume => lab.store().resume_experiment(id, &author).await?,
        ExperimentAction::Stop { reason } => lab.store().stop_experiment(id, &author, checked(reason)?).await?,
    };
    if !is_done {
        let message = format!("the experiment {id} is {}", before.summary.state.word());
        return Err(ApiError::conflict("experiment_state", message)
            .hint("a running one can be paused, a paused one resumed, and both can be stopped"));
    }
    if matches!(action, ExperimentAction::Stop { .. }) {
        stop_runs(lab, &view(lab, id).await?, &author).await;
    }
    lab.feed.wake_queue();
    view(lab, id).await
}

fn checked(reason: &str) -> Result<&str, ApiError> {
    let reason = reason.trim();
    match reason.chars().count() {
        1..=REASON_CHARS if !reason.chars().any(char::is_control) => Ok(reason),
        count => Err(ApiError::invalid("value_invalid", format!("a reason of {count} characters is not valid"))
            .field("reason")
            .hint(format!("enter 1 to {REASON_CHARS} characters on one line"))),
    }
}

/// Stops the runs that are queued or training. One that ends at this moment, or whose worker does not answer, goes on to its own end.
async fn stop_runs(lab: &Lab, view: &ExperimentView, author: &Author) {
    for run in view.runs.iter().filter(|run| run.is_open()) {
        let stopped = async {
            let summary = lab.feed.summary(&run.run).await?;
            commands::carry_out(lab, &summary, author.clone(), Command::Stop { reason: None }).await
        };
        if let Err(error) = stopped.await {
            tracing::warn!("{} of the stopped experiment {} goes on: {error}", run.run, view.summary.id);
        }
    }
}
