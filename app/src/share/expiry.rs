//! How long a link is valid.

use crate::components::number::clock;

/// Hours and words, in the order shown.
pub(super) const EXPIRIES: [(Option<u32>, &str); 5] =
    [(Some(1), "1 hour"), (Some(24), "1 day"), (Some(168), "7 days"), (Some(720), "30 days"), (None, "Never")];

/// The usual validity, hours.
pub(super) const USUAL: Option<u32> = Some(168);

/// The validity with this word.
pub(super) fn hours(word: &str) -> Option<Option<u32>> {
    EXPIRIES.into_iter().find(|(_, known)| *known == word).map(|(hours, _)| hours)
}

/// "expires 6 Dec 14:20", "never expires"
pub(super) fn phrase(expires_ms: Option<i64>) -> String {
    expires_ms.map_or_else(|| "never expires".to_owned(), |at| format!("expires {}", clock(at as f64)))
}
