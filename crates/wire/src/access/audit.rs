//! The audit log: who did what, when, from where.

use serde::{Deserialize, Serialize};

/// One request that changed something, or tried to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// Number, from 1 in the order of time.
    pub id: i64,
    /// Time, ms since 1970.
    pub at_ms: i64,
    /// Name of the person or token; empty for a request without one.
    pub who: String,
    /// What was done: the operation of the API in words, such as `create token`.
    pub action: String,
    /// What it was done to: the path of the request below `/api/v1`, without secrets.
    pub target: String,
    /// HTTP status of the answer; from 400 on, nothing was changed.
    pub status: u16,
    /// Address of the sender.
    pub address: String,
}

/// Which entries of the audit log are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema, utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(default)]
pub struct AuditQuery {
    /// Only entries that contain these words in who, action, target or address.
    pub q: Option<String>,
    /// Only those of this name.
    pub who: Option<String>,
    /// From this time on, ms since 1970.
    pub from_ms: Option<i64>,
    /// Before this time, ms since 1970.
    pub to_ms: Option<i64>,
    /// Only refused and failed requests.
    pub refused: Option<bool>,
    /// Only entries with a smaller number, for the next page.
    pub before: Option<i64>,
    /// Number of entries, 1 to 1000; 100 by default.
    pub limit: Option<u32>,
}

/// A page of the audit log, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditPage {
    pub entries: Vec<AuditEntry>,
    /// `before` of the next page; `None` on the last one.
    pub next: Option<i64>,
}
