//! `kindling devices`: the devices of this machine. A server runs it as a separate process, so that a driver crash does not end the
//! server.

use clap::Args;
use wire::device::DeviceInfo;

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

impl DevicesArgs {
    /// Prints the list.
    ///
    /// # Errors
    /// A device's description cannot be written as JSON.
    pub fn run(self) -> Result<(), serde_json::Error> {
        let devices = engine::device::list();
        if self.json {
            println!("{}", serde_json::to_string(&devices)?);
            return Ok(());
        }
        for DeviceInfo { id, name, backend, memory_bytes, .. } in devices {
            println!("{id}: {name} ({backend}), {:.1} GB free", memory_bytes as f64 / 1e9);
        }
        Ok(())
    }
}
