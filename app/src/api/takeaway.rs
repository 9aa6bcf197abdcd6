//! Routes of what leaves the lab and comes into it.

use web_sys::{File, FormData};
use wire::{CheckpointId, RunId, RunView};

use super::{ApiFailure, post_form, read, refusal};

/// Where a saved state can be taken away from, for Hugging Face's `transformers`.
pub(crate) fn model_path(run: &RunId, checkpoint: CheckpointId) -> String {
    format!("/api/v1/runs/{run}/checkpoints/{checkpoint}/export")
}

/// Where a run's curves can be had: `series.csv` or `series.parquet`; or the whole run: `archive`.
pub(crate) fn run_path(run: &RunId, what: &str) -> String {
    format!("/api/v1/runs/{run}/{what}")
}

/// Brings in an archive or a model's files; `sent` is told the share that has gone out.
pub(crate) async fn import(files: &[File], sent: impl Fn(f64) + 'static) -> Result<RunView, ApiFailure> {
    let form = FormData::new().map_err(|_| ApiFailure::unreachable())?;
    for file in files {
        form.append_with_blob_and_filename("file", file, &file.name()).map_err(|_| ApiFailure::unreachable())?;
    }
    let (status, text) = post_form("/api/v1/runs/import", &form, sent).await?;
    if (200..300).contains(&status) { read(&text) } else { Err(refusal(status, &text)) }
}
