//! Texts: listed, shown, deleted, cut into tokens. Uploads are next door.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use wire::corpus::{CorpusInfo, DatasetInfo, Job};
use wire::spec::Tokenizer;
use wire::{ApiErrorBody, CorpusId};

use crate::api_error::{ApiError, Body, Path};
use crate::app_state::AppState;
use crate::auth::{Admin, Steerer, Viewer};
use crate::jobs::JobHandle;

/// Work that takes longer goes on as a job.
pub const PATIENCE: Duration = Duration::from_secs(8);

/// The lab's own generators: id, generator, name, seed.
const BUILT_IN: [(&str, &str, &str, u64); 3] = [
    ("tales", "tales", "Making Tales", 1),
    ("modular-addition", "modular-addition", "Making modular addition", 1),
    ("induction", "induction", "Making induction", 1),
];

/// All texts.
#[utoipa::path(get, path = "/corpora", tag = "texts", responses((status = 200, body = Vec<CorpusInfo>)))]
pub async fn list_corpora(_: Viewer, State(state): State<AppState>) -> Result<Json<Vec<CorpusInfo>>, ApiError> {
    state.texts.list().await.map(Json)
}

/// One text.
#[utoipa::path(get, path = "/corpora/{id}", tag = "texts", params(("id" = CorpusId, Path)), responses((status = 200, body = CorpusInfo), (status = 404, body = ApiErrorBody)))]
pub async fn get_corpus(
    _: Viewer,
    State(state): State<AppState>,
    Path(corpus): Path<CorpusId>,
) -> Result<Json<CorpusInfo>, ApiError> {
    state.texts.read(&corpus).await.map(Json)
}

/// Deletes a text and what was made of it, for good. Refused while a run needs it.
#[utoipa::path(delete, path = "/corpora/{id}", tag = "texts", params(("id" = CorpusId, Path)), responses((status = 204), (status = 409, body = ApiErrorBody)))]
pub async fn delete_corpus(
    _: Admin,
    State(state): State<AppState>,
    Path(corpus): Path<CorpusId>,
) -> Result<StatusCode, ApiError> {
    if let Some(job) = state.jobs.running_on(&corpus) {
        return Err(ApiError::conflict("corpus_in_use", format!("{corpus} is being worked on: {}", job.title))
            .hint("wait until that is done"));
    }
    if let Some(run) = run_that_needs(&state, &corpus).await? {
        return Err(
            ApiError::conflict("corpus_in_use", format!("the run {run} needs {corpus}")).hint("stop that run first")
        );
    }
    state.texts.remove(&corpus).await?;
    state.lab_changed();
    Ok(StatusCode::NO_CONTENT)
}

async fn run_that_needs(state: &AppState, corpus: &CorpusId) -> Result<Option<wire::RunId>, ApiError> {
    let runs = state.store.runs(false).await.map_err(|source| ApiError::internal("listing the runs", source))?;
    for run in runs.into_iter().filter(|run| !run.state.is_over()) {
        let view = state.store.run(&run.id).await.map_err(|source| crate::runs::store_error(&run.id, source))?;
        if view.is_some_and(|view| view.plan.corpora().contains(corpus)) {
            return Ok(Some(run.id));
        }
    }
    Ok(None)
}

/// How to cut a text.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// `byte`, `char`, `bpe-1024`, `gpt2`.
    tokenizer: Tokenizer,
}

/// Cuts a text into tokens, so that its counts are known before a run. Long work goes on as a job.
#[utoipa::path(post, path = "/corpora/{id}/datasets", tag = "texts", params(("id" = CorpusId, Path)), request_body = Cut,
    responses((status = 200, body = DatasetInfo), (status = 202, body = Job), (status = 422, body = ApiErrorBody)))]
pub async fn cut_corpus(
    _: Steerer,
    State(state): State<AppState>,
    Path(corpus): Path<CorpusId>,
    Body(Cut { tokenizer }): Body<Cut>,
) -> Result<Response, ApiError> {
    let info = state.texts.read(&corpus).await?;
    if let Some(made) = info.datasets.into_iter().find(|made| made.tokenizer == tokenizer) {
        return Ok(Json(made).into_response());
    }
    if let Some(job) = state.jobs.running_on(&corpus) {
        return Ok((StatusCode::ACCEPTED, Json(job)).into_response());
    }
    let job = begin_job(&state, format!("Cutting {} into {tokenizer} tokens", info.name), corpus.clone(), "bytes");
    let id = job.id();
    let texts = state.texts.clone();
    let work = async move { texts.prepare(vec![corpus], tokenizer, job).await };
    soon_or_later(&state, id, StatusCode::OK, work).await
}

/// A job on a text; the Lab page hears of each move.
pub fn begin_job(state: &AppState, title: String, corpus: CorpusId, unit: &str) -> JobHandle {
    let hub = state.hub.clone();
    state.jobs.begin(title, corpus, unit, move || hub.lab_changed())
}

/// Answers with the work's result where it is quick, else with its job; the work goes on either way.
pub async fn soon_or_later<T: serde::Serialize + Send + 'static>(
    state: &AppState,
    job_id: u64,
    status: StatusCode,
    work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<Response, ApiError> {
    let shared = state.clone();
    let task = tokio::spawn(async move {
        let ended = work.await;
        shared.wake_scheduler();
        ended
    });
    match tokio::time::timeout(PATIENCE, task).await {
        Ok(Ok(ended)) => ended.map(|value| (status, Json(value)).into_response()),
        Ok(Err(source)) => Err(ApiError::internal("working on a text", source)),
        Err(_) => {
            let job = state.jobs.get(job_id).ok_or_else(|| ApiError::not_found(format!("there is no job {job_id}")))?;
            Ok((StatusCode::ACCEPTED, Json(job)).into_response())
        }
    }
}

/// Makes the lab's own texts where they have never been made; one that someone deleted stays deleted.
pub fn make_built_in(state: &AppState) {
    for (id, generator, title, seed) in BUILT_IN {
        let Ok(corpus) = id.parse::<CorpusId>() else { continue };
        let mark = state.texts.folder().join(format!(".made-{id}"));
        if mark.exists() {
            continue;
        }
        let job = begin_job(state, title.to_owned(), corpus.clone(), "documents");
        let state = state.clone();
        tokio::spawn(async move {
            match state.texts.generate(corpus, generator, seed, job).await {
                Ok(_) => mark_made(&mark),
                Err(error) if error.body.code == "corpus_exists" => mark_made(&mark),
                Err(error) => tracing::error!("{id} could not be made: {}", error.body.message),
            }
            state.wake_scheduler();
        });
    }
}

fn mark_made(mark: &std::path::Path) {
    if let Err(error) = std::fs::write(mark, "") {
        tracing::warn!("{} cannot be written, so this text is made again at the next start: {error}", mark.display());
    }
}
