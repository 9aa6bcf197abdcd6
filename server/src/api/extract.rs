//! Bodies, paths and queries of requests. Invalid ones are refused with an [`ApiError`] that names the field.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use serde::de::DeserializeOwned;
use wire::error::in_words;
use wire::number::grouped;

use crate::error::ApiError;

/// A JSON body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let Json(value) = Json::<T>::from_request(request, state).await.map_err(body_refused)?;
        Ok(Self(value))
    }
}

/// Reads JSON that is not the body of a request. Invalid JSON gives the same errors as in a body.
///
/// # Errors
/// 400 for text that is not JSON, 422 for a field that is invalid.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, ApiError> {
    Json::from_bytes(text).map(|Json(value)| value).map_err(body_refused)
}

/// Reads a form, which is encoded as a query is; `None` for anything else.
pub(super) fn read_form<T: DeserializeOwned>(body: &str) -> Option<T> {
    let uri: Uri = format!("/?{}", body.trim()).parse().ok()?;
    axum::extract::Query::try_from_uri(&uri).ok().map(|axum::extract::Query(form)| form)
}

fn body_refused(rejection: JsonRejection) -> ApiError {
    let text = rejection.body_text();
    let reason = text.split_once(": ").map_or(text.as_str(), |(_, reason)| reason).to_owned();
    match rejection {
        JsonRejection::JsonDataError(_) => {
            let error = ApiError::invalid("body_invalid", in_words(&reason))
                .hint("GET /api/v1/openapi.json describes every body");
            match field_of(&reason) {
                Some(field) => error.field(field),
                None => error,
            }
        }
        JsonRejection::JsonSyntaxError(_) => {
            ApiError::new(StatusCode::BAD_REQUEST, "json_malformed", format!("the body is not JSON: {reason}"))
                .hint("check quotes, commas and brackets")
        }
        JsonRejection::MissingJsonContentType(_) => ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content_type",
            "the content type of the body is not JSON",
        )
        .hint("send Content-Type: application/json"),
        other => ApiError::new(other.status(), "body_unreadable", reason),
    }
}

/// The field that a message of serde names: a path before the colon, or a name in backquotes after "field".
fn field_of(reason: &str) -> Option<String> {
    let by_path = reason.split_once(": ").map(|(path, _)| path).filter(|path| !path.contains(' '));
    let by_name = reason.split_once("field `").and_then(|(_, rest)| rest.split_once('`')).map(|(name, _)| name);
    by_path.or(by_name).map(str::to_owned)
}

/// The limit of a page of a list, from 1 to `most`.
///
/// # Errors
/// 422 for a limit out of this range.
pub(super) fn checked_limit(limit: u32, most: u32) -> Result<u32, ApiError> {
    match (1..=most).contains(&limit) {
        true => Ok(limit),
        false => {
            let message = format!("the limit must be 1 to {}; got {}", grouped(most.into()), grouped(limit.into()));
            Err(ApiError::invalid("value_invalid", message).field("limit"))
        }
    }
}

/// How axum begins the message about a parameter of the path.
const INVALID: &str = "Invalid URL: ";

/// Parameters in the path. Text that is not an id is 404, because nothing can have it.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let found: Result<_, PathRejection> =
            <axum::extract::Path<T> as FromRequestParts<S>>::from_request_parts(parts, state).await;
        found
            .map(|axum::extract::Path(value)| Self(value))
            .map_err(|rejection| ApiError::not_found(in_words(rejection.body_text().trim_start_matches(INVALID))))
    }
}

pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let found: Result<_, QueryRejection> = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        found.map(|axum::extract::Query(value)| Self(value)).map_err(|rejection| {
            let reason = rejection.body_text().replace("Failed to deserialize query string: ", "");
            let error = ApiError::new(StatusCode::BAD_REQUEST, "query_invalid", in_words(&reason));
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
    fn the_invalid_field_is_found_in_the_reason() {
        let check = |reason: &str, field: Option<&str>| assert_eq!(field_of(reason).as_deref(), field, "{reason}");
        check("unknown field `presett`, expected one of `preset`", Some("presett"));
        check("steps: invalid type: string \"x\", expected u64 at line 1 column 9", Some("steps"));
        check("missing field `kind` at line 1 column 2", Some("kind"));
        check("expected value at line 1 column 1", None);
    }
}
