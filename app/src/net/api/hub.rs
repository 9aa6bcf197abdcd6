//! Routes of imports from the Hugging Face hub, and of the jobs that they start.

use wire::data::corpus::Job;

use super::failure::ApiFailure;
use super::request::{send, send_plain};

/// Imports a model or a dataset of the hub; `route` is `models` or `datasets`.
pub(crate) async fn import(route: &str, args: &serde_json::Value) -> Result<Job, ApiFailure> {
    send("POST", &format!("/hub/{route}"), Some(args)).await
}

/// Cancels a running job.
pub(crate) async fn cancel(job: u64) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/jobs/{job}")).await
}
