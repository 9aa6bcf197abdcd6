//! The audit log, read by admins.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat};
use futures_util::stream;
use wire::access::audit::{AuditEntry, AuditPage, AuditQuery};

use super::extract::Query;
use crate::auth::Admin;
use crate::error::ApiError;
use crate::lab::Lab;

/// Entries of a page, by default and at most.
const ENTRIES: u32 = 100;
const MOST_ENTRIES: u32 = 1000;
/// Rows of an export.
const MOST_ROWS: u32 = 100_000;
const HEADER: &str = "number,time,who,action,target,status,address\n";

/// Returns the audit log: who changed what, newest first.
#[utoipa::path(get, path = "/audit", tag = "access", params(AuditQuery), responses((status = 200, body = AuditPage)))]
pub async fn list_audit(
    _: Admin,
    State(lab): State<Lab>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<AuditPage>, ApiError> {
    let limit = query.limit.unwrap_or(ENTRIES);
    if !(1..=MOST_ENTRIES).contains(&limit) {
        let message = format!("a page has 1 to {MOST_ENTRIES} entries; got {limit}");
        return Err(ApiError::invalid("limit_invalid", message).field("limit"));
    }
    lab.audit.write(lab.store()).await;
    Ok(Json(lab.store().audit(&query, limit).await?))
}

/// Exports the audit log as CSV, newest first, at most 100,000 rows; times are in UTC.
#[utoipa::path(get, path = "/audit.csv", tag = "access", params(AuditQuery),
    responses((status = 200, content_type = "text/csv", body = String)))]
pub async fn export_audit(
    _: Admin,
    State(lab): State<Lab>,
    Query(query): Query<AuditQuery>,
) -> Result<Response, ApiError> {
    lab.audit.write(lab.store()).await;
    let start = Export { lab, query, left: MOST_ROWS, is_begun: false };
    let headers =
        [(CONTENT_TYPE, "text/csv; charset=utf-8"), (CONTENT_DISPOSITION, "attachment; filename=\"audit.csv\"")];
    Ok((headers, Body::from_stream(stream::try_unfold(start, Export::next))).into_response())
}

/// An export under way.
struct Export {
    lab: Lab,
    query: AuditQuery,
    /// Rows that it may still have.
    left: u32,
    is_begun: bool,
}

impl Export {
    /// The next block of rows.
    async fn next(mut self) -> Result<Option<(String, Self)>, ApiError> {
        let header = if self.is_begun { "" } else { HEADER };
        if self.left == 0 {
            return Ok(None);
        }
        let page = self.lab.store().audit(&self.query, self.left.min(MOST_ENTRIES)).await?;
        let rows: String = page.entries.iter().map(row).collect();
        self.is_begun = true;
        self.left = match page.next {
            Some(before) => {
                self.query.before = Some(before);
                self.left - page.entries.len() as u32
            }
            None => 0,
        };
        Ok(Some((format!("{header}{rows}"), self)))
    }
}

fn row(entry: &AuditEntry) -> String {
    let AuditEntry { id, at_ms, who, action, target, status, address } = entry;
    let [who, action, target, address] = [who, action, target, address].map(|text| field(text));
    format!("{id},{},{who},{action},{target},{status},{address}\n", utc(*at_ms))
}

/// A text as a field. Spreadsheets compute text that begins like a formula, so such text gets an apostrophe.
fn field(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{guard}{}\"", text.replace('"', "\"\"")),
        false => format!("{guard}{text}"),
    }
}

/// A moment in UTC.
fn utc(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_no_formulas() {
        for (text, expected) in [
            ("ada", "ada"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("=1+1", "'=1+1"),
            ("@SUM(A1),2", "\"'@SUM(A1),2\""),
        ] {
            assert_eq!(field(text), expected);
        }
    }
}
