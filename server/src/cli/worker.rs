//! `kindling worker`: the process that a server starts for each device of its own machine.

use std::env;
use std::io::{self, BufRead, IsTerminal};

use clap::Args;
use wire::DeviceId;
use wire::slot::MAX_RUNS_AT_ONCE;
use worker::{WorkerConfig, WorkerError, WorkerLog};

use super::data::DataArgs;
use super::memory;
use crate::workers::local;

const EXAMPLES: &str = "\
Examples:
  As a server starts it, with the token on standard input:
    kindling worker --data my-lab --device cpu < token";

/// Trains the runs of the lab in a folder of this machine; a server starts it. `kindling join` adds another machine.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct WorkerArgs {
    /// Device to train on, as `kindling devices` lists it
    #[arg(long, value_name = "ID")]
    device: DeviceId,
    #[command(flatten)]
    data: DataArgs,
    /// Which of the processes of the device this is, where its pool trains several runs at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_RUNS_AT_ONCE)))]
    slot: u32,
}

/// Why a worker did not start or ended early.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// A person has started it.
    #[error("a server starts `kindling worker` by itself; to add a machine to a lab, use `kindling join`")]
    NoToken,
    #[error("the token cannot be read from standard input: {0}")]
    Input(#[source] io::Error),
    /// The worker itself.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

impl WorkerArgs {
    /// Trains until the server shuts the worker down or its idle timeout expires.
    ///
    /// # Errors
    /// There is no token, or the worker fails.
    pub async fn run(self, log: WorkerLog) -> Result<(), WorkError> {
        memory::keep_private();
        let token = read_token()?;
        leave_session();
        let config = WorkerConfig::new(None, self.data.folder, self.device, token);
        worker::run(WorkerConfig { log, slot: self.slot, ..config }).await?;
        Ok(())
    }
}

/// The first line of standard input.
fn read_token() -> Result<String, WorkError> {
    let input = io::stdin();
    let mut line = String::new();
    if !input.is_terminal() {
        input.lock().read_line(&mut line).map_err(WorkError::Input)?;
    }
    let token = line.trim();
    if token.is_empty() { Err(WorkError::NoToken) } else { Ok(token.to_owned()) }
}

/// A worker that a server started outlives it: the signal that ends the server's session must not reach the training.
#[cfg(unix)]
fn leave_session() {
    if env::var_os(local::OWN_SESSION).is_some()
        && let Err(error) = rustix::process::setsid()
    {
        tracing::warn!("this worker stays in its server's session and ends with it: {error}");
    }
}

#[cfg(not(unix))]
fn leave_session() {}
