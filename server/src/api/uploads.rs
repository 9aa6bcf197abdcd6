//! Uploads in two steps: the files are sent and previewed, then imported with the options that the preview was right with.

use std::path::Path as FilePath;

use axum::Json;
use axum::body::Body as Content;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use wire::ApiErrorBody;
use wire::data::corpus::{CorpusInfo, Job};
use wire::data::import::{ImportArgs, ImportOptions, ImportRefusal, StagedUpload};

use super::answer::answer;
use super::extract::{Body, Path, Query};
use crate::auth::{Contributor, datasets};
use crate::data::staged::UploadOwner;
use crate::data::upload::{UploadQuery, set_option};
use crate::error::ApiError;
use crate::lab::Lab;

/// Receives the files of a dataset without importing them, and previews the import: documents, encodings, fields, what is skipped. The
/// upload is kept for an hour after its last request. Of large files, only the beginning is read. Only its sender may preview, import and
/// delete it. A sender can have at most 4 uploads at the same time.
#[utoipa::path(post, path = "/uploads", tag = "data", params(UploadQuery, ImportOptions),
    request_body(content = Vec<u8>, description = "As for POST /corpora.", content_type = "application/octet-stream"),
    responses((status = 201, body = StagedUpload), (status = 413, description = "The upload is too large.", body = ApiErrorBody),
        (status = 409, description = "The project has reached its limit of disk.", body = ApiErrorBody),
        (status = 422, description = "The form has no file, or an option is invalid.", body = ApiErrorBody),
        (status = 429, description = "Too many uploads wait.", body = ApiErrorBody), (status = 507, description = "The disk is full.", body = ApiErrorBody)))]
pub async fn stage_upload(
    Contributor(identity): Contributor,
    State(lab): State<Lab>,
    Query(pairs): Query<Vec<(String, String)>>,
    request: Request,
) -> Result<(StatusCode, Json<StagedUpload>), ApiError> {
    let (query, options) = upload_query(pairs)?;
    if query.project.is_some() {
        // Before anything is received; the import checks it again.
        datasets::project_for(&lab, &identity, query.project.clone()).await?;
    }
    let owner = UploadOwner::of(&identity);
    let staged = lab.data.stage(owner, query, options, lab.settings.upload_bytes, request).await?;
    Ok((StatusCode::CREATED, Json(staged)))
}

/// Previews the import of a waiting upload with these options.
#[utoipa::path(get, path = "/uploads/{id}", tag = "data", params(("id" = String, Path), ImportOptions),
    responses((status = 200, body = StagedUpload), (status = 404, body = ApiErrorBody), (status = 422, description = "An option is invalid.", body = ApiErrorBody)))]
pub async fn preview_upload(
    Contributor(identity): Contributor,
    State(lab): State<Lab>,
    Path(id): Path<String>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<StagedUpload>, ApiError> {
    let mut options = ImportOptions::default();
    pairs.iter().try_for_each(|(key, value)| set_option(&mut options, key, value))?;
    lab.data.preview(UploadOwner::of(&identity), &id, options).await.map(Json)
}

/// Deletes a waiting upload.
#[utoipa::path(delete, path = "/uploads/{id}", tag = "data", params(("id" = String, Path)), responses((status = 204), (status = 404, body = ApiErrorBody)))]
pub async fn discard_upload(
    Contributor(identity): Contributor,
    State(lab): State<Lab>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    lab.data.discard(UploadOwner::of(&identity), &id)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Imports a waiting upload as a dataset. Long work continues as a job. A refused import can be tried again with other options.
#[utoipa::path(post, path = "/uploads/{id}/import", tag = "data", params(("id" = String, Path)), request_body = ImportArgs,
    responses((status = 201, body = CorpusInfo), (status = 202, body = Job), (status = 404, body = ApiErrorBody), (status = 409, description = "The project has reached its limit of disk.", body = ApiErrorBody),
        (status = 413, description = "The files contain too much text.", body = ApiErrorBody),
        (status = 422, description = "The files contain no text, no record has the field, or the import is strict and something would be skipped.", body = ImportRefusal),
        (status = 507, description = "The disk is full.", body = ApiErrorBody)))]
pub async fn import_upload(
    Contributor(identity): Contributor,
    State(lab): State<Lab>,
    Path(id): Path<String>,
    Body(ImportArgs { name, options, project }): Body<ImportArgs>,
) -> Result<Response, ApiError> {
    let project = datasets::project_for(&lab, &identity, project).await?;
    let owner = UploadOwner::of(&identity);
    let outcome = lab.data.added_by(&identity, project).import_staged(owner, &id, name.as_deref(), options).await?;
    Ok(answer(StatusCode::CREATED, outcome))
}

/// Returns everything that the last preview of a waiting upload skipped or repaired: file, line, outcome, reason, message.
#[utoipa::path(get, path = "/uploads/{id}/skipped.csv", tag = "data", params(("id" = String, Path)),
    responses((status = 200, content_type = "text/csv", body = String), (status = 404, body = ApiErrorBody)))]
pub async fn list_skipped_of_upload(
    Contributor(identity): Contributor,
    State(lab): State<Lab>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    send_csv(&lab.data.staged_issues(UploadOwner::of(&identity), &id)?, "skipped.csv").await
}

/// The name and the options of an upload from its query.
///
/// # Errors
/// 422 for an unknown parameter or an invalid value.
pub(super) fn upload_query(pairs: Vec<(String, String)>) -> Result<(UploadQuery, ImportOptions), ApiError> {
    let (mut query, mut options) = (UploadQuery::default(), ImportOptions::default());
    for (key, value) in pairs {
        match key.as_str() {
            "name" => query.name = Some(value),
            "filename" => query.filename = Some(value),
            "project" => query.project = Some(value),
            _ => set_option(&mut options, &key, &value)?,
        }
    }
    Ok((query, options))
}

/// A file as a download, read block by block.
pub(super) async fn send_csv(path: &FilePath, name: &str) -> Result<Response, ApiError> {
    let file = tokio::fs::File::open(path).await;
    let file = file.map_err(|source| ApiError::internal("reading the list of skipped files", source))?;
    let blocks = futures_util::stream::unfold(file, |mut file| async move {
        let mut block = vec![0; 64 * 1024];
        match tokio::io::AsyncReadExt::read(&mut file, &mut block).await {
            Ok(0) => None,
            Ok(read) => {
                block.truncate(read);
                Some((Ok(block), file))
            }
            Err(error) => Some((Err(error), file)),
        }
    });
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, Content::from_stream(blocks)).into_response())
}
