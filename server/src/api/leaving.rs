//! Ctrl-C at a server: it names the runs that train on without it, and suspends them at a second Ctrl-C.

use std::time::Duration;

use futures_util::future::join_all;
use wire::control::author::Author;
use wire::{Command, RunSummary};

use crate::lab::Lab;
use crate::output;
use crate::runs::{commands, steering};

/// How long a second Ctrl-C is waited for.
const SECOND_WITHIN: Duration = Duration::from_secs(5);
/// How long suspended runs may take to save their checkpoints.
const SAVED_WITHIN: Duration = Duration::from_secs(120);
/// How often it is checked whether the workers have released their runs.
const RELEASE_CHECK: Duration = Duration::from_millis(20);

/// Names the runs that continue without the server; a second signal suspends them, a third one ends the wait for their checkpoints.
pub(super) async fn say_what_continues(lab: &Lab) {
    let runs = in_training(lab).await;
    if runs.is_empty() {
        return;
    }
    let names = runs.iter().map(|run| format!("{} ({})", run.id, run.name)).collect::<Vec<_>>().join(", ");
    let plural = if runs.len() == 1 { "" } else { "s" };
    output::notice(format_args!(
        "Training continues without the server: run{plural} {names}.\n\
         The next `kindling serve --data {data}` connects to its worker again. To suspend training with a checkpoint, press Ctrl-C again within {secs} s, \
         or run later: kindling stop --data {data}",
        data = lab.settings.data.display(),
        secs = SECOND_WITHIN.as_secs(),
    ));
    if tokio::time::timeout(SECOND_WITHIN, wait_for_signal()).await.is_ok() {
        output::notice("Suspending; press Ctrl-C once more to end without waiting for the checkpoints.");
        tokio::select! {
            () = suspend(lab, &runs) => {}
            _ = wait_for_signal() => {}
            () = tokio::time::sleep(SAVED_WITHIN) => {
                output::notice("The checkpoints are not saved yet; training continues.");
            }
        }
    }
}

/// Runs that a connected worker trains; none if the store cannot be read.
async fn in_training(lab: &Lab) -> Vec<RunSummary> {
    let runs = lab.store().runs(false).await.unwrap_or_default();
    runs.into_iter().filter(|run| steering::is_trained(lab, run)).collect()
}

async fn suspend(lab: &Lab, runs: &[RunSummary]) {
    let reason = Some("Ctrl-C at the server".to_owned());
    let each = runs.iter().map(async |run| {
        let answer = commands::send(lab, &run.id, Author::System, Command::Suspend { reason: reason.clone() }).await;
        match answer {
            Ok(_) => output::notice(format_args!("{} is suspended.", run.id)),
            Err(error) => output::notice(format_args!("{} is not suspended: {error}", run.id)),
        }
    });
    join_all(each).await;
    // A worker is idle, and ends with the server, once its run is released: a moment after the run is suspended.
    while runs.iter().any(|run| lab.workers.fleet.trains(&run.id)) {
        tokio::time::sleep(RELEASE_CHECK).await;
    }
}

/// A signal that stops the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopSignal {
    /// Ctrl-C: somebody sits at the terminal.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

#[cfg(unix)]
pub(crate) async fn wait_for_signal() -> StopSignal {
    use tokio::signal::unix::{SignalKind, signal};

    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        // Without SIGTERM, Ctrl-C still stops the server.
        let _ = tokio::signal::ctrl_c().await;
        return StopSignal::Interrupt;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => StopSignal::Interrupt,
        _ = terminate.recv() => StopSignal::Terminate,
    }
}

#[cfg(not(unix))]
pub(crate) async fn wait_for_signal() -> StopSignal {
    // Where no signal can be received, only killing the process stops it.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
    StopSignal::Interrupt
}
