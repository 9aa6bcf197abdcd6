//! Answers to requests for work that may take long.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::data::Outcome;

/// The result with this status, or 202 with the job that continues.
pub(super) fn answer<T: Serialize>(status: StatusCode, outcome: Outcome<T>) -> Response {
    match outcome {
        Outcome::Done(value) => (status, Json(value)).into_response(),
        Outcome::Job(job) => (StatusCode::ACCEPTED, Json(job)).into_response(),
    }
}
