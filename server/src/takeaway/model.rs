//! A checkpoint as a folder that `transformers` loads, in one tarball.

use std::io::{self, Write};
use std::path::Path;

use axum::extract::State;
use axum::response::Response;
use engine::interop::WEIGHTS;
use engine::interop::export::Export;
use engine::{EngineError, checkpoint, dataset};
use wire::{ApiErrorBody, CheckpointId, RunId};

use super::pipe::stream;
use super::tarball::Tarball;
use crate::api_error::{ApiError, Path as Named};
use crate::app_state::AppState;
use crate::auth::Viewer;
use crate::clock::now_ms;
use crate::runs::{store_error, summary};
use crate::steer;

/// A checkpoint as a folder that Hugging Face's `transformers` loads (`AutoModelForCausalLM`, `AutoTokenizer`), as one tar: config.json,
/// model.safetensors, tokenizer.json. For models of GPT-2's or Llama's shape.
#[utoipa::path(get, path = "/runs/{id}/checkpoints/{cid}/export", tag = "runs", params(("id" = RunId, Path), ("cid" = String, Path)),
    responses((status = 200, description = "A tar of one folder.", content_type = "application/x-tar", body = Vec<u8>),
        (status = 404, body = ApiErrorBody), (status = 409, description = "The checkpoint is gone or damaged.", body = ApiErrorBody),
        (status = 422, description = "A model that transformers does not know.", body = ApiErrorBody)))]
pub async fn export_checkpoint(
    _: Viewer,
    State(state): State<AppState>,
    Named((run, id)): Named<(RunId, CheckpointId)>,
) -> Result<Response, ApiError> {
    summary(&state, &run).await?;
    let held = state.store.hold_checkpoint(&run, id).await.map_err(|source| store_error(&run, source))?;
    let Some(held) = held else {
        return Err(steer::no_checkpoint(&run, &id.to_string(), &steer::kept(&state, &run).await?));
    };
    let (data, of) = (state.settings.data.clone(), run.clone());
    let opened = tokio::task::spawn_blocking(move || open(&data, &of, id)).await;
    let export = opened.map_err(|source| ApiError::internal("opening a checkpoint", source))?.map_err(refused)?;
    let name = format!("{run}-{id}");
    Ok(stream("application/x-tar", &format!("{name}.tar"), move |out| {
        let _held = held;
        write(&export, &name, out)
    }))
}

/// A lab's checkpoint, ready to go.
///
/// # Errors
/// A checkpoint that is damaged, a tokenizer that is gone with its text, a model that others do not know.
pub fn open(data: &Path, run: &RunId, id: CheckpointId) -> Result<Export, EngineError> {
    let saved = checkpoint::open(&checkpoint::folder(&data.join("checkpoints"), run, id))?;
    let plan = &saved.manifest.plan;
    let tokenizer = dataset::open_tokenizer(&data.join("corpora"), &plan.corpora(), plan.tokenizer)?;
    Export::new(saved, &tokenizer)
}

fn write(export: &Export, name: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut tarball = Tarball::new(out, name, now_ms());
    for (path, content) in &export.files {
        tarball.add(path, content)?;
    }
    tarball.add_with(WEIGHTS, export.weights_bytes(), |out| export.write_weights(out).map_err(io::Error::other))?;
    tarball.close()
}

/// What the engine says of a model that cannot go or come.
pub fn refused(error: EngineError) -> ApiError {
    match error {
        EngineError::Interop { what, message, hint } => {
            ApiError::invalid("model_refused", format!("{what}: {message}")).hint(hint)
        }
        EngineError::Data(source) => source.into(),
        EngineError::Checkpoint { .. } => {
            ApiError::conflict("checkpoint_damaged", error.to_string()).hint("choose an older checkpoint")
        }
        other => ApiError::internal("reading a model", other),
    }
}
