//! Workers: listed, renamed, labelled, drained, removed.

use std::collections::HashMap;

use store::WorkerRecord;
use wire::DeviceId;
use wire::device::DeviceView;
use wire::fleet::{LOCAL_POOL, WorkerChange, WorkerLog, WorkerView};

use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::name::checked_name;

/// Maximum number of labels of a worker.
const MAX_LABELS: usize = 20;
/// Longest label, characters.
const LABEL_CHARS: usize = 40;

/// All workers that have joined: those of `local` first, then by pool and name.
///
/// # Errors
/// An error of the store.
pub async fn list(lab: &Lab) -> Result<Vec<WorkerView>, ApiError> {
    let devices: HashMap<DeviceId, DeviceView> =
        lab.workers.fleet.views().into_iter().map(|device| (device.info.id.clone(), device)).collect();
    let workers = lab.store().workers().await?.into_iter();
    Ok(workers.map(|worker| view(devices.get(&worker.device), worker)).collect())
}

fn view(device: Option<&DeviceView>, worker: WorkerRecord) -> WorkerView {
    let WorkerRecord { id, name, pool, labels, is_draining, device: device_id, host, joined_ms, seen_ms, .. } = worker;
    WorkerView {
        id,
        name,
        pool,
        labels,
        is_draining,
        is_connected: device.is_some_and(|device| device.is_connected),
        device: device_id,
        host,
        run: device.and_then(|device| device.run.clone()),
        joined_ms,
        seen_ms: device.map(|device| device.seen_ms).max(seen_ms),
    }
}

/// Renames, labels or drains a worker.
///
/// # Errors
/// 404 for an unknown worker, 422 for an invalid name or label; an error of the store.
pub async fn change(lab: &Lab, by: &str, id: i64, change: WorkerChange) -> Result<WorkerView, ApiError> {
    let name = change.name.as_deref().map(checked_name).transpose()?;
    let labels = change.labels.map(checked_labels).transpose()?;
    let before = lab.store().worker(id).await?;
    let worker = lab.store().change_worker(id, WorkerChange { name, labels, ..change }).await?;
    if before.is_draining != worker.is_draining {
        let what = if worker.is_draining { "drains" } else { "takes runs again from" };
        tracing::info!("{by} {what} the worker {}", worker.name);
    }
    lab.workers.fleet.change(&worker);
    lab.feed.wake_queue();
    let devices = lab.workers.fleet.views();
    let device = devices.iter().find(|device| device.info.id == worker.device);
    Ok(view(device, worker))
}

/// Labels without white space around them, each once.
fn checked_labels(labels: Vec<String>) -> Result<Vec<String>, ApiError> {
    let mut checked: Vec<String> = vec![];
    for label in labels.iter().map(|label| label.trim()) {
        if label.is_empty() || label.chars().count() > LABEL_CHARS || label.chars().any(char::is_control) {
            let shown: String = label.chars().take(LABEL_CHARS).collect();
            return Err(ApiError::invalid("label_invalid", format!("{shown:?} is not a valid label"))
                .field("labels")
                .hint(format!("enter 1 to {LABEL_CHARS} characters on one line")));
        }
        if !checked.iter().any(|other| other == label) {
            checked.push(label.to_owned());
        }
    }
    if checked.len() > MAX_LABELS {
        let message = format!("a worker has at most {MAX_LABELS} labels; got {}", checked.len());
        return Err(ApiError::invalid("label_invalid", message).field("labels"));
    }
    Ok(checked)
}

/// Removes a worker: its token is revoked and its link closed at once. The run that it trains is queued again, as often as its plan allows, or
/// marked as lost.
///
/// # Errors
/// 404 for an unknown worker, 409 for one of the server's own machine; an error of the store.
pub async fn remove(lab: &Lab, by: &str, id: i64) -> Result<(), ApiError> {
    if lab.store().worker(id).await?.pool == LOCAL_POOL {
        let message = "it is a worker of the server's own machine, which the server would start again";
        return Err(ApiError::conflict("worker_local", message)
            .hint("drain it to give it no new run, or start the server with --no-workers"));
    }
    let WorkerRecord { name, device, .. } = lab.remove_worker(id).await?;
    tracing::info!("{by} removed the worker {name} of {device}");
    lab.feed.wake_queue();
    Ok(())
}

/// The end of a worker's log.
///
/// # Errors
/// 404 for an unknown worker; an error of the store.
pub async fn log(lab: &Lab, id: i64) -> Result<WorkerLog, ApiError> {
    let worker = lab.store().worker(id).await?;
    Ok(WorkerLog { lines: lab.workers.fleet.log(&worker.device) })
}
