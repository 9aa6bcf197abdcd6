//! Conditions on metrics that raise alerts.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use wire::ApiErrorBody;
use wire::alert::condition::ConditionQuery;
use wire::alert::{ConditionView, NewCondition};

use super::extract::{Body, Path, Query};
use crate::auth::Member;
use crate::error::ApiError;
use crate::export::alerts::conditions;
use crate::lab::Lab;

/// Lists the conditions on metrics of runs that you may see, oldest first; with `run`, those that hold for this run.
#[utoipa::path(get, path = "/alert-conditions", tag = "alerts", params(ConditionQuery), responses((status = 200, body = Vec<ConditionView>),
    (status = 404, description = "The run does not exist.", body = ApiErrorBody)))]
pub async fn list_alert_conditions(
    Member(own): Member,
    State(lab): State<Lab>,
    Query(query): Query<ConditionQuery>,
) -> Result<Json<Vec<ConditionView>>, ApiError> {
    conditions::list(&lab, &own, query.run.as_ref()).await.map(Json)
}

/// Creates a condition on a metric: a value above or below the threshold raises an alert, once until the run has recovered. It holds for a run,
/// for the runs of a project, or, with neither, for all runs of the lab, and concerns values from now on.
#[utoipa::path(post, path = "/alert-conditions", tag = "alerts", request_body = NewCondition,
    responses((status = 201, body = ConditionView),
        (status = 409, description = "There are too many conditions.", body = ApiErrorBody)))]
pub async fn create_alert_condition(
    Member(own): Member,
    State(lab): State<Lab>,
    Body(new): Body<NewCondition>,
) -> Result<(StatusCode, Json<ConditionView>), ApiError> {
    Ok((StatusCode::CREATED, Json(conditions::create(&lab, &own, new).await?)))
}

/// Deletes a condition on a metric. The alerts that it has raised stay.
#[utoipa::path(delete, path = "/alert-conditions/{id}", tag = "alerts", params(("id" = i64, Path)), responses((status = 204)))]
pub async fn delete_alert_condition(
    Member(own): Member,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    conditions::remove(&lab, &own, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
