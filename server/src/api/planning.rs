//! Presets, hyperparameters, and plans of specs.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use wire::access::Role;
use wire::hyperparameters::table::{Hyperparameter, TABLE};
use wire::run::plan::PlanView;
use wire::run::preset::{self, PresetInfo};
use wire::{ApiErrorBody, RunSpec};

use super::extract::Body;
use crate::auth::SignedIn;
use crate::auth::spec::permit;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::runs::plan;

/// The preset whose values are the defaults of the table.
const DEFAULTS: &str = "nanogpt-cpu";

/// A hyperparameter with its default.
#[derive(Debug, Serialize, ToSchema)]
pub struct HyperparameterInfo {
    /// Row of the table.
    #[serde(flatten)]
    row: Hyperparameter,
    /// Value in the preset nanogpt-cpu.
    default: Value,
}

/// Lists the presets, smallest first.
#[utoipa::path(get, path = "/presets", tag = "runs", responses((status = 200, body = Vec<PresetInfo>)))]
pub async fn list_presets(_: SignedIn) -> Json<Vec<PresetInfo>> {
    Json(preset::presets())
}

/// Lists every hyperparameter with its label, unit, meaning, range and default.
#[utoipa::path(get, path = "/hyperparameters", tag = "runs", responses((status = 200, body = Vec<HyperparameterInfo>)))]
pub async fn list_hyperparameters(_: SignedIn) -> Result<Json<Vec<HyperparameterInfo>>, ApiError> {
    let recipe = serde_json::to_value(preset::find(DEFAULTS, None)?.recipe);
    let recipe = recipe.map_err(|source| ApiError::internal("encoding a preset", source))?;
    let default = |row: &Hyperparameter| row.value_in(&recipe).cloned().unwrap_or_default();
    Ok(Json(TABLE.iter().map(|row| HyperparameterInfo { row: *row, default: default(row) }).collect()))
}

/// Resolves a spec to a plan without creating a run.
#[utoipa::path(post, path = "/plan", tag = "runs", request_body = RunSpec, responses((status = 200, body = PlanView), (status = 422, description = "The field that cannot be resolved.", body = ApiErrorBody)))]
pub async fn plan_run(
    SignedIn(identity): SignedIn,
    State(lab): State<Lab>,
    Body(mut spec): Body<RunSpec>,
) -> Result<Json<PlanView>, ApiError> {
    permit(&lab, &identity, &mut spec, Role::View).await?;
    plan::plan(&lab, &spec).await.map(Json)
}
