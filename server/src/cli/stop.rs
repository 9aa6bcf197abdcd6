//! `kindling stop`: ends the server and the local workers of a lab. Runs that train are suspended with a checkpoint first.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use store::StoreError;
use wire::{RunState, RunSummary};

use super::data::{DataArgs, UnusedFolder};
use super::status::LabProcesses;
use crate::output::{self, OutputError};
use crate::workers::local::ServerProcess;

const EXAMPLES: &str = "\
Examples:
  End the lab of this folder:
    kindling stop
  Give a large model more time to save its checkpoint:
    kindling stop --data my-lab --within 600";

/// Time between the two signals to a server, which it must tell apart.
const BETWEEN_SIGNALS: Duration = Duration::from_millis(300);
/// How often the processes are checked.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// Ends the server of a lab and its workers on this machine; training runs save a checkpoint and are suspended.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct StopArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Seconds to wait for the processes to end
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    within: u64,
}

/// Errors of `kindling stop`.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    #[error(transparent)]
    Unused(#[from] UnusedFolder),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Output(#[from] OutputError),
    /// A process belongs to another user, for example.
    #[error("process {pid} cannot be stopped: {source}")]
    Signal {
        /// The process.
        pid: u32,
        source: io::Error,
    },
    /// A process did not end in time.
    #[error("process {pid} has not ended within {secs} s; it may still be saving a checkpoint. Run `kindling stop --within {}` to wait longer", secs * 5)]
    Late {
        /// The process.
        pid: u32,
        /// Time that it had.
        secs: u64,
    },
}

impl StopArgs {
    /// Asks the processes to end and waits for them.
    ///
    /// # Errors
    /// There is no lab in the folder; a process cannot be asked to end, or does not end in time.
    pub async fn run(self) -> Result<(), StopError> {
        let folder = self.data.used()?;
        let found = LabProcesses::read(folder).await?;
        if let Some(ServerProcess { pid, .. }) = found.server {
            // The second signal makes the server suspend its runs, whose last reports it then stores.
            send(pid, Signal::INT).map_err(|source| StopError::Signal { pid, source })?;
            tokio::time::sleep(BETWEEN_SIGNALS).await;
            let is_running = || store::holder(folder).is_some();
            self.end(pid, Signal::INT, is_running).await?;
            ended(format_args!("Server (process {pid}) has ended."));
        }
        for (device, pid) in worker::holders(folder) {
            self.end(pid, Signal::TERM, || worker::is_held(folder, &device)).await?;
            ended(format_args!("Worker of {device} (process {pid}) has ended."));
        }
        Ok(output::line(self.outcome(folder, &found).await?)?)
    }

    async fn end(&self, pid: u32, signal: Signal, is_running: impl Fn() -> bool) -> Result<(), StopError> {
        if is_running() {
            send(pid, signal).map_err(|source| StopError::Signal { pid, source })?;
        }
        let began = Instant::now();
        while is_running() {
            if began.elapsed() > Duration::from_secs(self.within) {
                return Err(StopError::Late { pid, secs: self.within });
            }
            tokio::time::sleep(CHECK_EVERY).await;
        }
        Ok(())
    }

    /// What became of the runs that trained.
    async fn outcome(&self, folder: &Path, before: &LabProcesses) -> Result<String, StoreError> {
        let trained: Vec<_> = before.runs.iter().filter(|run| run.state.is_live()).collect();
        if before.workers.is_empty() && before.server.is_none() {
            return Ok("No process of this lab runs on this machine.".to_owned());
        }
        let after = LabProcesses::read(folder).await?.runs;
        let line = |run: &&RunSummary| {
            let state = after.iter().find(|other| other.id == run.id).map(|other| other.state);
            match state {
                Some(RunState::Suspended) => format!("Run {}: suspended; resume it after `kindling serve`.", run.id),
                Some(_) => format!("Run {}: its last reports are stored when a server starts on this folder.", run.id),
                None => format!("Run {}: it has ended.", run.id),
            }
        };
        let lines: Vec<String> = trained.iter().map(line).collect();
        Ok(if lines.is_empty() { "No run was training.".to_owned() } else { lines.join("\n") })
    }
}

/// Prints that a process has ended. Without a reader the other processes are stopped too.
fn ended(text: fmt::Arguments<'_>) {
    let _ = output::line(text);
}

fn send(pid: u32, signal: Signal) -> io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("this is not a process number"))?;
    match kill_process(pid, signal) {
        // It has ended meanwhile.
        Err(rustix::io::Errno::SRCH) => Ok(()),
        other => other.map_err(io::Error::from),
    }
}
