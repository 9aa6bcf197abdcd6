//! `kindling status`: the processes of a lab and the runs that they train, whether or not a server holds the folder.

use std::path::Path;

use clap::Args;
use store::{Store, StoreError};
use wire::{DeviceId, RunState, RunSummary};

use super::data::{DataArgs, UnusedFolder};
use crate::output::{self, OutputError};
use crate::workers::local::{self, ServerProcess};

const EXAMPLES: &str = "\
Examples:
  See whether the lab of this folder still trains:
    kindling status
  The same for another folder:
    kindling status --data my-lab";

/// Prints the server, the workers and the unfinished runs of a lab; also works without a server.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct StatusArgs {
    #[command(flatten)]
    data: DataArgs,
}

/// Errors of `kindling status`.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    #[error(transparent)]
    Unused(#[from] UnusedFolder),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Output(#[from] OutputError),
}

impl StatusArgs {
    /// Prints the state of the lab on standard output.
    ///
    /// # Errors
    /// There is no lab in the folder, or the store fails.
    pub async fn run(self) -> Result<(), StatusError> {
        Ok(output::line(LabProcesses::read(self.data.used()?).await?.described())?)
    }
}

/// What runs on this machine for a lab.
#[derive(Debug)]
pub(super) struct LabProcesses {
    pub(super) server: Option<ServerProcess>,
    pub(super) workers: Vec<(DeviceId, u32)>,
    /// Runs that are not over, newest first.
    pub(super) runs: Vec<RunSummary>,
}

impl LabProcesses {
    pub(super) async fn read(folder: &Path) -> Result<Self, StoreError> {
        let runs = Store::open_access(folder).await?.runs(false).await?;
        let is_open =
            |run: &RunSummary| run.state.is_live() || matches!(run.state, RunState::Queued | RunState::Suspended);
        Ok(Self {
            server: local::server_of(folder),
            workers: worker::holders(folder),
            runs: runs.into_iter().filter(is_open).collect(),
        })
    }

    fn described(&self) -> String {
        let mut lines = vec![match &self.server {
            Some(server) => format!("Server: process {}, {}", server.pid, server.url),
            None => "Server: none".to_owned(),
        }];
        match self.workers.as_slice() {
            [] => lines.push("Workers on this machine: none".to_owned()),
            workers => lines.extend(workers.iter().map(|(device, pid)| format!("Worker of {device}: process {pid}"))),
        }
        match self.runs.as_slice() {
            [] => lines.push("Runs: none is training, waiting or suspended".to_owned()),
            runs => lines.extend(runs.iter().map(|run| self.about(run))),
        }
        lines.join("\n")
    }

    fn about(&self, run: &RunSummary) -> String {
        // Without a server nobody stores the reports of a worker: they wait in its folder.
        let is_known_to =
            if run.state.is_live() && self.server.is_none() { " when the server last stored reports" } else { "" };
        let state = format!("{:?}", run.state).to_lowercase();
        format!(
            "Run {} ({}): {state} on {}, step {} of {}{is_known_to}",
            run.id, run.name, run.device, run.step, run.steps
        )
    }
}
