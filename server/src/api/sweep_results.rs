//! What a sweep has found: the importance of its parameters, and the curves of its trials.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use wire::sweep::results::{SweepImportance, TrialCurve};

use super::extract::{Path, Query};
use super::sweeps::known;
use crate::auth::sweep::SweepViewer;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::runs::sweeps::results;

/// Maximum number of points of a curve, and the default.
const MAX_POINTS: u32 = 1_000;
const DEFAULT_POINTS: u32 = 200;

/// The length of the curves.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CurveQuery {
    /// About the maximum number of points of each curve, 1 to 1,000; 200 by default.
    points: Option<u32>,
}

/// Returns how much of the variance of the results each parameter explains alone, by functional ANOVA over a random forest.
#[utoipa::path(get, path = "/sweeps/{id}/importance", tag = "sweeps", params(("id" = i64, Path)),
    responses((status = 200, body = SweepImportance)))]
pub async fn get_importance(
    _: SweepViewer,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
) -> Result<Json<SweepImportance>, ApiError> {
    let sweep = known(&lab, id).await?;
    results::importance(&lab, &sweep).await.map(Json)
}

/// Returns the metric of each trial by step.
#[utoipa::path(get, path = "/sweeps/{id}/curves", tag = "sweeps", params(("id" = i64, Path), CurveQuery),
    responses((status = 200, body = Vec<TrialCurve>)))]
pub async fn get_trial_curves(
    _: SweepViewer,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
    Query(CurveQuery { points }): Query<CurveQuery>,
) -> Result<Json<Vec<TrialCurve>>, ApiError> {
    let sweep = known(&lab, id).await?;
    let points = points.unwrap_or(DEFAULT_POINTS).clamp(1, MAX_POINTS) as usize;
    results::curves(&lab, &sweep, points).await.map(Json)
}
