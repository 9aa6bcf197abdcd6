//! The server's clock, as heartbeats and reports carry it, and its moments as text.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::DateTime;

/// Milliseconds since 1970 (UTC); 0 on a machine whose clock is set before that.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// A time in UTC, to the minute: `2026-11-30 09:20`.
pub fn utc_minute(at_ms: i64) -> String {
    DateTime::from_timestamp_millis(at_ms).unwrap_or_default().format("%Y-%m-%d %H:%M").to_string()
}
