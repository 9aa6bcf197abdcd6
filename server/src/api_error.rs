//! The one error of the API: a status, a stable code, what people are told, and the source that only the log sees.
//! Errors convert purely; the middleware [`log_refusals`] writes each down once.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use wire::{ApiErrorBody, PlanError};

/// A refusal or a failure, as a response.
#[derive(Debug, Clone)]
pub struct ApiError {
    /// Status of the response.
    pub status: StatusCode,
    /// Body of the response.
    pub body: Box<ApiErrorBody>,
    /// What the log should know and the caller need not.
    pub source: Option<String>,
}

impl ApiError {
    /// An error of this status and code.
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let body = ApiErrorBody { code: code.into(), message: message.into(), field: None, hint: None };
        Self { status, body: Box::new(body), source: None }
    }

    /// The same, with the way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.body.hint = Some(hint.into());
        self
    }

    /// The same, about a field.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.body.field = Some(field.into());
        self
    }

    /// Something asked for is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// What was asked does not go with how things stand.
    pub fn conflict(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// What was sent cannot be taken.
    pub fn invalid(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    /// A failure of the lab itself: the caller learns what was tried, the log learns why.
    pub fn internal(doing: &str, source: impl std::fmt::Display) -> Self {
        let mut error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", format!("{doing} failed: {source}"))
            .hint("the server's log has more; a full disk is the usual cause");
        error.source = Some(source.to_string());
        error
    }
}

impl From<PlanError> for ApiError {
    fn from(error: PlanError) -> Self {
        let mut made = Self::invalid("plan_invalid", error.message).field(error.field);
        made.body.hint = error.hint;
        made
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body.clone())).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Logs refusals quietly and failures loudly, once.
pub async fn log_refusals(request: Request, next: Next) -> Response {
    let line = format!("{} {}", request.method(), request.uri().path());
    let response = next.run(request).await;
    if let Some(ApiError { status, body, source }) = response.extensions().get::<ApiError>() {
        let why = source.as_deref().unwrap_or(&body.message);
        if status.is_server_error() {
            tracing::error!("{line}: {status}, {}: {why}", body.code);
        } else {
            tracing::debug!("{line}: {status}, {}: {why}", body.code);
        }
    }
    response
}

/// A JSON body; a bad one is refused with the place and the reason in the API's own form.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let Json(value) = Json::<T>::from_request(request, state).await.map_err(body_refused)?;
        Ok(Self(value))
    }
}

fn body_refused(rejection: JsonRejection) -> ApiError {
    let text = rejection.body_text();
    let reason = text.split_once(": ").map_or(text.as_str(), |(_, reason)| reason).to_owned();
    match rejection {
        JsonRejection::JsonDataError(_) => {
            let error =
                ApiError::invalid("body_invalid", reason.clone()).hint("GET /api/v1/openapi.json describes every body");
            match field_of(&reason) {
                Some(field) => error.field(field),
                None => error,
            }
        }
        JsonRejection::JsonSyntaxError(_) => {
            ApiError::new(StatusCode::BAD_REQUEST, "json_malformed", format!("the body is not JSON: {reason}"))
                .hint("check quotes, commas and brackets")
        }
        JsonRejection::MissingJsonContentType(_) => {
            ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type", "the body must be JSON")
                .hint("send Content-Type: application/json")
        }
        other => ApiError::new(other.status(), "body_unreadable", reason),
    }
}

/// The field which serde's message names: by path before the colon, or in backquotes after "field".
fn field_of(reason: &str) -> Option<String> {
    let by_path = reason.split_once(": ").map(|(path, _)| path).filter(|path| !path.contains(' '));
    let by_name = reason.split_once("field `").and_then(|(_, rest)| rest.split_once('`')).map(|(name, _)| name);
    by_path.or(by_name).map(str::to_owned)
}

/// Parts of the path; a part that is no id is not found rather than malformed.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let found: Result<_, PathRejection> =
            <axum::extract::Path<T> as FromRequestParts<S>>::from_request_parts(parts, state).await;
        found
            .map(|axum::extract::Path(value)| Self(value))
            .map_err(|rejection| ApiError::not_found(rejection.body_text()))
    }
}

/// The query; a bad one is refused in the API's own form.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let found: Result<_, QueryRejection> = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        found.map(|axum::extract::Query(value)| Self(value)).map_err(|rejection| {
            let reason = rejection.body_text().replace("Failed to deserialize query string: ", "");
            let error = ApiError::new(StatusCode::BAD_REQUEST, "query_invalid", reason.clone());
            match field_of(&reason) {
                Some(field) => error.field(field),
                None => error,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::field_of;

    #[test]
    fn the_field_at_fault_is_found_in_the_reason() {
        let check = |reason: &str, field: Option<&str>| assert_eq!(field_of(reason).as_deref(), field, "{reason}");
        check("unknown field `presett`, expected one of `preset`", Some("presett"));
        check("steps: invalid type: string \"x\", expected u64 at line 1 column 9", Some("steps"));
        check("missing field `kind` at line 1 column 2", Some("kind"));
        check("expected value at line 1 column 1", None);
    }
}
