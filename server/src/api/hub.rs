//! Imports of models and datasets of the Hugging Face hub.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use wire::ApiErrorBody;
use wire::data::corpus::Job;
use wire::data::hub::{HubDatasetArgs, HubModelArgs};

use super::extract::Body;
use crate::auth::{Contributor, author, datasets, project};
use crate::error::ApiError;
use crate::export::hub;
use crate::lab::Lab;

/// Imports a dataset of the Hugging Face hub as a job: its files of text, JSON, CSV, TSV and Parquet, or those of a path. An interrupted
/// download continues where it stopped.
#[utoipa::path(post, path = "/hub/datasets", tag = "data", request_body = HubDatasetArgs,
    responses((status = 202, body = Job), (status = 404, description = "The hub has no such dataset or revision.", body = ApiErrorBody),
        (status = 409, description = "Another job downloads it.", body = ApiErrorBody),
        (status = 422, description = "A value is invalid, or the hub does not show the dataset to the token.", body = ApiErrorBody),
        (status = 502, description = "The hub cannot be reached, or failed.", body = ApiErrorBody)))]
pub async fn import_hub_dataset(
    Contributor(identity): Contributor,
    State(lab): State<Lab>,
    Body(args): Body<HubDatasetArgs>,
) -> Result<(StatusCode, Json<Job>), ApiError> {
    let project = datasets::project_for(&lab, &identity, args.project.clone()).await?;
    Ok((StatusCode::ACCEPTED, Json(lab.data.added_by(&identity, project).import_from_hub(args).await?)))
}

/// Imports a model of the Hugging Face hub as a job, whose `run` is the resulting finished run. Only the files that the model needs are
/// downloaded: config.json, generation_config.json, the weights as safetensors, and the files of its tokenizer. An interrupted
/// download continues where it stopped.
#[utoipa::path(post, path = "/hub/models", tag = "runs", request_body = HubModelArgs,
    responses((status = 202, body = Job), (status = 404, description = "The hub has no such model or revision.", body = ApiErrorBody),
        (status = 409, description = "Another job downloads it.", body = ApiErrorBody),
        (status = 422, description = "A value is invalid, the hub does not show the model to the token, or it has no model that is read.", body = ApiErrorBody),
        (status = 502, description = "The hub cannot be reached, or failed.", body = ApiErrorBody)))]
pub async fn import_hub_model(
    Contributor(identity): Contributor,
    State(lab): State<Lab>,
    Body(mut args): Body<HubModelArgs>,
) -> Result<(StatusCode, Json<Job>), ApiError> {
    args.project = Some(project::named(&lab, &identity, args.project).await?);
    Ok((StatusCode::ACCEPTED, Json(hub::import(&lab, args, author(&identity)).await?)))
}
