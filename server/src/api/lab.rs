//! The lab as a whole: its runs, devices and jobs.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use wire::ApiErrorBody;
use wire::access::Role;
use wire::access::project::DEFAULT_PROJECT;
use wire::data::corpus::Job;
use wire::device::DeviceView;
use wire::disk::DiskUse;
use wire::transport::live::LabState;

use super::extract::Path;
use crate::auth::{Contributor, Member, SignedIn, Viewer, project};
use crate::data::no_job;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::live::audience::Audience;

/// Returns the runs that are queued or loaded by a worker, the newest 200 others, all devices and jobs. `GET /runs` lists all runs.
#[utoipa::path(get, path = "/lab", tag = "lab", responses((status = 200, body = LabState)))]
pub async fn get_lab(SignedIn(identity): SignedIn, State(lab): State<Lab>) -> Result<Json<LabState>, ApiError> {
    lab.states.now(&Audience::of(&identity.grants)).await.map(Json)
}

/// Returns the free space of the disk and the space that the files of the lab use, by kind and by run; measured at most once a minute.
#[utoipa::path(get, path = "/disk", tag = "lab", responses((status = 200, body = DiskUse)))]
pub async fn get_disk(_: Viewer, State(lab): State<Lab>) -> Result<Json<DiskUse>, ApiError> {
    let runs = lab.store().runs(true).await?;
    lab.disk_uses.get(&lab.settings.data, runs).await.map(Json)
}

/// Lists the devices with their load and the run that each trains.
#[utoipa::path(get, path = "/devices", tag = "lab", responses((status = 200, body = Vec<DeviceView>)))]
pub async fn list_devices(Member(identity): Member, State(lab): State<Lab>) -> Result<Json<Vec<DeviceView>>, ApiError> {
    Ok(Json(lab.states.now(&Audience::of(&identity.grants)).await?.devices))
}

/// Lists the running and recently ended jobs of the server.
#[utoipa::path(get, path = "/jobs", tag = "lab", responses((status = 200, body = Vec<Job>)))]
pub async fn list_jobs(Member(identity): Member, State(lab): State<Lab>) -> Result<Json<Vec<Job>>, ApiError> {
    Ok(Json(lab.states.now(&Audience::of(&identity.grants)).await?.jobs))
}

/// Cancels a running job, which is no longer listed once its work has ended; removes an ended job from the list.
#[utoipa::path(delete, path = "/jobs/{id}", tag = "lab", params(("id" = u64, Path)), responses((status = 204), (status = 404, body = ApiErrorBody)))]
pub async fn cancel_job(
    Contributor(identity): Contributor,
    State(lab): State<Lab>,
    Path(id): Path<u64>,
) -> Result<StatusCode, ApiError> {
    let seen = lab.states.now(&Audience::of(&identity.grants)).await?.jobs;
    let job = seen.into_iter().find(|job| job.id == id).ok_or_else(|| no_job(id))?;
    project::check(&identity, job.project.as_deref().unwrap_or(DEFAULT_PROJECT), Role::Steer)?;
    if !lab.data.jobs.remove(id) {
        return Err(no_job(id));
    }
    lab.feed.lab_changed();
    Ok(StatusCode::NO_CONTENT)
}
