//! Devices, and the lab in one answer.

use axum::Json;
use axum::extract::State;
use wire::device::DeviceView;
use wire::live::LabState;

use crate::api_error::ApiError;
use crate::app_state::AppState;
use crate::auth::Viewer;

/// Devices with their load, and what each trains.
#[utoipa::path(get, path = "/devices", tag = "lab", responses((status = 200, body = Vec<DeviceView>)))]
pub async fn list_devices(_: Viewer, State(state): State<AppState>) -> Json<Vec<DeviceView>> {
    Json(state.fleet.views())
}

/// Runs, devices and jobs in one answer.
#[utoipa::path(get, path = "/lab", tag = "lab", responses((status = 200, body = LabState)))]
pub async fn get_lab(_: Viewer, State(state): State<AppState>) -> Result<Json<LabState>, ApiError> {
    lab(&state).await.map(Json)
}

/// The lab as it stands.
pub async fn lab(state: &AppState) -> Result<LabState, ApiError> {
    let runs = state.store.runs(true).await.map_err(|source| ApiError::internal("listing the runs", source))?;
    Ok(LabState { runs, devices: state.fleet.views(), jobs: state.jobs.list() })
}
