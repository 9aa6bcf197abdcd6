//! Alerts, and the channels by which they are sent.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use wire::ApiErrorBody;
use wire::alert::{AlertQuery, AlertView, ChannelChange, ChannelView, Channels, DeliveryView, NewChannel, TestResult};

use super::extract::{Body, Path, Query, checked_limit};
use crate::auth::Member;
use crate::error::ApiError;
use crate::export::alerts::channels;
use crate::lab::Lab;

const DEFAULT_LIMIT: u32 = 50;
const MOST: u32 = 200;

/// Lists the newest alerts of runs that you may see, and of machines if you may see the whole lab, newest first. Alerts are kept for 30 days.
#[utoipa::path(get, path = "/alerts", tag = "alerts", params(AlertQuery), responses((status = 200, body = Vec<AlertView>)))]
pub async fn list_alerts(
    Member(own): Member,
    State(lab): State<Lab>,
    Query(query): Query<AlertQuery>,
) -> Result<Json<Vec<AlertView>>, ApiError> {
    let limit = checked_limit(query.limit.unwrap_or(DEFAULT_LIMIT), MOST)?;
    Ok(Json(lab.store().alerts(&own.grants, query.after.unwrap_or(0), limit as usize).await?))
}

/// Lists your alert channels, for an admin also those of the lab, and which channels you may create.
#[utoipa::path(get, path = "/alert-channels", tag = "alerts", responses((status = 200, body = Channels)))]
pub async fn list_alert_channels(Member(own): Member, State(lab): State<Lab>) -> Result<Json<Channels>, ApiError> {
    channels::list(&lab, &own).await.map(Json)
}

/// Creates an alert channel. Admins create channels of the lab, to any receiver. Other people create channels of their own, which go to the
/// e-mail address of the account or to a topic of the lab's ntfy server and send alerts of runs that the person may see.
#[utoipa::path(post, path = "/alert-channels", tag = "alerts", request_body = NewChannel,
    responses((status = 201, body = ChannelView),
        (status = 409, description = "You have no account, or there are too many channels.", body = ApiErrorBody)))]
pub async fn create_alert_channel(
    Member(own): Member,
    State(lab): State<Lab>,
    Body(new): Body<NewChannel>,
) -> Result<(StatusCode, Json<ChannelView>), ApiError> {
    Ok((StatusCode::CREATED, Json(channels::create(&lab, &own, new).await?)))
}

/// Changes an alert channel. Waiting messages of a channel that is turned off are discarded.
#[utoipa::path(patch, path = "/alert-channels/{id}", tag = "alerts", params(("id" = i64, Path)), request_body = ChannelChange,
    responses((status = 200, body = ChannelView)))]
pub async fn change_alert_channel(
    Member(own): Member,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
    Body(change): Body<ChannelChange>,
) -> Result<Json<ChannelView>, ApiError> {
    channels::change(&lab, &own, id, change).await.map(Json)
}

/// Deletes an alert channel with its messages.
#[utoipa::path(delete, path = "/alert-channels/{id}", tag = "alerts", params(("id" = i64, Path)), responses((status = 204)))]
pub async fn delete_alert_channel(
    Member(own): Member,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    channels::remove(&lab, &own, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a test message to an alert channel now, and returns the answer of its receiver. At most once in 5 s for each channel of the
/// lab and for each person.
#[utoipa::path(post, path = "/alert-channels/{id}/test", tag = "alerts", params(("id" = i64, Path)), responses((status = 200, body = TestResult)))]
pub async fn test_alert_channel(
    Member(own): Member,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
) -> Result<Json<TestResult>, ApiError> {
    channels::test(&lab, &own, id).await.map(Json)
}

/// Lists the newest messages of an alert channel with their state, newest first.
#[utoipa::path(get, path = "/alert-channels/{id}/deliveries", tag = "alerts", params(("id" = i64, Path)),
    responses((status = 200, body = Vec<DeliveryView>)))]
pub async fn list_alert_deliveries(
    Member(own): Member,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
) -> Result<Json<Vec<DeliveryView>>, ApiError> {
    channels::deliveries(&lab, &own, id).await.map(Json)
}
