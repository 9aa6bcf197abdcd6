//! Routes of alerts, their channels, and conditions on metrics.

use wire::RunId;
use wire::alert::{
    AlertView, ChannelChange, ChannelView, Channels, ConditionView, DeliveryView, NewChannel, NewCondition, TestResult,
};

use super::failure::ApiFailure;
use super::request::{get, send, send_plain};

/// Alerts with a number above `after`, newest first, at most `limit`.
pub(crate) async fn list(after: i64, limit: u32) -> Result<Vec<AlertView>, ApiFailure> {
    get(&format!("/alerts?after={after}&limit={limit}")).await
}

/// The conditions that hold for a run, or all that this person may see.
pub(crate) async fn conditions(run: Option<&RunId>) -> Result<Vec<ConditionView>, ApiFailure> {
    let query = run.map(|run| format!("?run={run}")).unwrap_or_default();
    get(&format!("/alert-conditions{query}")).await
}

pub(crate) async fn create_condition(condition: &NewCondition) -> Result<ConditionView, ApiFailure> {
    send("POST", "/alert-conditions", Some(condition)).await
}

pub(crate) async fn delete_condition(id: i64) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/alert-conditions/{id}")).await
}

/// The channels that this person may change, and those that they may create.
pub(crate) async fn channels() -> Result<Channels, ApiFailure> {
    get("/alert-channels").await
}

pub(crate) async fn create(channel: &NewChannel) -> Result<ChannelView, ApiFailure> {
    send("POST", "/alert-channels", Some(channel)).await
}

pub(crate) async fn change(id: i64, change: &ChannelChange) -> Result<ChannelView, ApiFailure> {
    send("PATCH", &format!("/alert-channels/{id}"), Some(change)).await
}

pub(crate) async fn delete(id: i64) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/alert-channels/{id}")).await
}

/// Sends a test message and returns the answer of the receiver.
pub(crate) async fn test(id: i64) -> Result<TestResult, ApiFailure> {
    send::<(), _>("POST", &format!("/alert-channels/{id}/test"), None).await
}

/// The newest messages of a channel.
pub(crate) async fn deliveries(id: i64) -> Result<Vec<DeliveryView>, ApiFailure> {
    get(&format!("/alert-channels/{id}/deliveries")).await
}
