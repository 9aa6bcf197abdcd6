//! Datasets: listed, uploaded, downloaded, tokenized, deleted.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use engine::data::import::ISSUES_FILE;
use serde::Deserialize;
use utoipa::ToSchema;
use wire::access::Role;
use wire::data::corpus::{CatalogueEntry, CorpusInfo, DatasetInfo, Job};
use wire::data::import::{ImportOptions, ImportRefusal};
use wire::data::tokenizer::Tokenizer;
use wire::{ApiErrorBody, CorpusId};

use super::answer::answer;
use super::extract::{Body, Path, Query};
use super::uploads::{send_csv, upload_query};
use crate::auth::{Contributor, Member, datasets};
use crate::data::catalogue;
use crate::data::upload::UploadQuery;
use crate::error::ApiError;
use crate::lab::Lab;

/// Lists the datasets.
#[utoipa::path(get, path = "/corpora", tag = "data", responses((status = 200, body = Vec<CorpusInfo>)))]
pub async fn list_corpora(Member(identity): Member, State(lab): State<Lab>) -> Result<Json<Vec<CorpusInfo>>, ApiError> {
    datasets::list(&lab, &identity).await.map(Json)
}

/// Uploads a dataset: a plain body, or the files of a form. Files and records that cannot be used are skipped and listed in `import` of the
/// answer. Long work continues as a job.
#[utoipa::path(post, path = "/corpora", tag = "data", params(UploadQuery, ImportOptions),
    request_body(content = Vec<u8>, description = "Text, Markdown, JSON, JSON Lines, CSV, TSV or Parquet, compressed with gzip or zstd or not; or multipart/form-data with one or more such files.", content_type = "application/octet-stream"),
    responses((status = 201, body = CorpusInfo), (status = 202, body = Job), (status = 409, description = "The project has reached its limit of disk.", body = ApiErrorBody),
        (status = 413, description = "The upload is too large.", body = ApiErrorBody),
        (status = 422, description = "The files contain no text, no record has the field, or the import is strict and something would be skipped.", body = ImportRefusal),
        (status = 507, description = "The disk is full.", body = ApiErrorBody)))]
pub async fn upload_corpus(
    Contributor(identity): Contributor,
    State(lab): State<Lab>,
    Query(pairs): Query<Vec<(String, String)>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (query, options) = upload_query(pairs)?;
    let project = datasets::project_for(&lab, &identity, query.project.clone()).await?;
    let outcome =
        lab.data.added_by(&identity, project).upload(query, options, lab.settings.upload_bytes, request).await?;
    Ok(answer(StatusCode::CREATED, outcome))
}

/// Returns everything that the import of a dataset skipped or repaired: file, line, outcome, reason, message.
#[utoipa::path(get, path = "/corpora/{id}/skipped.csv", tag = "data", params(("id" = CorpusId, Path)),
    responses((status = 200, content_type = "text/csv", body = String), (status = 404, body = ApiErrorBody)))]
pub async fn list_skipped(
    Member(identity): Member,
    State(lab): State<Lab>,
    Path(corpus): Path<CorpusId>,
) -> Result<Response, ApiError> {
    datasets::check(&lab, &identity, &corpus, Role::View).await?;
    lab.data.corpora.read(&corpus).await?;
    let path = lab.data.corpora.folder().join(corpus.as_str()).join(ISSUES_FILE);
    if !path.exists() {
        return Err(ApiError::not_found(format!("{corpus} has no list of skipped files"))
            .hint("only imported datasets have one"));
    }
    send_csv(&path, &format!("{corpus}-skipped.csv")).await
}

/// Returns a dataset: its size, a sample, and its tokenizations.
#[utoipa::path(get, path = "/corpora/{id}", tag = "data", params(("id" = CorpusId, Path)), responses((status = 200, body = CorpusInfo), (status = 404, body = ApiErrorBody)))]
pub async fn get_corpus(
    Member(identity): Member,
    State(lab): State<Lab>,
    Path(corpus): Path<CorpusId>,
) -> Result<Json<CorpusInfo>, ApiError> {
    let project = datasets::check(&lab, &identity, &corpus, Role::View).await?;
    Ok(Json(CorpusInfo { project, ..lab.data.corpora.read(&corpus).await? }))
}

/// Deletes a dataset and its tokens. It cannot be restored.
#[utoipa::path(delete, path = "/corpora/{id}", tag = "data", params(("id" = CorpusId, Path)),
    responses((status = 204), (status = 409, description = "A run or a job uses it.", body = ApiErrorBody)))]
pub async fn delete_corpus(
    Member(identity): Member,
    State(lab): State<Lab>,
    Path(corpus): Path<CorpusId>,
) -> Result<StatusCode, ApiError> {
    datasets::check(&lab, &identity, &corpus, Role::Admin).await?;
    lab.data.delete(&corpus).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Arguments of a tokenization.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenizationArgs {
    /// Tokenizer: `byte`, `char`, `bpe-1024`, `gpt2`.
    tokenizer: Tokenizer,
}

/// Tokenizes a dataset. Long work continues as a job.
#[utoipa::path(post, path = "/corpora/{id}/tokenizations", tag = "data", params(("id" = CorpusId, Path)), request_body = TokenizationArgs,
    responses((status = 200, body = DatasetInfo), (status = 202, body = Job), (status = 404, body = ApiErrorBody),
        (status = 422, description = "The tokenizer cannot encode the text.", body = ApiErrorBody)))]
pub async fn tokenize_corpus(
    Contributor(identity): Contributor,
    State(lab): State<Lab>,
    Path(corpus): Path<CorpusId>,
    Body(TokenizationArgs { tokenizer }): Body<TokenizationArgs>,
) -> Result<Response, ApiError> {
    datasets::check(&lab, &identity, &corpus, Role::View).await?;
    let data = &lab.data;
    let info = data.corpora.read(&corpus).await?;
    if let Some(dataset) = info.datasets.into_iter().find(|dataset| dataset.tokenizer == tokenizer) {
        return Ok(Json(dataset).into_response());
    }
    if let Some(job) = data.jobs.running_on(&corpus) {
        return Ok((StatusCode::ACCEPTED, Json(job)).into_response());
    }
    let job = data.begin_job(format!("Tokenizing {} ({tokenizer})", info.name), corpus.clone(), "bytes");
    let (job_id, corpora) = (job.id(), data.corpora.clone());
    let work = async move { corpora.tokenize(vec![corpus], tokenizer, job).await };
    Ok(answer(StatusCode::OK, data.finish_or_continue(job_id, work).await?))
}

/// Lists the public datasets that the server can download.
#[utoipa::path(get, path = "/catalogue", tag = "data", responses((status = 200, body = Vec<CatalogueEntry>)))]
pub async fn list_catalogue(_: Member) -> Json<Vec<CatalogueEntry>> {
    Json(catalogue::entries())
}

/// Downloads a dataset of the catalogue as a job. An interrupted download continues where it stopped.
#[utoipa::path(post, path = "/catalogue/{id}", tag = "data", params(("id" = CorpusId, Path)),
    responses((status = 202, body = Job), (status = 404, body = ApiErrorBody), (status = 409, description = "The lab already has this dataset.", body = ApiErrorBody)))]
pub async fn download_corpus(
    _: Contributor,
    State(lab): State<Lab>,
    Path(corpus): Path<CorpusId>,
) -> Result<(StatusCode, Json<Job>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(catalogue::fetch(&lab.data, corpus).await?)))
}
