//! Routes of the table of runs: pages, facets, bulk actions, saved filters.

use wire::RunId;
use wire::run::table::{
    BulkAction, BulkOutcome, BulkRequest, CURSOR_HEADER, NewFilter, RunFacets, RunQuery, RunRow, SavedFilter,
    TOTAL_HEADER,
};

use super::failure::ApiFailure;
use super::request::{escape, get, read, send, send_for, send_plain, text_of};

/// One page of the table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RunPage {
    pub(crate) rows: Vec<RunRow>,
    /// Number of runs that match the query, on all pages.
    pub(crate) total: u64,
    /// Cursor of the next page; `None` on the last one.
    pub(crate) next: Option<String>,
}

/// The query string of a query, without the question mark.
pub(crate) fn query_string(query: &RunQuery) -> String {
    let pairs: Vec<String> = query.pairs().iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
    pairs.join("&")
}

/// A page of the runs that match a query.
pub(crate) async fn list(query: &RunQuery) -> Result<RunPage, ApiFailure> {
    let response = send_for::<()>("GET", &format!("/runs?{}", query_string(query)), None).await?;
    let header = |name: &str| response.headers().get(name).ok().flatten();
    let (total, next) = (header(TOTAL_HEADER), header(CURSOR_HEADER));
    let rows: Vec<RunRow> = read(&text_of(&response).await?)?;
    let total = total.and_then(|total| total.parse().ok()).unwrap_or(rows.len() as u64);
    Ok(RunPage { rows, total, next })
}

/// What the runs can be filtered by.
pub(crate) async fn facets() -> Result<RunFacets, ApiFailure> {
    get("/runs/facets").await
}

/// Carries out an action for several runs; each has its own outcome.
pub(crate) async fn bulk(runs: Vec<RunId>, action: BulkAction) -> Result<Vec<BulkOutcome>, ApiFailure> {
    send("POST", "/runs/bulk", Some(&BulkRequest { runs, action })).await
}

/// The saved filters by name.
pub(crate) async fn filters() -> Result<Vec<SavedFilter>, ApiFailure> {
    get("/filters").await
}

/// Saves a filter, replacing an existing filter with this name.
pub(crate) async fn save_filter(filter: &NewFilter) -> Result<SavedFilter, ApiFailure> {
    send("POST", "/filters", Some(filter)).await
}

/// Deletes a saved filter.
pub(crate) async fn delete_filter(id: u64) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/filters/{id}")).await
}
