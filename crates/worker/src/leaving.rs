//! Why a worker leaves by itself: a signal, or a server that has been gone for too long. Its run is then suspended, with a checkpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::outbox::Signal;

/// Whether a signal asked this process to leave.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leaving {
    is_asked: Arc<AtomicBool>,
}

impl Leaving {
    /// Waits for SIGTERM or SIGINT in the background, and wakes the link. A second signal ends the process at once.
    pub(crate) fn on_signals(&self, wake: Arc<Signal>) {
        let is_asked = Arc::clone(&self.is_asked);
        tokio::spawn(async move {
            signal().await;
            is_asked.store(true, Ordering::Release);
            wake.notify(true);
            signal().await;
            // 128 + SIGINT, as shells report it.
            std::process::exit(130);
        });
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::Acquire)
    }
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};

    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        // Without SIGTERM, Ctrl-C still asks it to leave.
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

#[cfg(not(unix))]
async fn signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
