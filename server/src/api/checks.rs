//! Reports of device checks: where the lab keeps the last one of each device, and the route that lists them. They are written
//! by `kindling check --full`.

use std::path::{Path, PathBuf};

use axum::Json;
use axum::extract::State;
use wire::DeviceId;
use wire::check::CheckReport;

use crate::auth::Viewer;
use crate::error::ApiError;
use crate::lab::Lab;

/// Name of a report's file for programs.
pub const REPORT_JSON: &str = "report.json";

/// Where a lab keeps the last report of a device.
pub fn folder(data: &Path, device: &DeviceId) -> PathBuf {
    root(data).join(device.as_str())
}

fn root(data: &Path) -> PathBuf {
    data.join("checks")
}

/// Lists the last report of each device that `kindling check --full` checked on this machine.
#[utoipa::path(get, path = "/checks", tag = "lab", responses((status = 200, body = Vec<CheckReport>)))]
pub async fn list_checks(_: Viewer, State(lab): State<Lab>) -> Result<Json<Vec<CheckReport>>, ApiError> {
    let data = lab.settings.data.clone();
    let reports = tokio::task::spawn_blocking(move || read_all(&data)).await;
    reports.map(Json).map_err(|source| ApiError::internal("reading the reports of device checks", source))
}

/// Reports that can be read; of one that cannot, the server's log says why.
fn read_all(data: &Path) -> Vec<CheckReport> {
    let Ok(folders) = std::fs::read_dir(root(data)) else { return vec![] };
    let mut reports: Vec<CheckReport> = folders.flatten().filter_map(|folder| read(&folder.path())).collect();
    reports.sort_by(|a, b| a.device.id.cmp(&b.device.id));
    reports
}

fn read(folder: &Path) -> Option<CheckReport> {
    let path = folder.join(REPORT_JSON);
    let text = std::fs::read(&path).ok()?;
    match serde_json::from_slice(&text) {
        Ok(report) => Some(report),
        Err(error) => {
            tracing::warn!("{} is not a report of this version: {error}", path.display());
            None
        }
    }
}
