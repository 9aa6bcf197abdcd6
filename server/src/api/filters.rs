//! Saved filters of the table of runs.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use wire::ApiErrorBody;
use wire::run::table::{FILTER_NAME_CHARS, NewFilter, SavedFilter};

use super::extract::{Body, Path};
use crate::auth::{Steerer, Viewer};
use crate::error::ApiError;
use crate::lab::Lab;

/// Maximum number of saved filters.
const FILTERS: usize = 200;

/// Lists the saved filters by name.
#[utoipa::path(get, path = "/filters", tag = "runs", responses((status = 200, body = Vec<SavedFilter>)))]
pub async fn list_filters(_: Viewer, State(lab): State<Lab>) -> Result<Json<Vec<SavedFilter>>, ApiError> {
    Ok(Json(lab.store().filters().await?))
}

/// Saves a filter for everyone who uses the lab, replacing an existing filter with this name.
#[utoipa::path(post, path = "/filters", tag = "runs", request_body = NewFilter,
    responses((status = 201, body = SavedFilter), (status = 409, description = "The lab has 200 filters.", body = ApiErrorBody)))]
pub async fn save_filter(
    _: Steerer,
    State(lab): State<Lab>,
    Body(filter): Body<NewFilter>,
) -> Result<(StatusCode, Json<SavedFilter>), ApiError> {
    let name = filter.name.trim();
    if name.is_empty() || name.chars().count() > FILTER_NAME_CHARS || name.chars().any(char::is_control) {
        return Err(ApiError::invalid("name_invalid", "the name of the filter is not valid")
            .field("name")
            .hint(format!("enter 1 to {FILTER_NAME_CHARS} characters on one line")));
    }
    let saved = lab.store().filters().await?;
    if saved.len() >= FILTERS && saved.iter().all(|known| known.name != name) {
        return Err(ApiError::conflict("filters_full", format!("the lab has {FILTERS} saved filters"))
            .hint("delete one of them first: DELETE /api/v1/filters/{id}"));
    }
    Ok((StatusCode::CREATED, Json(lab.store().save_filter(name, &filter.query).await?)))
}

/// Deletes a saved filter.
#[utoipa::path(delete, path = "/filters/{id}", tag = "runs", params(("id" = u64, Path)), responses((status = 204), (status = 404, body = ApiErrorBody)))]
pub async fn delete_filter(_: Steerer, State(lab): State<Lab>, Path(id): Path<u64>) -> Result<StatusCode, ApiError> {
    match lab.store().remove_filter(id).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::not_found(format!("unknown filter {id}")).hint("GET /api/v1/filters lists the filters")),
    }
}
