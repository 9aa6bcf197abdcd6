//! Commands sent to the worker that trains a run, and answered by the event that says what they did. [`super::steering`] refuses invalid
//! ones first.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use store::AgentTraining;
use wire::control::author::Author;
use wire::control::command::{NumberedCommand, ScheduleChange};
use wire::control::event::EventRecord;
use wire::transport::link::Report;
use wire::{Command, Event, RunId, RunState, RunSummary};

use super::steering;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::live::feed::report;
use crate::workers::pending::{Unanswered, Wait};

/// How long a command waits for its run to be assigned to a worker.
const ASSIGNED_WITHIN: Duration = Duration::from_secs(2);
/// Tries to carry out a command on a run whose state changes meanwhile.
const TRIES: u32 = 5;

/// Carries out a command, through the worker of the run if one trains it.
///
/// # Errors
/// The run cannot do it in its state; the worker refused it or did not answer in time.
pub async fn carry_out(
    lab: &Lab,
    summary: &RunSummary,
    author: Author,
    command: Command,
) -> Result<EventRecord, ApiError> {
    let command = steering::expand(lab, summary, command).await?;
    let mut now = summary.clone();
    for _ in 0..TRIES {
        while_assigned(lab, &now).await;
        if steering::is_trained(lab, &now) {
            // The checkpoint of a rollback is not pruned meanwhile.
            let _held = steering::verify(lab, &now, &command).await?;
            return send_counted(lab, &now, author, command).await;
        }
        if let Some(record) = without_worker(lab, &now, author.clone(), command.clone()).await? {
            return Ok(record);
        }
        // Such as a queued run that has started.
        now = lab.feed.summary(&summary.id).await?;
    }
    Err(ApiError::busy(format!("the state of {} keeps changing", summary.id)).retry_after(1))
}

/// A run is `starting` a moment before its worker is assigned it; a command in between waits for that.
async fn while_assigned(lab: &Lab, summary: &RunSummary) {
    let began = Instant::now();
    let is_assigned = || lab.workers.fleet.trains(&summary.id);
    while summary.state == RunState::Starting && !is_assigned() && began.elapsed() < ASSIGNED_WITHIN {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sends a command to the worker of a run, and waits for its event.
///
/// # Errors
/// No worker trains the run; it refused the command or did not answer in time.
pub async fn send(lab: &Lab, run: &RunId, author: Author, command: Command) -> Result<EventRecord, ApiError> {
    send_numbered(lab, run, lab.workers.pending.expect(run), author, command).await
}

/// As [`send`]. A run that an agent lets train counts for the agent.
///
/// # Errors
/// Those of [`send`]; 403 for an agent that was stopped, 409 if one of its budgets does not suffice; an error of the store.
pub async fn send_counted(
    lab: &Lab,
    summary: &RunSummary,
    author: Author,
    command: Command,
) -> Result<EventRecord, ApiError> {
    let run = &summary.id;
    let training = training_of(&command).filter(|_| matches!(author, Author::Agent(_)));
    let Some(training) = training else { return send(lab, run, author, command).await };
    // One after the other: a run that counts because of a refused command is released before the next command counts it.
    let Some(_turn) = lab.agents.begin(0, &format!("train {run}")) else {
        return Err(ApiError::busy(format!("another command of an agent lets {run} train")).retry_after(1));
    };
    let counted = lab.store().admit_agent_training(&author, run, training).await?;
    let sent = send(lab, run, author, command).await;
    match (counted, &sent) {
        (Some(token), Err(error)) if error.status.is_client_error() => {
            lab.store().release_agent_run(token, run).await?;
        }
        _ => {}
    }
    sent
}

/// What a command lets a run train, for the budgets of an agent; `None` for a command that lets it train nothing more.
fn training_of(command: &Command) -> Option<AgentTraining> {
    match command {
        Command::Resume { .. } | Command::Step { .. } => Some(AgentTraining::default()),
        Command::Rollback { checkpoint, .. } => Some(AgentTraining { from: Some(checkpoint.step), until: None }),
        Command::SetSchedule { schedule: ScheduleChange::LearningRate { steps: Some(steps), .. }, .. } => {
            Some(AgentTraining { from: None, until: Some(*steps) })
        }
        _ => None,
    }
}

/// As [`send`], with a number that the caller knows. A worker carries out a command of a number once, however often it arrives.
///
/// # Errors
/// Those of [`send`].
pub async fn send_numbered(
    lab: &Lab,
    run: &RunId,
    wait: Wait,
    author: Author,
    command: Command,
) -> Result<EventRecord, ApiError> {
    if !lab.workers.fleet.command(run, NumberedCommand { command_id: wait.command_id(), author, command }) {
        return Err(worker_away(run));
    }
    let record = wait.answer().await.map_err(|why| match why {
        Unanswered::Late => ApiError::new(
            StatusCode::GATEWAY_TIMEOUT,
            "command_pending",
            format!("the worker of {run} has received the command and not answered within 30 s"),
        )
        .hint("it takes effect after the current step or evaluation; watch the journal for its event"),
        Unanswered::Over => {
            ApiError::conflict("run_over", format!("{run} ended or was suspended before the command took effect"))
                .hint("see its journal; resume or fork the run to continue")
        }
    })?;
    match record.event {
        Event::Refused { message, .. } => Err(ApiError::conflict("command_refused", message)),
        Event::CheckpointFailed { message, .. } => Err(ApiError::conflict("checkpoint_failed", message)
            .hint("training continues; free space on the disk, or check the permissions of the folder, and try again")),
        _ => Ok(record),
    }
}

/// Carries out a command on a run that no worker trains: any run can be annotated, a queued or suspended one stopped, and one that is
/// suspended or ended early resumed. `None` if the state of the run has changed meanwhile.
async fn without_worker(
    lab: &Lab,
    summary: &RunSummary,
    author: Author,
    command: Command,
) -> Result<Option<EventRecord>, ApiError> {
    let event = |event, state, reason| Report { reason, ..report(author, summary.step, event, state) };
    match (command, summary.state) {
        (Command::Annotate { text }, _) => {
            lab.feed.append(&summary.id, event(Event::Annotated { text }, None, None)).await.map(Some)
        }
        (Command::Stop { reason }, RunState::Queued | RunState::Suspended) => {
            let is_same = |now: &RunSummary| now.state == summary.state;
            let stopped = event(Event::Stopped, Some(RunState::Stopped), reason);
            lab.feed.append_if(&summary.id, is_same, stopped).await
        }
        (Command::Resume { reason }, RunState::Suspended | RunState::Stopped | RunState::Failed | RunState::Lost) => {
            resume(lab, summary, event(Event::Resumed, Some(RunState::Queued), reason)).await
        }
        _ => Err(not_trained(summary)),
    }
}

/// Queues a run again; it continues from its newest undamaged checkpoint.
async fn resume(lab: &Lab, summary: &RunSummary, report: Report) -> Result<Option<EventRecord>, ApiError> {
    if summary.deleted_ms.is_some() {
        return Err(ApiError::conflict("run_deleted", format!("{} is deleted", summary.id))
            .hint("restore it first: POST /api/v1/runs/{id}/restore"));
    }
    let resumed = lab.store().resume_run(&summary.id, Some(summary.state), report).await?;
    let Some((record, after)) = resumed else { return Ok(None) };
    lab.feed.hub.publish(after, vec![], vec![record.clone()], vec![]);
    lab.feed.hub.trials.resumed(&summary.id);
    lab.feed.wake_queue();
    Ok(Some(record))
}

/// Why a run that no worker trains cannot carry out a command.
pub fn not_trained(RunSummary { id, state, .. }: &RunSummary) -> ApiError {
    match state {
        RunState::Queued => ApiError::conflict("run_queued", format!("{id} is queued and not being trained"))
            .hint("stop it, annotate it, or wait until it runs"),
        RunState::Suspended => {
            ApiError::conflict("run_suspended", format!("{id} is suspended and has released its device"))
                .hint("resume it first, stop it, annotate it, or fork it")
        }
        RunState::Finished => ApiError::conflict("run_over", format!("{id} is finished"))
            .hint("fork it to train further: POST /api/v1/runs with {\"parent\": {\"run\": ...}, \"steps\": ...}"),
        state if state.is_over() => ApiError::conflict("run_over", format!("{id} is {state:?}").to_lowercase())
            .hint("resume it to continue from its newest checkpoint, or fork it"),
        _ => worker_away(id),
    }
}

fn worker_away(run: &RunId) -> ApiError {
    ApiError::conflict("worker_away", format!("the worker that trains {run} is not connected"))
        .hint("it trains on and reports when it reconnects; try again in a few seconds")
}
