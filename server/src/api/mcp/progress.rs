//! The progress of a long call, as the call reports it. The service sends it as progress notifications to clients that ask for them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The state of a call; cloning shares it.
#[derive(Clone, Default)]
pub struct Progress(Arc<Mutex<Stated>>);

/// The newest report of a call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stated {
    /// Maximum duration of the call, if it has one.
    pub limit: Option<Duration>,
    /// What it waits for, in a sentence of the program.
    pub message: String,
}

impl Progress {
    /// Reports how long the call may take.
    pub fn limit(&self, limit: Duration) {
        self.change(|stated| stated.limit = Some(limit));
    }

    /// Reports what the call waits for.
    pub fn say(&self, message: String) {
        self.change(|stated| stated.message = message);
    }

    pub fn stated(&self) -> Stated {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    // Plain values are consistent even after a panic.
    fn change(&self, change: impl FnOnce(&mut Stated)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
