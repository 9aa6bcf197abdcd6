//! `kindling devices`: the devices of this machine. A server runs it as a separate process, so that a driver crash does not end the
//! server.

use clap::Args;
use wire::device::DeviceInfo;

use crate::output::{self, OutputError};

const EXAMPLES: &str = "\
Examples:
  List the devices, with the id that --device takes:
    kindling devices
  The same for programs:
    kindling devices --json";

/// Lists the devices of this machine that can train.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DevicesArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Errors of `kindling devices`.
#[derive(Debug, thiserror::Error)]
pub enum DevicesError {
    #[error("the list cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Output(#[from] OutputError),
}

impl DevicesArgs {
    /// Prints the list.
    ///
    /// # Errors
    /// A device's description cannot be written as JSON, or standard output cannot be written.
    pub fn run(self) -> Result<(), DevicesError> {
        let devices = engine::device::list();
        if self.json {
            return Ok(output::line(serde_json::to_string(&devices)?)?);
        }
        for DeviceInfo { id, name, backend, memory_bytes, .. } in devices {
            output::line(format_args!("{id}: {name} ({backend}), {:.1} GB free", memory_bytes as f64 / 1e9))?;
        }
        Ok(())
    }
}
