//! How often the scenarios that kill processes at random do so.

/// Three times, or as often as `KINDLING_KILLS` says.
pub(crate) fn kills() -> u64 {
    std::env::var("KINDLING_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}
