//! Datasets and checkpoints for workers of other machines. Every route needs a worker's token, and a run that is assigned to that worker.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use engine::DataError;
use engine::data::dataset_files;
use serde::Deserialize;
use utoipa::IntoParams;
use wire::transport::transfer::{
    MAX_SAVED, ReceivedBytes, SavedCheckpoint, StoredCheckpoint, TransferFile, UploadVerdict, WorkerPool,
};
use wire::{ApiErrorBody, CheckpointId, RunId, RunPlan};

use super::extract::{Body, Path, Query};
use crate::auth::Worker;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::workers::transfer::uploads::{self, CheckpointFile};
use crate::workers::transfer::{access, contents};

/// Returns the setting of its pool that a worker needs: how many runs each device trains at once.
#[utoipa::path(get, path = "/transfer/pool", tag = "transfer",
    responses((status = 200, body = WorkerPool), (status = 404, description = "The token belongs to no worker.", body = ApiErrorBody)))]
pub async fn get_pool(Worker(worker): Worker, State(lab): State<Lab>) -> Result<Json<WorkerPool>, ApiError> {
    let own = lab.store().worker_of_token(worker.token_id).await?;
    let own = own.ok_or_else(|| ApiError::not_found("the token belongs to no worker").hint("join again"))?;
    Ok(Json(WorkerPool { runs_at_once: lab.workers.fleet.limit(&own.pool) }))
}

/// Lists the files of a run's tokenized dataset: its text's description, its tokenizer and its token shards.
#[utoipa::path(get, path = "/transfer/runs/{id}/dataset", tag = "transfer", params(("id" = RunId, Path)),
    responses((status = 200, body = Vec<TransferFile>),
        (status = 409, description = "The dataset was deleted, or replaced by another with its name.", body = ApiErrorBody)))]
pub async fn list_dataset_files(
    Worker(worker): Worker,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
) -> Result<Json<Vec<TransferFile>>, ApiError> {
    access::of_run(&lab.workers, &worker, &run).await?;
    let listed = dataset_of(&lab, &run).await?;
    Ok(Json(listed.into_iter().map(|(file, _)| file).collect()))
}

/// A file of a run's tokenized dataset. `Range: bytes=N-` requests the rest from byte N on.
#[utoipa::path(get, path = "/transfer/runs/{id}/dataset/{file}", tag = "transfer", params(("id" = RunId, Path), ("file" = String, Path)),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "The rest of the file.", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 409, description = "The dataset was deleted, or replaced by another with its name.", body = ApiErrorBody),
        (status = 416, description = "The range is not one of the file.", body = ApiErrorBody)))]
pub async fn get_dataset_file(
    Worker(worker): Worker,
    State(lab): State<Lab>,
    Path((run, name)): Path<(RunId, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    access::of_run(&lab.workers, &worker, &run).await?;
    let found = places_of(&lab, &run).await?.into_iter().find(|file| file.name == name);
    let file = found.ok_or_else(|| {
        ApiError::not_found(format!("the dataset has no file {name:?}"))
            .hint(format!("GET /api/v1/transfer/runs/{run}/dataset lists its files"))
    })?;
    contents::send(&file.path, &headers, None).await
}

/// Compares the checkpoints on a worker's disk with those of the run, and answers which ones the worker uploads and which it removes. The
/// answers are in the order of the request.
#[utoipa::path(post, path = "/transfer/runs/{id}/checkpoints", tag = "transfer", params(("id" = RunId, Path)),
    request_body = Vec<SavedCheckpoint>, responses((status = 200, body = Vec<UploadVerdict>)))]
pub async fn compare_saved(
    Worker(worker): Worker,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
    Body(saved): Body<Vec<SavedCheckpoint>>,
) -> Result<Json<Vec<UploadVerdict>>, ApiError> {
    access::of_run(&lab.workers, &worker, &run).await?;
    if saved.len() > MAX_SAVED {
        let message = format!("the list has {} checkpoints", saved.len());
        return Err(ApiError::invalid("value_invalid", message).hint(format!("send at most {MAX_SAVED} at a time")));
    }
    Ok(Json(lab.store().upload_verdicts(&run, &saved).await?))
}

/// A checkpoint as the server has it: the hash of its tensors, and its files, if the server has them.
#[utoipa::path(get, path = "/transfer/runs/{id}/checkpoints/{cid}", tag = "transfer", params(("id" = RunId, Path), ("cid" = String, Path)),
    responses((status = 200, body = StoredCheckpoint)))]
pub async fn describe_stored(
    Worker(worker): Worker,
    State(lab): State<Lab>,
    Path((run, id)): Path<(RunId, CheckpointId)>,
) -> Result<Json<StoredCheckpoint>, ApiError> {
    access::of_checkpoint(&lab.workers, &worker, &run, id).await?;
    let Some(_held) = lab.store().open_checkpoint(&run, id).await? else { return Err(unknown(&run, id)) };
    let info = lab.store().checkpoint_info(&run, id).await?.ok_or_else(|| unknown(&run, id))?;
    let mut stored = StoredCheckpoint { hash: info.hash.clone(), files: vec![] };
    if lab.store().has_checkpoint_files(&run, id) {
        let manifest =
            tokio::fs::read(lab.store().checkpoint_dir(&run, id).join(CheckpointFile::Manifest.name())).await;
        let manifest = manifest.map_err(|source| ApiError::internal("reading a checkpoint", source))?;
        let name = |file: CheckpointFile| file.name().to_owned();
        stored.files = vec![
            TransferFile { name: name(CheckpointFile::State), bytes: info.bytes, hash: info.hash },
            TransferFile {
                name: name(CheckpointFile::Manifest),
                bytes: manifest.len() as u64,
                hash: blake3::hash(&manifest).to_hex().to_string(),
            },
        ];
    }
    Ok(Json(stored))
}

/// A file of a checkpoint. `Range: bytes=N-` requests the rest from byte N on.
#[utoipa::path(get, path = "/transfer/runs/{id}/checkpoints/{cid}/{file}", tag = "transfer",
    params(("id" = RunId, Path), ("cid" = String, Path), ("file" = String, Path)),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "The rest of the file.", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 416, description = "The range is not one of the file.", body = ApiErrorBody)))]
pub async fn get_checkpoint_file(
    Worker(worker): Worker,
    State(lab): State<Lab>,
    Path((run, id, name)): Path<(RunId, CheckpointId, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    access::of_checkpoint(&lab.workers, &worker, &run, id).await?;
    let file = CheckpointFile::of_name(&name)?;
    let held = lab.store().open_checkpoint(&run, id).await?.ok_or_else(|| unknown(&run, id))?;
    contents::send(&lab.store().checkpoint_dir(&run, id).join(file.name()), &headers, Some(held)).await
}

/// Returns how many bytes of an uploaded file are stored; the upload continues from there.
#[utoipa::path(get, path = "/transfer/runs/{id}/uploads/{cid}/{file}", tag = "transfer",
    params(("id" = RunId, Path), ("cid" = String, Path), ("file" = String, Path)),
    responses((status = 200, body = ReceivedBytes), (status = 410, description = "The checkpoint is not kept.", body = ApiErrorBody),
        (status = 507, description = "The disk has no room for the rest.", body = ApiErrorBody)))]
pub async fn get_upload(
    Worker(worker): Worker,
    State(lab): State<Lab>,
    Path((run, id, name)): Path<(RunId, CheckpointId, String)>,
) -> Result<Json<ReceivedBytes>, ApiError> {
    access::of_run(&lab.workers, &worker, &run).await?;
    let bytes = uploads::received(&lab.workers, &run, id, CheckpointFile::of_name(&name)?).await?;
    Ok(Json(ReceivedBytes { bytes }))
}

/// Where a part begins.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PartQuery {
    /// Byte of the file at which the part begins.
    offset: u64,
}

/// Uploads a part of a file, at most 8 MiB. A part that does not begin where the stored part ends changes nothing. The answer is the number
/// of bytes stored after the request.
#[utoipa::path(put, path = "/transfer/runs/{id}/uploads/{cid}/{file}", tag = "transfer",
    params(("id" = RunId, Path), ("cid" = String, Path), ("file" = String, Path), PartQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = ReceivedBytes), (status = 410, description = "The checkpoint is not kept.", body = ApiErrorBody)))]
pub async fn put_upload(
    Worker(worker): Worker,
    State(lab): State<Lab>,
    Path((run, id, name)): Path<(RunId, CheckpointId, String)>,
    Query(query): Query<PartQuery>,
    part: Bytes,
) -> Result<Json<ReceivedBytes>, ApiError> {
    access::of_run(&lab.workers, &worker, &run).await?;
    let file = CheckpointFile::of_name(&name)?;
    let bytes = uploads::append(&lab.workers, &run, id, file, query.offset, part).await?;
    Ok(Json(ReceivedBytes { bytes }))
}

/// Ends an upload: the checkpoint is checked byte by byte and can then be used.
#[utoipa::path(post, path = "/transfer/runs/{id}/uploads/{cid}", tag = "transfer", params(("id" = RunId, Path), ("cid" = String, Path)),
    responses((status = 204), (status = 410, description = "The checkpoint is not kept.", body = ApiErrorBody),
        (status = 422, description = "It is incomplete or damaged, and was removed.", body = ApiErrorBody)))]
pub async fn commit_upload(
    Worker(worker): Worker,
    State(lab): State<Lab>,
    Path((run, id)): Path<(RunId, CheckpointId)>,
) -> Result<StatusCode, ApiError> {
    access::of_run(&lab.workers, &worker, &run).await?;
    uploads::commit(&lab.workers, &run, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn unknown(run: &RunId, id: CheckpointId) -> ApiError {
    ApiError::not_found(format!("{run} has no checkpoint {id}"))
        .hint(format!("GET /api/v1/runs/{run}/checkpoints lists those that are kept"))
}

async fn plan_of(lab: &Lab, run: &RunId) -> Result<RunPlan, ApiError> {
    Ok(lab.feed.view(run).await?.plan)
}

async fn dataset_of(lab: &Lab, run: &RunId) -> Result<Vec<(TransferFile, std::path::PathBuf)>, ApiError> {
    let (plan, corpora) = (plan_of(lab, run).await?, lab.data.corpora.folder().to_owned());
    let listed = tokio::task::spawn_blocking(move || dataset_files::list(&corpora, &plan)).await;
    listed.map_err(|source| ApiError::internal("listing a dataset", source))?.map_err(changed)
}

async fn places_of(lab: &Lab, run: &RunId) -> Result<Vec<dataset_files::DatasetFile>, ApiError> {
    let (plan, corpora) = (plan_of(lab, run).await?, lab.data.corpora.folder());
    let mut files = dataset_files::descriptions(corpora, &plan);
    files.extend(dataset_files::shards(corpora, &plan).map_err(changed)?);
    Ok(files)
}

/// A dataset that is not the one of the plan any more.
fn changed(error: DataError) -> ApiError {
    match &error {
        DataError::Altered { .. } | DataError::NoCorpus { .. } => {
            ApiError::conflict("dataset_changed", error.to_string())
                .hint("import the dataset again under its name, or start a new run")
        }
        _ => error.into(),
    }
}
