//! Looks inside a run, asked for one by one: what was kept along its way, what its worker sees now, and what a checkpoint shows. What
//! stands and follows the training is asked for on the page's socket; see [`crate::probes`].

use std::path::Path as FilePath;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};
use wire::checkpoint::CheckpointRef;
use wire::frame::Frame;
use wire::look::Look;
use wire::{ApiErrorBody, CheckpointId, RunId, encode};

use crate::api_error::{ApiError, Body, Path, Query};
use crate::app_state::AppState;
use crate::auth::Viewer;
use crate::complete::{no_checkpoint, status_of};
use crate::runs::{store_error, summary};
use crate::series_api::answer;
use crate::{apart, probes};

/// Looks of one answer weigh no more than this; the rest is asked for from the next step on.
const ANSWER_BYTES: u64 = 32_000_000;
/// How long a worker is waited for: a step of a large model, and the look itself.
const LIVE_WITHIN: Duration = Duration::from_secs(10);
/// How long a checkpoint may take to be loaded and looked at.
const PAST_WITHIN: Duration = Duration::from_secs(120);

/// The steps on a run's path at which looks are kept, in order; those of the runs it was forked from too.
#[utoipa::path(get, path = "/runs/{id}/frames/steps", tag = "runs", params(("id" = RunId, Path)), responses((status = 200, body = Vec<u64>), (status = 404, body = ApiErrorBody)))]
pub async fn list_kept_steps(
    _: Viewer,
    State(state): State<AppState>,
    Path(run): Path<RunId>,
) -> Result<Json<Vec<u64>>, ApiError> {
    summary(&state, &run).await?;
    state.store.kept_steps(&run).await.map(Json).map_err(|source| store_error(&run, source))
}

/// Which look, and over which steps.
#[derive(Deserialize, IntoParams)]
pub struct WhichKept {
    /// What was looked at, as JSON: `{"map":{}}`.
    look: String,
    /// First step; 0 unless told.
    #[serde(default)]
    from: u64,
    /// Last step; the newest unless told.
    to: Option<u64>,
}

/// One look as it was kept along a run's path, in the order of steps. An answer holds at most 32 MB, and one look at least: ask on from
/// the step after its last. Accepts `application/x-postcard`.
#[utoipa::path(get, path = "/runs/{id}/frames/kept", tag = "runs", params(("id" = RunId, Path), WhichKept),
    responses((status = 200, body = Vec<Frame>), (status = 404, body = ApiErrorBody), (status = 422, body = ApiErrorBody)))]
pub async fn list_kept(
    _: Viewer,
    headers: HeaderMap,
    State(state): State<AppState>,
    Path(run): Path<RunId>,
    Query(which): Query<WhichKept>,
) -> Result<Response, ApiError> {
    let look: Look = serde_json::from_str(&which.look).map_err(|source| {
        ApiError::invalid("query_invalid", format!("that is no look: {source}"))
            .field("look")
            .hint("JSON like {\"map\":{}} or {\"attention\":{\"layer\":0}}; GET /api/v1/openapi.json describes all")
    })?;
    summary(&state, &run).await?;
    let range = (which.from, which.to.unwrap_or(u64::MAX));
    let frames = state.store.kept_frames(&run, &look, range, ANSWER_BYTES).await;
    answer(&headers, &frames.map_err(|source| store_error(&run, source))?)
}

/// What to see, and when. Without a checkpoint, a step or `live`: now where the run is at work, else at its newest checkpoint.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LookAsk {
    /// What to see.
    look: Look,
    /// With the weights of this checkpoint of the run.
    #[schema(value_type = Option<String>)]
    checkpoint: Option<CheckpointId>,
    /// With the weights of the newest checkpoint on the run's path at or before this step.
    step: Option<u64>,
    /// With the weights as they are now, or (false) with a checkpoint's though the run is at work.
    live: Option<bool>,
}

/// What a process of its own is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Whose checkpoint.
    pub run: RunId,
    /// Which.
    pub checkpoint: CheckpointId,
    /// What to see.
    pub look: Look,
}

/// Sees one thing inside a run, once: through its worker, between two steps, or with a checkpoint in a process of its own. It changes
/// nothing. Accepts `application/x-postcard`, which keeps numbers that are none.
#[utoipa::path(post, path = "/runs/{id}/look", tag = "runs", params(("id" = RunId, Path)), request_body = LookAsk,
    responses((status = 200, body = Frame), (status = 404, description = "No such run or checkpoint.", body = ApiErrorBody),
        (status = 409, description = "The run is not at work.", body = ApiErrorBody),
        (status = 422, description = "The look cannot be answered by this model.", body = ApiErrorBody),
        (status = 429, description = "Too many look already.", body = ApiErrorBody),
        (status = 504, description = "Its worker did not answer in time.", body = ApiErrorBody)))]
pub async fn look(
    _: Viewer,
    headers: HeaderMap,
    State(state): State<AppState>,
    Path(run): Path<RunId>,
    Body(ask): Body<LookAsk>,
) -> Result<Response, ApiError> {
    probes::check(&ask.look).map_err(|message| ApiError::invalid("look_invalid", message).field("look"))?;
    summary(&state, &run).await?;
    let names_past = ask.checkpoint.is_some() || ask.step.is_some();
    if names_past && ask.live == Some(true) {
        return Err(ApiError::invalid("value_invalid", "now, or with a checkpoint: not both").field("live"));
    }
    let is_held = state.fleet.holds(&run);
    if ask.live == Some(true) && !is_held {
        return Err(ApiError::conflict("run_not_live", format!("{run} is not at work"))
            .hint("leave out live to look with a checkpoint"));
    }
    let frame = match is_held && !names_past && ask.live != Some(false) {
        true => see_now(&state, &run, ask.look).await?,
        false => see_past(&state, &run, ask).await?,
    };
    match &frame {
        Frame::Unseen { message, .. } => Err(ApiError::invalid("look_invalid", message.clone()).field("look")),
        _ => answer(&headers, &frame),
    }
}

/// Asks the worker as one more page would, and waits for what it says.
async fn see_now(state: &AppState, run: &RunId, look: Look) -> Result<Frame, ApiError> {
    let key = look.key();
    let mut ticks = state.hub.follow(run);
    let mut seer = state.probes.seer();
    let before = state.hub.cursor(run).tick;
    let watched = seer.want(run, vec![look]).map_err(|message| {
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "busy", message).hint("try again when something else is closed")
    })?;
    // What others watch may be here already: a run that holds is not looked at again.
    let step = summary(state, run).await?.step;
    let is_fresh = |at: u64, frame: &Frame| at > before || (watched.contains(&key) && frame.step() == step);
    let seen = async {
        loop {
            ticks.mark_unchanged();
            if let Some(frame) = state.hub.sight(run, &key).filter(|(at, frame)| is_fresh(*at, frame.as_ref())) {
                return Some(frame.1.as_ref().clone());
            }
            ticks.changed().await.ok()?;
        }
    };
    timeout(LIVE_WITHIN, seen).await.ok().flatten().ok_or_else(|| {
        let message = format!("the worker of {run} has not looked within {} s", LIVE_WITHIN.as_secs());
        ApiError::new(StatusCode::GATEWAY_TIMEOUT, "look_late", message).hint(
            "a step may take long, or its link is down; a checkpoint can be looked at meanwhile: {\"live\": false}",
        )
    })
}

/// Looks with a checkpoint, which stays where it is while it is read.
async fn see_past(state: &AppState, run: &RunId, ask: LookAsk) -> Result<Frame, ApiError> {
    let at = match ask.checkpoint {
        Some(checkpoint) => CheckpointRef { run: run.clone(), checkpoint },
        None => newest(state, run, ask.step.unwrap_or(u64::MAX)).await?,
    };
    let seat = state.seats.take().map_err(|_| {
        ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "busy",
            "as many checkpoints are being read as the lab reads at a time",
        )
        .hint("try again when one of them is done")
    })?;
    let held = state.store.hold_checkpoint(&at.run, at.checkpoint).await;
    let Some(_held) = held.map_err(|source| store_error(&at.run, source))? else {
        return Err(
            no_checkpoint(format!("{} has no checkpoint {} (any more)", at.run, at.checkpoint)).field("checkpoint")
        );
    };
    let question = Question { run: at.run, checkpoint: at.checkpoint, look: ask.look };
    let seen = timeout(PAST_WITHIN, see_apart(&state.settings.data, &question, seat)).await;
    seen.unwrap_or_else(|_| {
        Err(ApiError::internal("looking", format!("nothing seen after {} s", PAST_WITHIN.as_secs())))
    })
}

/// The newest checkpoint on a run's path at or before a step; a fork's first state is its parent's.
async fn newest(state: &AppState, run: &RunId, step: u64) -> Result<CheckpointRef, ApiError> {
    let failed = |source| store_error(run, source);
    let kept = state.store.kept(run).await.map_err(failed)?;
    let path = state.store.history(run).await.map_err(failed)?.path_checkpoints(run, &kept);
    let own = path.into_iter().map(|found| found.at).find(|at| at.checkpoint.step <= step);
    if let Some(at) = own {
        return Ok(at);
    }
    let view = state.store.run(run).await.map_err(failed)?;
    let origin = view.and_then(|view| view.plan.origin).map(|origin| origin.from);
    origin.filter(|from| from.checkpoint.step <= step).ok_or_else(|| {
        let when = if step == u64::MAX { "yet".to_owned() } else { format!("at or before step {step}") };
        no_checkpoint(format!("{run} has no checkpoint {when}"))
    })
}

/// Looks in a process of its own; whoever asked and goes away takes it along.
async fn see_apart(data: &FilePath, question: &Question, _seat: OwnedSemaphorePermit) -> Result<Frame, ApiError> {
    let process = apart::ask(&["look", "--postcard"], data, question).await?;
    let output = process.wait_with_output().await;
    let output = output.map_err(|source| ApiError::internal("waiting for a process that looks", source))?;
    if output.status.success() {
        return encode::from_bytes(&output.stdout)
            .map_err(|source| ApiError::internal("reading what was seen", source));
    }
    match serde_json::from_slice::<ApiErrorBody>(&output.stdout) {
        Ok(body) => {
            let mut refusal = ApiError::new(status_of(&body.code), &body.code, "");
            *refusal.body = body;
            Err(refusal)
        }
        Err(_) => Err(ApiError::internal("looking", format!("its process ended with {}", output.status))
            .hint("too little memory is the usual cause; the server's log may say more")),
    }
}
