//! Why a worker leaves by itself: a signal, the first process of its device, or a server that has been gone for too long. Its run is then suspended, with a checkpoint.

use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::outbox::Signal;

/// The line on standard input by which the first process of a device asks a further one to leave. A signal is no such request, because the
/// system may send one to both, and a second one ends a process at once.
pub(crate) const LEAVE: &str = "leave";

/// Whether this process was asked to leave.
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

    /// Waits in the background for the line [`LEAVE`] on standard input. The end of the input asks for nothing: then the first process was
    /// killed, and this one trains on.
    pub(crate) fn on_line(&self, wake: Arc<Signal>) {
        let is_asked = Arc::clone(&self.is_asked);
        let wait = move || {
            let lines = std::io::stdin().lock().lines();
            if lines.map_while(Result::ok).any(|line| line.trim() == LEAVE) {
                is_asked.store(true, Ordering::Release);
                wake.notify(true);
            }
        };
        if let Err(source) = thread::Builder::new().name("leave".into()).spawn(wait) {
            tracing::warn!("only a signal ends this process: {source}");
        }
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
