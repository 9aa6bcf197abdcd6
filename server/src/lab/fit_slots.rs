//! How many fits and replays are computed at a time: one, so that requests and training do not wait for them. The others wait; each sender
//! may have a few.

use store::Identity;

use super::samplers::SamplerSlots;
use crate::error::ApiError;
use crate::live::places::{Full, Limits, Owner, Place, Places};

/// Computations at a time. The largest replay takes some seconds of one core.
const AT_ONCE: usize = 1;
/// Requests that are computed or wait. A page that shows a sweep sends one for the fit and one for the replay.
const REQUESTS: Limits = Limits { what: "fits, replays and reports", all: 16, guests: 8, token: 8, one: 4 };

/// Slots of fits, replays and reports.
#[derive(Clone)]
pub struct FitSlots {
    requests: Places,
    computing: SamplerSlots,
}

impl Default for FitSlots {
    fn default() -> Self {
        Self { requests: Places::new(REQUESTS), computing: SamplerSlots::new(AT_ONCE) }
    }
}

impl FitSlots {
    /// Takes a slot for a request, until the result is dropped.
    ///
    /// # Errors
    /// 429 if the sender, the guests or all senders together have the maximum number of requests.
    pub fn enter(&self, identity: &Identity) -> Result<Place, ApiError> {
        let full = |full: Full| {
            ApiError::busy(full.to_string()).hint("try again after the earlier ones were answered").retry_after(2)
        };
        self.requests.take(Owner::of(identity)).map_err(full)
    }

    /// Computes on its own thread, after the other fits.
    ///
    /// # Errors
    /// 500 if the computation panicked.
    pub async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        self.computing.compute(work).await
    }
}
