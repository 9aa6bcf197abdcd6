//! The two clocks and the one source of unpredictable numbers.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 (UTC); 0 on a machine whose clock stands before that.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// A number that differs from call to call and from process to process; for names, never for secrets.
pub fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
