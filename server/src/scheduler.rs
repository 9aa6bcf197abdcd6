//! Hands queued runs to idle devices, in the order of each device's queue. A run whose text has not been cut into tokens
//! waits at the head of its queue while that is done; one of which a worker has yet to deliver reports lets others pass.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wire::corpus::DatasetInfo;
use wire::device::DeviceInfo;
use wire::event::Author;
use wire::run::References;
use wire::{Event, RunId, RunPlan, RunState};

use crate::api_error::ApiError;
use crate::app_state::AppState;
use crate::corpora::begin_job;
use crate::runs::{append, report_of, store_error};

/// Looked at even when nobody called, in case a call was missed.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Runs at the head of a queue that are looked at, where the first cannot start yet.
const AHEAD: u32 = 20;

/// Runs whose text is being cut.
type Preparing = Arc<Mutex<HashSet<RunId>>>;

/// Goes on for as long as the server.
pub async fn schedule(state: AppState) {
    let preparing = Preparing::default();
    loop {
        // Whoever wakes it has changed something; a time-out is the same without the hurry.
        let _ = tokio::time::timeout(LOOK_EVERY, state.scheduler.notified()).await;
        for device in state.fleet.idle() {
            if let Err(error) = serve_device(&state, &preparing, &device).await {
                tracing::error!("the queue of {} could not be served: {}", device.id, error.body.message);
            }
        }
    }
}

async fn serve_device(state: &AppState, preparing: &Preparing, device: &DeviceInfo) -> Result<(), ApiError> {
    let queue = state.store.queue(&device.id, device.kind, AHEAD).await;
    let queue = queue.map_err(|source| ApiError::internal("reading the queue", source))?;
    let next = queue.into_iter().find(|(run, plan)| !state.fleet.owes(run) && fits(plan, device));
    let Some((run, plan)) = next else { return Ok(()) };
    if preparing.lock().unwrap_or_else(PoisonError::into_inner).contains(&run) {
        return Ok(());
    }
    let Some(made) = state.texts.dataset(&plan).await else {
        preparing.lock().unwrap_or_else(PoisonError::into_inner).insert(run.clone());
        tokio::spawn(prepare(state.clone(), preparing.clone(), run, plan));
        return Ok(());
    };
    if let Err(error) = check_length(&plan, &made) {
        fail(state, &run, "it cannot start", &error).await?;
        state.wake_scheduler();
        return Ok(());
    }
    start(state, device, &run).await
}

/// Both sides of the split must hold a window of the plan; how many tokens a text has is known only once it is cut.
fn check_length(plan: &RunPlan, made: &DatasetInfo) -> Result<(), ApiError> {
    let (window, shortest) = (plan.recipe.model.seq as u64 + 1, made.train_tokens.min(made.valid_tokens));
    if shortest >= window {
        return Ok(());
    }
    let message = format!(
        "its text is too short: {shortest} {} tokens on one side of its split, and one window takes {window}",
        plan.tokenizer
    );
    let error = ApiError::invalid("text_too_short", message);
    Err(match shortest {
        0..=2 => error.hint("bring more text"),
        _ => error.hint(format!("set model.seq to {}, or bring more text", shortest - 1)),
    })
}

/// A run that waits for any device of a kind was planned for another one of it.
fn fits(plan: &RunPlan, device: &DeviceInfo) -> bool {
    plan.device == device.id || device.memory_bytes == 0 || plan.estimate(device).memory_bytes <= device.memory_bytes
}

/// The state is written first: a run must never be handed out twice.
async fn start(state: &AppState, device: &DeviceInfo, run: &RunId) -> Result<(), ApiError> {
    let failed = |source| store_error(run, source);
    set_state(state, run, RunState::Starting, None).await?;
    let plan = state.store.place_on(run, &device.id, &device.name).await.map_err(failed)?;
    let (past, seq) =
        (state.store.past(run).await.map_err(failed)?, state.store.stored_seq(run).await.map_err(failed)?);
    if !state.fleet.assign(&device.id, run, plan, past, seq) {
        return set_state(state, run, RunState::Queued, None).await;
    }
    state.probes.tell(run);
    Ok(())
}

/// Cuts a run's texts into tokens; a text that cannot be cut fails the run.
async fn prepare(state: AppState, preparing: Preparing, run: RunId, plan: RunPlan) {
    let texts = plan.corpora();
    let named = texts.iter().map(|text| text.as_str()).collect::<Vec<_>>().join(" and ");
    let ended = match texts.first() {
        Some(first) => {
            let title = format!("Cutting {named} into {} tokens", plan.tokenizer);
            // What people see of it is a nicety; the run starts without.
            let _ = set_state(&state, &run, RunState::Queued, Some(format!("{title}; then it starts"))).await;
            let job = begin_job(&state, title, first.clone(), "bytes");
            note_references(&state, &run, &plan, state.texts.prepare(texts, plan.tokenizer, job).await).await
        }
        None => Err(ApiError::invalid("plan_invalid", "the plan names no text")),
    };
    let noted = match ended {
        Ok(()) => set_state(&state, &run, RunState::Queued, None).await,
        Err(error) => fail(&state, &run, "its text could not be cut into tokens", &error).await,
    };
    if let Err(error) = noted {
        tracing::error!("what became of the text of {run} could not be stored: {}", error.body.message);
    }
    preparing.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
    state.wake_scheduler();
}

/// Once its text is cut, the lines that a run's loss is read against are known.
async fn note_references(
    state: &AppState,
    run: &RunId,
    plan: &RunPlan,
    made: Result<DatasetInfo, ApiError>,
) -> Result<(), ApiError> {
    let references = References::new(plan.recipe.model.vocab, Some(&made?));
    state.store.set_references(run, &references).await.map(drop).map_err(|source| store_error(run, source))
}

async fn fail(state: &AppState, run: &RunId, what: &str, error: &ApiError) -> Result<(), ApiError> {
    let hint = error.body.hint.as_ref().map_or(String::new(), |hint| format!("; {hint}"));
    let message = format!("{what}: {}{hint}", error.body.message);
    append(state, run, report_of(Author::Lab, 0, Event::Failed { message }, Some(RunState::Failed))).await.map(drop)
}

/// Writes how a run stands; a run that was stopped or deleted meanwhile stays as it is.
async fn set_state(state: &AppState, run: &RunId, becomes: RunState, message: Option<String>) -> Result<(), ApiError> {
    let now = crate::runs::summary(state, run).await?;
    if now.state.is_over() || now.deleted_ms.is_some() {
        return Err(ApiError::conflict("run_over", format!("{run} has ended meanwhile")));
    }
    let after = state.store.set_state(run, becomes, message).await.map_err(|source| store_error(run, source))?;
    state.hub.publish(after, vec![], vec![], vec![]);
    Ok(())
}
