//! The lab as a whole: its runs, devices and jobs.

use axum::Json;
use axum::extract::State;
use wire::data::corpus::Job;
use wire::device::DeviceView;
use wire::transport::live::LabState;

use crate::auth::Viewer;
use crate::error::ApiError;
use crate::lab::Lab;

/// Returns all runs, devices and jobs.
#[utoipa::path(get, path = "/lab", tag = "lab", responses((status = 200, body = LabState)))]
pub async fn get_lab(_: Viewer, State(lab): State<Lab>) -> Result<Json<LabState>, ApiError> {
    lab.states.now().await.map(Json)
}

/// Lists the devices with their load and the run that each trains.
#[utoipa::path(get, path = "/devices", tag = "lab", responses((status = 200, body = Vec<DeviceView>)))]
pub async fn list_devices(_: Viewer, State(lab): State<Lab>) -> Json<Vec<DeviceView>> {
    Json(lab.workers.fleet.views())
}

/// Lists the running and recently ended jobs of the server.
#[utoipa::path(get, path = "/jobs", tag = "lab", responses((status = 200, body = Vec<Job>)))]
pub async fn list_jobs(_: Viewer, State(lab): State<Lab>) -> Json<Vec<Job>> {
    Json(lab.data.jobs.list())
}
