//! `kindling worker`: a process that trains for a server, on this machine or another.

use std::env;

use clap::Args;
use wire::DeviceId;
use wire::device::DeviceKind;
use worker::{WorkerConfig, WorkerError};

use super::data::DataArgs;
use crate::workers::local;

const EXAMPLES: &str = "\
Examples:
  Make a token on the lab's machine, then train for the lab on this one:
    kindling token --role worker --name gpu-box
    KINDLING_TOKEN=... kindling worker --server http://lab.example.org:7878
  Train on one device of several:
    kindling worker --server http://lab.example.org:7878 --device vulkan-1

Environment:
  KINDLING_TOKEN  Token of the role worker; required";

/// Trains the runs of a lab on a device of this machine, until the server or a signal ends it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct WorkerArgs {
    /// Address of the server [default: the server of the lab's folder, on this machine]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Device to train on, as `kindling devices` lists it [default: a GPU if there is one, else the CPU]
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,
    #[command(flatten)]
    data: DataArgs,
}

/// Why a worker did not start or ended early.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// It has no token to show to the server.
    #[error(
        "the environment variable KINDLING_TOKEN holds no token: make one with `kindling token --role worker` on the lab's machine, and \
         set KINDLING_TOKEN to it"
    )]
    Token {
        /// Whether it is missing or unreadable.
        source: env::VarError,
    },
    /// There is nothing to train on.
    #[error("this machine has no device to train on: `kindling devices` lists none")]
    NoDevice,
    /// The worker itself.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

impl WorkerArgs {
    /// Trains until the server shuts the worker down or its idle timeout expires.
    ///
    /// # Errors
    /// There is no token, no device, or the worker fails.
    pub async fn run(self) -> Result<(), WorkError> {
        let token = env::var("KINDLING_TOKEN").map_err(|source| WorkError::Token { source })?;
        leave_session();
        let device = self.device.or_else(best_device).ok_or(WorkError::NoDevice)?;
        worker::run(WorkerConfig::new(self.server, self.data.folder, device, token)).await?;
        Ok(())
    }
}

fn best_device() -> Option<DeviceId> {
    let found = engine::device::list();
    let gpu = found.iter().find(|device| device.kind == DeviceKind::Gpu);
    gpu.or(found.first()).map(|device| device.id.clone())
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
