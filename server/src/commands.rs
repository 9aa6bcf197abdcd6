//! Commands: on their way to the worker that holds the run, and back as the event that says what came of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use tokio::sync::oneshot;
use wire::command::CommandOrder;
use wire::event::{Author, EventRecord};
use wire::link::Report;
use wire::{Command, Event, RunId, RunState, RunSummary};

use crate::api_error::{ApiError, Body, Path};
use crate::app_state::AppState;
use crate::auth::{Steerer, author};
use crate::clock::now_ms;
use crate::runs;

/// How long an answer is waited for. A step of a large model on a slow device, or a whole evaluation, fits in.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Longest reason, note or prompt, bytes.
const TEXT_BYTES: usize = 10_000;

/// Commands that wait for their event.
pub struct Pending {
    next: AtomicU64,
    waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<EventRecord>>>>,
}

/// One wait; dropped, it waits no more.
pub struct Wait {
    command_id: u64,
    waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<EventRecord>>>>,
    answer: oneshot::Receiver<EventRecord>,
}

impl Pending {
    /// Numbers that no server life before this one gave (one would have had to give a thousand in each millisecond).
    pub fn new(now_ms: i64) -> Self {
        Self { next: AtomicU64::new(now_ms.max(0) as u64 * 1000), waiting: Arc::default() }
    }

    /// A number, and the wait for its event.
    pub fn expect(&self) -> Wait {
        let command_id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(command_id, sender);
        Wait { command_id, waiting: self.waiting.clone(), answer }
    }

    /// The event of a command has been stored.
    pub fn answer(&self, record: &EventRecord) {
        let Some(command_id) = record.command_id else { return };
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&command_id);
        if let Some(sender) = waiting {
            // Whoever asked may have gone; the event is in the journal all the same.
            let _ = sender.send(record.clone());
        }
    }
}

impl Wait {
    /// Its number.
    pub fn command_id(&self) -> u64 {
        self.command_id
    }

    async fn answer(mut self) -> Option<EventRecord> {
        tokio::time::timeout(ANSWER_WITHIN, &mut self.answer).await.ok()?.ok()
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.command_id);
    }
}

/// Asks something of a run; answers with the event once it has taken effect.
#[utoipa::path(post, path = "/runs/{id}/commands", tag = "runs", params(("id" = RunId, Path)), request_body = Command,
    responses((status = 200, description = "It took effect at the event's step.", body = EventRecord), (status = 409, body = wire::ApiErrorBody),
        (status = 422, body = wire::ApiErrorBody), (status = 504, description = "Not answered within 30 s; it may still take effect.", body = wire::ApiErrorBody)))]
pub async fn command_run(
    Steerer(identity): Steerer,
    State(state): State<AppState>,
    Path(run): Path<RunId>,
    Body(command): Body<Command>,
) -> Result<Json<EventRecord>, ApiError> {
    check(&command)?;
    let summary = runs::summary(&state, &run).await?;
    if state.fleet.holds(&run) {
        return order(&state, &run, author(&identity), command).await.map(Json);
    }
    let record = without_worker(&state, &summary, author(&identity), command).await?;
    Ok(Json(record))
}

/// Refuses what no worker could do, before it travels.
fn check(command: &Command) -> Result<(), ApiError> {
    let too_long = |text: &str| text.len() > TEXT_BYTES;
    match command {
        Command::Set { field, value, .. } => {
            field.check(*value).map_err(|message| {
                ApiError::invalid("value_invalid", message).field("value").hint(field.describe().2)
            })?;
        }
        Command::Step { steps } if !(1..=1_000_000).contains(steps) => {
            return Err(ApiError::invalid("value_invalid", format!("{steps} steps cannot be taken at once"))
                .field("steps")
                .hint("1 to 1,000,000"));
        }
        Command::Sample { temperature: Some(temperature), .. } if !(0.0..=10.0).contains(temperature) => {
            return Err(ApiError::invalid("value_invalid", format!("{temperature} is no temperature"))
                .field("temperature")
                .hint("0 to 10; 0.8 is usual"));
        }
        Command::Sample { tokens: Some(tokens), .. } if !(1..=10_000).contains(tokens) => {
            return Err(ApiError::invalid("value_invalid", format!("{tokens} tokens cannot be drawn"))
                .field("tokens")
                .hint("1 to 10,000"));
        }
        Command::Sample { prompt: Some(prompt), .. } if too_long(prompt) => {
            return Err(ApiError::invalid("value_invalid", "the prompt is longer than 10,000 bytes").field("prompt"));
        }
        Command::Annotate { text } if text.trim().is_empty() || too_long(text) => {
            return Err(ApiError::invalid("value_invalid", "a note has 1 to 10,000 bytes").field("text"));
        }
        _ => {}
    }
    match command.reason() {
        Some(reason) if too_long(reason) => {
            Err(ApiError::invalid("value_invalid", "the reason is longer than 10,000 bytes").field("reason"))
        }
        _ => Ok(()),
    }
}

async fn order(state: &AppState, run: &RunId, author: Author, command: Command) -> Result<EventRecord, ApiError> {
    let wait = state.pending.expect();
    if !state.fleet.order(run, CommandOrder { command_id: wait.command_id(), author, command }) {
        return Err(worker_away(run));
    }
    let record = wait.answer().await.ok_or_else(|| {
        ApiError::new(
            StatusCode::GATEWAY_TIMEOUT,
            "command_pending",
            format!("the worker of {run} has the command and has not answered within 30 s"),
        )
        .hint("it takes effect after the present step or evaluation; its event will be in the journal")
    })?;
    match record.event {
        Event::Refused { message, .. } => Err(ApiError::conflict("command_refused", message)),
        _ => Ok(record),
    }
}

/// What can be done to a run that no worker holds: a queued one can be stopped, any can be given a note.
async fn without_worker(
    state: &AppState,
    summary: &RunSummary,
    author: Author,
    command: Command,
) -> Result<EventRecord, ApiError> {
    let (event, becomes, reason) = match (command, summary.state) {
        (Command::Annotate { text }, _) => (Event::Annotated { text }, None, None),
        (Command::Stop { reason }, RunState::Queued) => (Event::Stopped, Some(RunState::Stopped), reason),
        (_, RunState::Queued) => {
            return Err(ApiError::conflict(
                "run_queued",
                format!("{} waits for its device and has not started", summary.id),
            )
            .hint("stop it, annotate it, or wait until it runs"));
        }
        (_, how) if how.is_over() => {
            let message = format!("{} is over ({how:?})", summary.id).to_lowercase();
            return Err(ApiError::conflict("run_over", message)
                .hint("start it again with changes: POST /api/v1/runs with its spec"));
        }
        _ => return Err(worker_away(&summary.id)),
    };
    let report = Report {
        segment: 0,
        step: summary.step,
        at_ms: now_ms(),
        author,
        command_id: None,
        reason,
        event,
        state: becomes,
    };
    runs::append(state, &summary.id, report).await
}

fn worker_away(run: &RunId) -> ApiError {
    ApiError::conflict("worker_away", format!("the worker which holds {run} is not connected, so it cannot be told"))
        .hint("it trains on and reports when it is back; try again in a few seconds")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::SetField;

    #[test]
    fn what_no_worker_could_do_is_refused_with_its_field() {
        let refused = |command: Command| check(&command).map_err(|error| error.body.field.unwrap_or_default());
        assert_eq!(refused(Command::Set { field: SetField::Rate, value: -1.0, reason: None }), Err("value".into()));
        assert_eq!(refused(Command::Step { steps: 0 }), Err("steps".into()));
        assert_eq!(refused(Command::Annotate { text: " ".into() }), Err("text".into()));
        assert_eq!(
            refused(Command::Sample { prompt: None, tokens: None, temperature: Some(f64::NAN) }),
            Err("temperature".into())
        );
        assert_eq!(refused(Command::Pause { reason: Some("x".repeat(TEXT_BYTES + 1)) }), Err("reason".into()));
        assert_eq!(refused(Command::Evaluate), Ok(()));
    }

    #[tokio::test]
    async fn the_event_finds_who_asked() {
        let pending = Pending::new(5);
        let wait = pending.expect();
        let gone = pending.expect();
        assert!(wait.command_id() != gone.command_id());
        let record = |command_id| EventRecord {
            number: 1,
            segment: 0,
            step: 3,
            at_ms: 0,
            author: Author::Lab,
            command_id: Some(command_id),
            reason: None,
            event: Event::Paused,
        };
        let gone_id = gone.command_id();
        drop(gone);
        pending.answer(&record(gone_id));
        pending.answer(&record(wait.command_id()));
        assert_eq!(wait.answer().await.map(|record| record.step), Some(3));
        assert!(pending.waiting.lock().unwrap().is_empty());
    }
}
