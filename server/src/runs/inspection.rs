//! Inspections that are requested one at a time: of a run as it trains, through its worker, or of a checkpoint, in a process with the model.
//! Inspections that follow the training are requested on the page's socket; see [`crate::live::subscriptions`].

use std::path::Path;
use std::time::Duration;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use store::PathState;
use tokio::time::timeout;
use utoipa::ToSchema;
use wire::control::checkpoint::CheckpointRef;
use wire::inspect::request::Inspection;
use wire::inspect::update::InspectionUpdate;
use wire::number::grouped;
use wire::{CheckpointId, LiveHyperparameters, RunId, encode};

use super::completion::{gone, no_checkpoint};
use super::{availability, origins, subprocess};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::slots::InferenceSlot;
use crate::live::subscriptions::{self, SubscriptionError};

/// Timeout for the answer of a worker: a step of a large model, and the inspection itself.
const LIVE_WITHIN: Duration = Duration::from_secs(10);
/// How long loading a checkpoint and the inspection may take.
const CHECKPOINT_WITHIN: Duration = Duration::from_secs(120);

/// An inspection to compute once. Without `checkpoint`, `step` and `live` it inspects the current weights of a run that is being trained,
/// else those of the newest checkpoint.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InspectionArgs {
    inspection: Inspection,
    /// Checkpoint of the run to inspect.
    #[schema(value_type = Option<String>)]
    checkpoint: Option<CheckpointId>,
    /// Inspects the newest checkpoint on the run's path at or before this step.
    step: Option<u64>,
    /// With `step`, the path to that step of this segment of the run, also an abandoned one; batches are those of that path. Before the first
    /// step of a fork the path is that of its parents.
    segment: Option<u32>,
    /// True inspects the current weights, false a checkpoint even if the run is being trained.
    live: Option<bool>,
}

/// The request that `kindling inspect` reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointInspection {
    pub run: RunId,
    /// Checkpoint of the run.
    pub checkpoint: CheckpointId,
    pub inspection: Inspection,
    /// Hyperparameters of the batches; those of the checkpoint by default.
    #[serde(default)]
    pub hyperparameters: Option<LiveHyperparameters>,
}

impl From<SubscriptionError> for ApiError {
    fn from(error: SubscriptionError) -> Self {
        let message = error.to_string();
        match error {
            SubscriptionError::Invalid { ref source, .. } => {
                let mut converted = Self::invalid("inspection_invalid", message).field("inspection");
                converted.body.hint = source.hint.clone();
                converted.source(error)
            }
            SubscriptionError::TooLarge { .. } => {
                Self::invalid("inspection_invalid", message).field("inspection").source(error)
            }
            SubscriptionError::PageLimit { .. } | SubscriptionError::RunLimit { .. } | SubscriptionError::TooOften => {
                Self::busy(message).hint("try again when another inspection is closed").source(error)
            }
        }
    }
}

/// Computes one inspection. The run does not change.
///
/// # Errors
/// 404 for an unknown run or checkpoint, 409 if the current weights are requested and no worker trains the run, 422 for an inspection
/// that the model cannot answer, 429 if too many are being computed, 504 if the worker does not answer.
pub async fn inspect(lab: &Lab, run: &RunId, args: InspectionArgs) -> Result<InspectionUpdate, ApiError> {
    subscriptions::check(&args.inspection)?;
    // Inspections read the text of the datasets.
    origins::check_run(lab, run).await?;
    if args.segment.is_some() && (args.step.is_none() || args.checkpoint.is_some()) {
        return Err(ApiError::invalid(
            "value_invalid",
            "segment was given without a step, or together with a checkpoint",
        )
        .field("segment")
        .hint("give step and segment"));
    }
    let names_checkpoint = args.checkpoint.is_some() || args.step.is_some();
    if names_checkpoint && args.live == Some(true) {
        return Err(ApiError::invalid("value_invalid", "live was given together with a checkpoint or a step")
            .field("live")
            .hint("give live, or a checkpoint or step"));
    }
    let is_trained = lab.workers.fleet.trains(run);
    if args.live == Some(true) && !is_trained {
        return Err(ApiError::conflict("run_not_live", format!("no worker trains {run}"))
            .hint("leave out live to inspect the newest checkpoint"));
    }
    let update = match is_trained && !names_checkpoint && args.live != Some(false) {
        true => inspect_live(lab, run, args.inspection).await?,
        false => inspect_checkpoint(lab, run, args).await?,
    };
    match update {
        InspectionUpdate::Failed { message, .. } => {
            Err(ApiError::invalid("inspection_invalid", message).field("inspection"))
        }
        update => Ok(update),
    }
}

/// Requests the inspection as a page would, and waits for its update.
async fn inspect_live(lab: &Lab, run: &RunId, inspection: Inspection) -> Result<InspectionUpdate, ApiError> {
    let key = inspection.key();
    let hub = &lab.feed.hub;
    let mut ticks = hub.follow(run);
    let mut subscriber = lab.workers.subscriptions.subscriber();
    let before = hub.cursor(run).tick;
    let shared = subscriber.request(run, vec![inspection])?;
    // Another page may have requested it already; a paused run does not compute it again.
    let step = lab.feed.summary(run).await?.step;
    let is_fresh = |at: u64, update: &InspectionUpdate| at > before || (shared.contains(&key) && update.step() == step);
    let received = async {
        loop {
            ticks.mark_unchanged();
            if let Some((_, update)) = hub.update(run, &key).filter(|(at, update)| is_fresh(*at, update.as_ref())) {
                return Some(update.as_ref().clone());
            }
            ticks.changed().await.ok()?;
        }
    };
    timeout(LIVE_WITHIN, received).await.ok().flatten().ok_or_else(|| {
        let message = format!("the worker of {run} did not answer within {} s", LIVE_WITHIN.as_secs());
        ApiError::new(StatusCode::GATEWAY_TIMEOUT, "inspection_late", message).hint(
            "a step may take long, or the worker is disconnected; {\"live\": false} inspects a checkpoint instead",
        )
    })
}

/// Inspects a checkpoint, which is not pruned meanwhile.
async fn inspect_checkpoint(lab: &Lab, run: &RunId, args: InspectionArgs) -> Result<InspectionUpdate, ApiError> {
    let step = args.step.unwrap_or(u64::MAX);
    let (at, hyperparameters) = match (args.checkpoint, args.segment) {
        (Some(checkpoint), _) => (CheckpointRef { run: run.clone(), checkpoint }, None),
        (None, Some(segment)) => {
            let PathState { at, hyperparameters } = newest_of_branch(lab, run, CheckpointId { segment, step }).await?;
            (at, Some(hyperparameters))
        }
        (None, None) => (newest(lab, run, step).await?, None),
    };
    if at.run != *run {
        origins::check_parent(lab, run, &at.run).await?;
    }
    availability::check(lab, &at.run, at.checkpoint).await?;
    let slot = lab.slots.take()?;
    let Some(_held) = lab.store().open_checkpoint(&at.run, at.checkpoint).await? else {
        return Err(gone(&at.run, at.checkpoint));
    };
    let CheckpointRef { run, checkpoint } = at;
    let request = CheckpointInspection { run, checkpoint, inspection: args.inspection, hyperparameters };
    let ended = timeout(CHECKPOINT_WITHIN, run_process(&lab.settings.data, &request, slot)).await;
    ended.unwrap_or_else(|late| Err(ApiError::internal("inspecting a checkpoint", late)))
}

/// The newest checkpoint on the way to a step of a segment, also of an abandoned one, and the hyperparameters of that way. It may be one of a
/// parent of a fork.
async fn newest_of_branch(lab: &Lab, run: &RunId, at: CheckpointId) -> Result<PathState, ApiError> {
    let history = lab.store().history(run).await?;
    if history.segments().iter().all(|known| known.segment != at.segment) {
        return Err(ApiError::invalid("value_invalid", format!("{run} has no segment {}", at.segment))
            .field("segment")
            .hint("GET /api/v1/runs/{id} lists the segments of a run"));
    }
    lab.store().checkpoint_towards(run, at).await?.ok_or_else(|| {
        let what = format!(
            "no checkpoint at or before step {} is kept on the path of segment {}",
            grouped(at.step),
            at.segment
        );
        no_checkpoint(run, what)
    })
}

/// The newest checkpoint on a run's path at or before a step. The path of a fork begins in its parents.
async fn newest(lab: &Lab, run: &RunId, step: u64) -> Result<CheckpointRef, ApiError> {
    let store = lab.store();
    let kept = store.checkpoint_ids(run).await?;
    let path = store.history(run).await?.path_checkpoints(run, &kept);
    if let Some(at) = path.into_iter().map(|found| found.at).find(|at| at.checkpoint.step <= step) {
        return Ok(at);
    }
    let origin = store.run(run).await?.and_then(|view| view.plan.origin).map(|origin| origin.from);
    if let Some(from) = &origin {
        let at = CheckpointId { segment: from.checkpoint.segment, step: from.checkpoint.step.min(step) };
        if let Some(found) = store.checkpoint_towards(&from.run, at).await? {
            return Ok(found.at);
        }
    }
    origin.filter(|from| from.checkpoint.step <= step).ok_or_else(|| {
        let when = if step == u64::MAX { "yet".to_owned() } else { format!("at or before step {}", grouped(step)) };
        let error = no_checkpoint(run, format!("the run has no checkpoint {when}"));
        match step == u64::MAX {
            true => error,
            // One that is saved now would be of a later step.
            false => {
                error.hint(format!("choose a later step; GET /api/v1/runs/{run}/checkpoints lists those that are kept"))
            }
        }
    })
}

/// Runs `kindling inspect`, which is killed when the caller disconnects.
async fn run_process(
    data: &Path,
    request: &CheckpointInspection,
    _slot: InferenceSlot,
) -> Result<InspectionUpdate, ApiError> {
    let output = subprocess::output(&["inspect", "--postcard"], data, request, "inspecting a checkpoint").await?;
    encode::from_bytes(&output).map_err(|source| ApiError::internal("decoding an inspection", source))
}
