//! Commands: on their way to the worker that holds the run, and back as the event that says what came of them. What is refused
//! before it travels is in [`crate::steer`].

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;
use wire::command::CommandOrder;
use wire::event::{Author, EventRecord};
use wire::link::Report;
use wire::{Command, Event, RunId, RunState, RunSummary};

use crate::api_error::{ApiError, Body, Path, Query};
use crate::app_state::AppState;
use crate::auth::{Steerer, author};
use crate::clock::now_ms;
use crate::pending::Unanswered;
use crate::{forks, runs, steer};

/// How long a command waits for its run to be handed to a worker.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(2);
/// Names the twin that came of a command.
const TWIN: HeaderName = HeaderName::from_static("kindling-twin");

/// What goes with a command.
#[derive(Deserialize, IntoParams)]
pub struct With {
    /// Start a twin as well: a fork from just before that is not told of the command. Its id is in the header `kindling-twin`.
    #[serde(default)]
    twin: bool,
}

/// Asks something of a run; answers with the event once it has taken effect.
#[utoipa::path(post, path = "/runs/{id}/commands", tag = "runs", params(("id" = RunId, Path), With), request_body = Command,
    responses((status = 200, description = "It took effect at the event's step.", body = EventRecord), (status = 409, body = wire::ApiErrorBody),
        (status = 422, body = wire::ApiErrorBody), (status = 504, description = "Not answered within 30 s; it may still take effect.", body = wire::ApiErrorBody)))]
pub async fn command_run(
    Steerer(identity): Steerer,
    State(state): State<AppState>,
    Path(run): Path<RunId>,
    Query(with): Query<With>,
    Body(command): Body<Command>,
) -> Result<Response, ApiError> {
    steer::check(&command)?;
    let summary = runs::summary(&state, &run).await?;
    if with.twin {
        let (record, twin) = forks::command_with_twin(&state, &summary, author(&identity), command).await?;
        return Ok(([(TWIN, twin.to_string())], Json(record)).into_response());
    }
    let record = carry_out(&state, &summary, author(&identity), command).await?;
    Ok(Json(record).into_response())
}

/// Does what is asked, by the run's worker where one holds it.
pub async fn carry_out(
    state: &AppState,
    summary: &RunSummary,
    author: Author,
    command: Command,
) -> Result<EventRecord, ApiError> {
    let command = steer::expand(state, summary, command).await?;
    while_handed_over(state, summary).await;
    if !is_at_work(state, summary) {
        return without_worker(state, summary, author, command).await;
    }
    // What a rollback goes back to stays, whatever else is pruned meanwhile.
    let _held = steer::verify(state, summary, &command).await?;
    order(state, &summary.id, author, command).await
}

/// A run counts as starting a moment before its worker is given it; what is asked in between waits for that.
async fn while_handed_over(state: &AppState, summary: &RunSummary) {
    let began = Instant::now();
    while summary.state == RunState::Starting && !state.fleet.holds(&summary.id) && began.elapsed() < HANDED_OVER_WITHIN
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether a worker holds a run that has not ended; one that has may be held for a moment longer.
pub fn is_at_work(state: &AppState, summary: &RunSummary) -> bool {
    summary.state.is_live() && state.fleet.holds(&summary.id)
}

/// Passes a command on, and waits for its event.
pub async fn order(state: &AppState, run: &RunId, author: Author, command: Command) -> Result<EventRecord, ApiError> {
    let wait = state.pending.expect(run);
    if !state.fleet.order(run, CommandOrder { command_id: wait.command_id(), author, command }) {
        return Err(worker_away(run));
    }
    let record = wait.answer().await.map_err(|why| match why {
        Unanswered::Late => ApiError::new(
            StatusCode::GATEWAY_TIMEOUT,
            "command_pending",
            format!("the worker of {run} has the command and has not answered within 30 s"),
        )
        .hint("it takes effect after the present step or evaluation; its event will be in the journal"),
        Unanswered::Over => ApiError::conflict("run_over", format!("{run} ended before it could do this"))
            .hint("its journal tells how; resume it or fork it to go on"),
    })?;
    match record.event {
        Event::Refused { message, .. } => Err(ApiError::conflict("command_refused", message)),
        Event::CheckpointFailed { message, .. } => Err(ApiError::conflict("checkpoint_failed", message)
            .hint("training goes on; make room on the disk, or look at the folder's rights, and ask again")),
        _ => Ok(record),
    }
}

/// What can be done to a run that no worker holds: any can be given a note, one that waits can be stopped, one that rests can go on.
async fn without_worker(
    state: &AppState,
    summary: &RunSummary,
    author: Author,
    command: Command,
) -> Result<EventRecord, ApiError> {
    let how = summary.state;
    let says = |event, becomes, reason| Report {
        segment: 0,
        step: summary.step,
        at_ms: now_ms(),
        author,
        command_id: None,
        reason,
        event,
        state: becomes,
    };
    match (command, how) {
        (Command::Annotate { text }, _) => {
            runs::append(state, &summary.id, says(Event::Annotated { text }, None, None)).await
        }
        (Command::Stop { reason }, RunState::Queued | RunState::Parked) => {
            runs::append(state, &summary.id, says(Event::Stopped, Some(RunState::Stopped), reason)).await
        }
        (Command::Resume { reason }, RunState::Parked | RunState::Stopped | RunState::Failed | RunState::Lost) => {
            resume(state, summary, says(Event::Resumed, Some(RunState::Queued), reason)).await
        }
        _ => Err(cannot(summary)),
    }
}

/// Queues a run again; it goes on from its newest whole checkpoint.
async fn resume(state: &AppState, summary: &RunSummary, report: Report) -> Result<EventRecord, ApiError> {
    if summary.deleted_ms.is_some() {
        return Err(ApiError::conflict("run_deleted", format!("{} is deleted", summary.id))
            .hint("bring it back first: POST .../restore"));
    }
    let resumed = state.store.resume_run(&summary.id, report).await;
    let (record, after) = resumed.map_err(|source| runs::store_error(&summary.id, source))?;
    state.hub.publish(after, vec![], vec![record.clone()], vec![]);
    state.wake_scheduler();
    Ok(record)
}

/// Why nothing that needs a worker can be done to a run that none holds.
pub fn cannot(RunSummary { id, state, .. }: &RunSummary) -> ApiError {
    match state {
        RunState::Queued => ApiError::conflict("run_queued", format!("{id} waits for its device and is not at work"))
            .hint("stop it, annotate it, or wait until it runs"),
        RunState::Parked => ApiError::conflict("run_parked", format!("{id} has let go of its device"))
            .hint("resume it first, stop it, annotate it, or fork it"),
        RunState::Finished => ApiError::conflict("run_over", format!("{id} is over (finished)"))
            .hint("fork it to go on from here: POST /api/v1/runs with {\"parent\": {\"run\": ...}, \"steps\": ...}"),
        how if how.is_over() => ApiError::conflict("run_over", format!("{id} is over ({how:?})").to_lowercase())
            .hint("resume it to go on from its newest checkpoint, or fork it"),
        _ => worker_away(id),
    }
}

fn worker_away(run: &RunId) -> ApiError {
    ApiError::conflict("worker_away", format!("the worker which holds {run} is not connected, so it cannot be told"))
        .hint("it trains on and reports when it is back; try again in a few seconds")
}
