//! Routes of devices, workers, pools and join tokens.

use wire::DeviceId;
use wire::fleet::{
    CreatedJoinToken, JoinTokenView, NewJoinToken, NewPool, PoolChange, PoolView, WorkerChange, WorkerLog, WorkerView,
};
use wire::telemetry::{DeviceHistory, FleetState, HistoryRange};

use super::failure::ApiFailure;
use super::request::{get, send, send_plain};

/// All machines and devices.
pub(crate) async fn state() -> Result<FleetState, ApiFailure> {
    get("/fleet").await
}

/// The history of a device.
pub(crate) async fn history(device: &DeviceId, range: HistoryRange) -> Result<DeviceHistory, ApiFailure> {
    get(&format!("/fleet/devices/{device}/history?range={}", range.word())).await
}

/// The workers that have joined, connected or not.
pub(crate) async fn workers() -> Result<Vec<WorkerView>, ApiFailure> {
    get("/workers").await
}

/// Renames, labels or drains a worker.
pub(crate) async fn change_worker(id: i64, change: &WorkerChange) -> Result<WorkerView, ApiFailure> {
    send("PATCH", &format!("/workers/{id}"), Some(change)).await
}

/// Removes a worker and revokes its token.
pub(crate) async fn remove_worker(id: i64) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/workers/{id}")).await
}

/// The last lines of a worker's log.
pub(crate) async fn log(id: i64) -> Result<WorkerLog, ApiFailure> {
    get(&format!("/workers/{id}/log")).await
}

pub(crate) async fn pools() -> Result<Vec<PoolView>, ApiFailure> {
    get("/pools").await
}

pub(crate) async fn create_pool(pool: &NewPool) -> Result<PoolView, ApiFailure> {
    send("POST", "/pools", Some(pool)).await
}

/// Changes how many runs each device of a pool trains at once.
pub(crate) async fn change_pool(pool: &str, change: &PoolChange) -> Result<PoolView, ApiFailure> {
    send("PATCH", &format!("/pools/{pool}"), Some(change)).await
}

/// The valid join tokens of a pool.
pub(crate) async fn join_tokens(pool: &str) -> Result<Vec<JoinTokenView>, ApiFailure> {
    get(&format!("/pools/{pool}/join-tokens")).await
}

pub(crate) async fn create_join_token(pool: &str, token: &NewJoinToken) -> Result<CreatedJoinToken, ApiFailure> {
    send("POST", &format!("/pools/{pool}/join-tokens"), Some(token)).await
}

pub(crate) async fn revoke_join_token(id: i64) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/join-tokens/{id}")).await
}
