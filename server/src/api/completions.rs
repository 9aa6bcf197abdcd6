//! Completions of prompts.

use std::convert::Infallible;

use axum::body::Body as StreamBody;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use wire::ApiErrorBody;
use wire::access::Role;
use wire::completion::{CompletionLine, CompletionRequest};

use super::extract::Body;
use crate::auth::{SignedIn, run};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::runs::completion;

/// Completes a prompt with a checkpoint of a run. The response has a JSON line for each token as it is generated, and a last line with the
/// reason why the completion ended.
#[utoipa::path(post, path = "/completions", tag = "inspect", request_body = CompletionRequest,
    responses((status = 200, description = "JSON lines.", content_type = "application/x-ndjson", body = CompletionLine),
        (status = 404, description = "Unknown run or checkpoint.", body = ApiErrorBody),
        (status = 422, description = "A value is invalid.", body = ApiErrorBody),
        (status = 429, description = "Too many checkpoints are in use.", body = ApiErrorBody)))]
pub async fn create_completion(
    SignedIn(identity): SignedIn,
    State(lab): State<Lab>,
    Body(request): Body<CompletionRequest>,
) -> Result<Response, ApiError> {
    run::check(&lab, &identity, &request.run, Role::View).await?;
    let lines = completion::complete(&lab, request).await?.map(Ok::<_, Infallible>);
    let headers = [(CONTENT_TYPE, "application/x-ndjson"), (CACHE_CONTROL, "no-store")];
    Ok((headers, StreamBody::from_stream(lines)).into_response())
}
