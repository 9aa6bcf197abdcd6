//! Messages to channels: their state, and what receivers of webhooks get.
//!
//! A message is delivered at least once. Each has an id, which repeated attempts keep, so that a receiver can drop what arrives twice. It is in
//! the header `X-Kindling-Delivery` of HTTP requests, and in the Message-ID of e-mails.

use serde::{Deserialize, Serialize};

use super::AlertView;

/// The header with the id of a delivery.
pub const DELIVERY_HEADER: &str = "X-Kindling-Delivery";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It will be sent, or sent again.
    Waiting,
    /// The receiver has accepted it.
    Sent,
    /// It was given up.
    Failed,
}

/// A message to a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = AlertDelivery))]
pub struct DeliveryView {
    /// Id that the receiver gets: 32 hexadecimal digits.
    pub delivery: String,
    pub state: DeliveryState,
    /// When the first of its alerts was raised, ms since 1970.
    pub created_ms: i64,
    /// When it is sent, or sent again, ms since 1970; for one that is not waiting, the time of the last attempt.
    pub due_ms: i64,
    /// Attempts so far.
    pub attempts: u32,
    /// What the receiver answered to the last attempt, or why there was no answer.
    pub answer: Option<String>,
    /// Number of its alerts.
    pub alerts: u64,
    /// Title of the first of them; empty if the owner of the channel may not see it any more.
    pub title: String,
}

/// How the receiver of a channel answered to a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = AlertTestResult))]
pub struct TestResult {
    pub is_accepted: bool,
    /// What it answered, or why there was no answer.
    pub answer: String,
    /// Id of the delivery.
    pub delivery: String,
    /// Time until the answer, ms.
    pub took_ms: u64,
}

/// The body of a request to a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookBody {
    /// Id of the delivery, the same for each attempt.
    pub delivery: String,
    /// Whether somebody tests the channel; nothing has happened.
    #[serde(default)]
    pub is_test: bool,
    /// Address of the lab, without a slash at the end; absent where the server does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lab: Option<String>,
    /// Oldest first, at most 50.
    pub alerts: Vec<AlertView>,
    /// Number of further alerts.
    #[serde(default)]
    pub left_out: u64,
}
