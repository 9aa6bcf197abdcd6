//! Experiments: a hypothesis with a prediction and a decision rule, and pairs of runs until there is a verdict.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use research::experiment::{AuthorScore, scores};
use wire::ApiErrorBody;
use wire::experiment::ExperimentSpec;
use wire::experiment::record::{ExperimentAction, ExperimentSummary, ExperimentView};

use super::extract::{Body, Path};
use crate::auth::experiment::{ExperimentSteerer, ExperimentViewer};
use crate::auth::{Contributor, Member, author};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::runs::experiments::{self, create};

/// Experiments in a list.
const LISTED: u32 = 1_000;
/// Experiments whose predictions are scored.
const SCORED: u32 = 10_000;

/// Lists the experiments, newest first, at most 1,000.
#[utoipa::path(get, path = "/experiments", tag = "experiments", responses((status = 200, body = Vec<ExperimentSummary>)))]
pub async fn list_experiments(
    Member(identity): Member,
    State(lab): State<Lab>,
) -> Result<Json<Vec<ExperimentSummary>>, ApiError> {
    Ok(Json(lab.store().experiments(&identity.grants.visible(), LISTED).await?))
}

/// Creates an experiment and queues its first pair of runs. Each further pair starts when the one before has ended, until the decision rule
/// gives a verdict or the budget is used. Before each pair, the rights of the creator are read again.
#[utoipa::path(post, path = "/experiments", tag = "experiments", request_body = ExperimentSpec,
    responses((status = 201, body = ExperimentView),
        (status = 409, description = "The run was changed while it trained, or too many experiments run.", body = ApiErrorBody),
        (status = 422, description = "The field that is invalid.", body = ApiErrorBody)))]
pub async fn create_experiment(
    Contributor(identity): Contributor,
    State(lab): State<Lab>,
    Body(spec): Body<ExperimentSpec>,
) -> Result<(StatusCode, Json<ExperimentView>), ApiError> {
    Ok((StatusCode::CREATED, Json(create::create(&lab, &identity, spec).await?)))
}

/// Returns how often the predictions of each author came true: Brier score and reliability diagram over the verdicts that the sender may see.
#[utoipa::path(get, path = "/experiments/scores", tag = "experiments", responses((status = 200, body = Vec<AuthorScore>)))]
pub async fn list_prediction_scores(
    Member(identity): Member,
    State(lab): State<Lab>,
) -> Result<Json<Vec<AuthorScore>>, ApiError> {
    Ok(Json(scores(&lab.store().experiments(&identity.grants.visible(), SCORED).await?)))
}

/// Returns an experiment with its runs, its journal and its verdict.
#[utoipa::path(get, path = "/experiments/{id}", tag = "experiments", params(("id" = u64, Path)),
    responses((status = 200, body = ExperimentView)))]
pub async fn get_experiment(
    _: ExperimentViewer,
    State(lab): State<Lab>,
    Path(id): Path<u64>,
) -> Result<Json<ExperimentView>, ApiError> {
    experiments::view(&lab, id).await.map(Json)
}

/// Pauses, resumes or stops an experiment. A paused one starts no run; a resumed one repeats a run that failed; a stopped one has no verdict,
/// and its runs are stopped.
#[utoipa::path(patch, path = "/experiments/{id}", tag = "experiments", params(("id" = u64, Path)), request_body = ExperimentAction,
    responses((status = 200, body = ExperimentView),
        (status = 409, description = "Its state does not allow it.", body = ApiErrorBody)))]
pub async fn change_experiment(
    ExperimentSteerer(identity): ExperimentSteerer,
    State(lab): State<Lab>,
    Path(id): Path<u64>,
    Body(action): Body<ExperimentAction>,
) -> Result<Json<ExperimentView>, ApiError> {
    experiments::change(&lab, id, author(&identity), action).await.map(Json)
}
