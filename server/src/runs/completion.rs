//! Texts that checkpoints complete. A process with the model writes them; it is killed when the caller disconnects.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use wire::completion::{CompletionLine, CompletionRequest};
use wire::{ApiErrorBody, CheckpointId, RunId};

use super::steering::checkpoint_named;
use super::{availability, subprocess};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::slots::InferenceSlot;

/// A model that has generated nothing after this time is given up.
const FIRST_LINE_WITHIN: Duration = Duration::from_secs(120);

/// The folder of a run's checkpoints.
pub fn checkpoints_dir(data: &Path, run: &RunId) -> PathBuf {
    data.join("checkpoints").join(run.as_str())
}

/// The checkpoints in a folder, newest first.
pub fn checkpoints_in(folder: &Path) -> Vec<CheckpointId> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut ids: Vec<CheckpointId> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    ids.sort_by(|a, b| b.cmp(a));
    ids
}

/// Completes a prompt: one line of JSON for each token, and a last line that says how it ended.
///
/// # Errors
/// 404 for an unknown run or checkpoint, 422 for an invalid request, 429 if no slot is free; the process failed before its first token.
pub async fn complete(lab: &Lab, request: CompletionRequest) -> Result<impl Stream<Item = String> + use<>, ApiError> {
    request.check().map_err(ApiError::invalid_value)?;
    let request = resolve(lab, request).await?;
    let slot = lab.slots.take()?;
    let mut writer = Writer::start(&lab.settings.data, &request, slot).await?;
    let first = writer.first_line().await?;
    Ok(unfold((Some(first), writer), |(first, mut writer)| async move {
        let line = match first {
            Some(line) => line,
            None => writer.next_line().await?,
        };
        Some((line, (None, writer)))
    }))
}

/// The checkpoint of a completion. A fork without own checkpoints uses the one from which it started.
async fn resolve(lab: &Lab, request: CompletionRequest) -> Result<CompletionRequest, ApiError> {
    let run = request.run.clone();
    lab.feed.summary(&run).await?;
    let folder = checkpoints_dir(&lab.settings.data, &run);
    if let Some(checkpoint) = request.checkpoint {
        availability::check(lab, &run, checkpoint).await?;
        return match folder.join(checkpoint.to_string()).is_dir() {
            true => Ok(request),
            false => Err(gone(&run, checkpoint)),
        };
    }
    if !checkpoints_in(&folder).is_empty() {
        return Ok(request);
    }
    let origin = lab.store().run(&run).await?.and_then(|view| view.plan.origin).map(|origin| origin.from);
    availability::check_any(lab, &run).await?;
    let Some(from) = origin else { return Err(no_checkpoint(&run, "the run has no checkpoints yet".to_owned())) };
    Ok(CompletionRequest { run: from.run, checkpoint: Some(from.checkpoint), ..request })
}

/// 404 for a checkpoint that is not kept.
pub(super) fn gone(run: &RunId, checkpoint: CheckpointId) -> ApiError {
    let named = checkpoint_named(checkpoint);
    no_checkpoint(run, format!("{named} does not exist or has been deleted")).field("checkpoint")
}

/// 404 for a checkpoint of a run.
pub(super) fn no_checkpoint(run: &RunId, message: String) -> ApiError {
    ApiError::not_found(message).hint(format!(
        "save a checkpoint first: {{\"kind\": \"checkpoint\"}}; GET /api/v1/runs/{run}/checkpoints lists those that are kept"
    ))
}

/// A process that generates a text. When this is dropped, the process is killed and its slot is free.
struct Writer {
    lines: Lines<BufReader<ChildStdout>>,
    is_over: bool,
    _process: Child,
    _slot: InferenceSlot,
}

impl Writer {
    async fn start(data: &Path, request: &CompletionRequest, slot: InferenceSlot) -> Result<Self, ApiError> {
        let mut process = subprocess::start(&["complete"], data, request).await?;
        let output = process.stdout.take();
        let output =
            output.ok_or_else(|| ApiError::internal("starting a process with a model", "it has no standard output"))?;
        Ok(Self { lines: BufReader::new(output).lines(), is_over: false, _process: process, _slot: slot })
    }

    /// The first line; a line with an error becomes that error.
    async fn first_line(&mut self) -> Result<String, ApiError> {
        let line = tokio::time::timeout(FIRST_LINE_WITHIN, self.next_line()).await;
        let line = line.map_err(|late| ApiError::internal("loading the checkpoint", late))?;
        let line = line.unwrap_or_default();
        match serde_json::from_str(&line) {
            Ok(CompletionLine::Failed { error }) => Err(ApiError::from_process(error)),
            _ => Ok(line),
        }
    }

    /// The next line with its line feed. A process that ends without a last line is given one with an error.
    async fn next_line(&mut self) -> Option<String> {
        if self.is_over {
            return None;
        }
        let line = self.lines.next_line().await.ok().flatten().unwrap_or_else(died);
        self.is_over = !matches!(serde_json::from_str(&line), Ok(CompletionLine::Token(_)));
        Some(line + "\n")
    }
}

fn died() -> String {
    let error = ApiErrorBody {
        code: "internal".into(),
        message: "the process that generated this text ended unexpectedly".into(),
        field: None,
        hint: Some("too little memory is the usual cause; see the log of the server".into()),
    };
    serde_json::to_string(&CompletionLine::Failed { error }).unwrap_or_default()
}
