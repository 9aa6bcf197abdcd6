//! Imports Optuna studies as sweeps.

use axum::extract::Request;
use store::{Identity, StoreError};
use wire::sweep::record::Sweep;

use crate::data::upload::Upload;
use crate::error::ApiError;
use crate::lab::Lab;

/// Largest file, bytes: a study of 2,000 trials with 64 parameters and 100 values each takes about 30 MB.
const MAX_BYTES: u64 = 64_000_000;

/// Imports a study from the file in a request.
///
/// # Errors
/// 413 for a large file, 422 for one that is not an Optuna file, lacks the study, or exceeds the limits of a sweep; an interrupted upload; an
/// error of the store.
pub async fn import(
    lab: &Lab,
    identity: &Identity,
    request: Request,
    study: Option<&str>,
    project: &str,
) -> Result<Sweep, ApiError> {
    // The folder of the upload is deleted when it is dropped.
    let mut upload = Upload::new(&lab.data, MAX_BYTES)?;
    upload.receive(request, "study.db").await?;
    let [(_, file)] = upload.files.as_slice() else {
        return Err(ApiError::invalid("study_invalid", format!("{} files were sent", upload.files.len()))
            .hint("send one SQLite file of Optuna"));
    };
    let imported = lab.store().import_study(file, study, project, identity.creator()).await;
    let sweep = imported.map_err(|error| match error {
        StoreError::InvalidImport { .. } => ApiError::invalid("study_invalid", error.to_string()).source(error),
        other => other.into(),
    })?;
    lab.feed.lab_changed();
    Ok(sweep)
}
