//! Exports of runs, checkpoints and time series, and the import of runs and models.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use store::Curve;
use utoipa::IntoParams;
use wire::{ApiErrorBody, CheckpointId, RunId, RunView};

use super::extract::{Path, Query};
use crate::auth::run::RunViewer;
use crate::auth::{Contributor, author, project};
use crate::error::ApiError;
use crate::export::archive::{Archive, Checkpoints};
use crate::export::body::stream;
use crate::export::{hf, import, series};
use crate::lab::Lab;
use crate::runs::{availability, steering};

const TAR: &str = "application/x-tar";

/// Contents of an archive.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ArchiveQuery {
    /// Which checkpoints: `all` (the default), `newest` or `none`.
    #[serde(default)]
    checkpoints: Checkpoints,
}

/// Exports a run as one tar file, which another lab can import: plan, journal, time series, tokenizer and checkpoints, each with its hash.
#[utoipa::path(get, path = "/runs/{id}/archive", tag = "runs", params(("id" = RunId, Path), ArchiveQuery),
    responses((status = 200, content_type = "application/x-tar", body = Vec<u8>), (status = 404, body = ApiErrorBody)))]
pub async fn export_run(
    _: RunViewer,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
    Query(query): Query<ArchiveQuery>,
) -> Result<Response, ApiError> {
    lab.feed.summary(&run).await?;
    if query.checkpoints != Checkpoints::None {
        availability::check_any(&lab, &run).await?;
    }
    let archive = Archive::gather(lab.store(), &run, query.checkpoints).await?;
    Ok(stream(TAR, &format!("{run}.tar"), move |out| archive.write(out)))
}

/// Exports a checkpoint as one tar file with the folder that Hugging Face's `transformers` loads (`AutoModelForCausalLM`, `AutoTokenizer`):
/// config.json, model.safetensors, tokenizer.json. Models of the GPT-2, Llama and Qwen2 architectures only.
#[utoipa::path(get, path = "/runs/{id}/checkpoints/{cid}/export", tag = "runs", params(("id" = RunId, Path), ("cid" = String, Path)),
    responses((status = 200, description = "A tar file with one folder.", content_type = "application/x-tar", body = Vec<u8>),
        (status = 404, body = ApiErrorBody), (status = 409, description = "The checkpoint is not kept or damaged.", body = ApiErrorBody),
        (status = 422, description = "transformers does not know this architecture.", body = ApiErrorBody)))]
pub async fn export_checkpoint(
    _: RunViewer,
    State(lab): State<Lab>,
    Path((run, id)): Path<(RunId, CheckpointId)>,
) -> Result<Response, ApiError> {
    lab.feed.summary(&run).await?;
    let Some(held) = lab.store().open_checkpoint(&run, id).await? else {
        return Err(steering::no_checkpoint(&steering::checkpoint_named(id), &lab.store().checkpoint_ids(&run).await?));
    };
    availability::check(&lab, &run, id).await?;
    let (data, of) = (lab.settings.data.clone(), run.clone());
    let opened = tokio::task::spawn_blocking(move || hf::open(&data, &of, id)).await;
    let export = opened.map_err(|source| ApiError::internal("opening a checkpoint", source))??;
    let name = format!("{run}-{id}");
    Ok(stream(TAR, &format!("{name}.tar"), move |out| {
        let _held = held;
        hf::write(&export, &name, out)
    }))
}

/// The series to export.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// Names, separated by commas; all by default.
    names: Option<String>,
}

/// Exports time series as CSV, one row per point: segment, series, step, tokens, secs, flops, value, abandoned. Unknown coordinates are NaN.
#[utoipa::path(get, path = "/runs/{id}/series.csv", tag = "runs", params(("id" = RunId, Path), ExportQuery),
    responses((status = 200, content_type = "text/csv", body = String), (status = 404, body = ApiErrorBody)))]
pub async fn export_csv(
    _: RunViewer,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
    Query(query): Query<ExportQuery>,
) -> Result<Response, ApiError> {
    let curves = curves(&lab, &run, query).await?;
    Ok(stream("text/csv; charset=utf-8", &format!("{run}.csv"), move |out| series::write_csv(curves, out)))
}

/// Exports time series as Parquet, with the columns of series.csv.
#[utoipa::path(get, path = "/runs/{id}/series.parquet", tag = "runs", params(("id" = RunId, Path), ExportQuery),
    responses((status = 200, content_type = "application/vnd.apache.parquet", body = Vec<u8>), (status = 404, body = ApiErrorBody)))]
pub async fn export_parquet(
    _: RunViewer,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
    Query(query): Query<ExportQuery>,
) -> Result<Response, ApiError> {
    let curves = curves(&lab, &run, query).await?;
    let name = format!("{run}.parquet");
    Ok(stream("application/vnd.apache.parquet", &name, move |out| series::write_parquet(curves, out)))
}

async fn curves(lab: &Lab, run: &RunId, query: ExportQuery) -> Result<Vec<Curve>, ApiError> {
    lab.feed.summary(run).await?;
    let split =
        |names: String| names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Ok(lab.store().curves(run, query.names.map(split)).await?)
}

/// Options of an import.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// Display name; by default the name of the run or of the model's folder.
    name: Option<String>,
    /// The project that the run belongs to; `default` by default.
    project: Option<String>,
}

/// Imports the archive of a run, or a model of the GPT-2, Llama, Mistral or Qwen2 architecture from `transformers` (config.json,
/// model.safetensors or its shards with their index, tokenizer.json or vocab.json and merges.txt, generation_config.json,
/// tokenizer_config.json; as files of a form or as one tar file). Other files are ignored, and the first event of the journal lists them. The
/// import creates a finished run with its series, journal and checkpoints, which can be used for inspections, completions and forks.
#[utoipa::path(post, path = "/runs/import", tag = "runs", params(ImportQuery),
    request_body(content = Vec<u8>, description = "A tar file; or multipart/form-data with a tar file or the files of a model.", content_type = "application/octet-stream"),
    responses((status = 201, body = RunView), (status = 409, description = "The project has reached its limit of disk.", body = ApiErrorBody),
        (status = 413, description = "The upload is too large.", body = ApiErrorBody),
        (status = 422, description = "The invalid part of the upload.", body = ApiErrorBody)))]
pub async fn import_run(
    Contributor(identity): Contributor,
    State(lab): State<Lab>,
    Query(ImportQuery { name, project }): Query<ImportQuery>,
    request: Request,
) -> Result<(StatusCode, Json<RunView>), ApiError> {
    let project = project::named(&lab, &identity, project).await?;
    let id = import::import(&lab, request, name, project, author(&identity)).await?;
    Ok((StatusCode::CREATED, Json(lab.feed.view(&id).await?)))
}
