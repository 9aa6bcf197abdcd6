//! Routes of exports and imports.

use web_sys::{File, FormData};
use wire::{CheckpointId, RunId, RunView};

use super::failure::ApiFailure;
use super::request::{escape, post_form, read, refusal};
use crate::base::at;

/// Address of a checkpoint in the format of Hugging Face's `transformers`.
pub(crate) fn model_path(run: &RunId, checkpoint: CheckpointId) -> String {
    at(&format!("/api/v1/runs/{run}/checkpoints/{checkpoint}/export"))
}

/// Address of an export of a run: `series.csv`, `series.parquet` or `archive`.
pub(crate) fn run_path(run: &RunId, what: &str) -> String {
    at(&format!("/api/v1/runs/{run}/{what}"))
}

/// Imports the archive of a run or the files of a model into a project, `default` by default, and passes the fraction sent, 0 to 1, to
/// `sent`.
pub(crate) async fn import(
    files: &[File],
    project: Option<&str>,
    sent: impl Fn(f64) + 'static,
) -> Result<RunView, ApiFailure> {
    let form = FormData::new().map_err(|_| ApiFailure::unreachable())?;
    for file in files {
        form.append_with_blob_and_filename("file", file, &file.name()).map_err(|_| ApiFailure::unreachable())?;
    }
    let query = project.map(|project| format!("?project={}", escape(project))).unwrap_or_default();
    let (status, text) = post_form(&at(&format!("/api/v1/runs/import{query}")), &form, sent).await?;
    if (200..300).contains(&status) { read(&text) } else { Err(refusal(status, &text)) }
}
