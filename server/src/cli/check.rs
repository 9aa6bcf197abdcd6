//! `kindling check`: checks of the devices, on a terminal or with a report.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use engine::EngineError;
use engine::check::Finding;
use wire::DeviceId;

use super::data::DataArgs;
use super::full_check::{self, FullCheck, FullCheckError, SECTIONS};
use crate::output::{self, OutputError};

const EXAMPLES: &str = "\
Examples:
  Check every device of this machine in a minute:
    kindling check
  Check one device:
    kindling check --device vulkan-0
  Check everything about the first GPU and write a report:
    kindling check --full --report report
  Measure only the speed, and compare it with a PyTorch script:
    kindling check --full --report report --only speed,compare --compare \"python3 train.py\"";

/// Checks that a device computes correctly: a training step against the CPU, kernels, gradient, resuming, memory and speed.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CheckArgs {
    /// Device to check, as `kindling devices` lists it [default: every device; with --full, the first GPU]
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,
    /// Run every section in separate processes with a time limit, and write a report
    #[arg(long)]
    full: bool,
    /// Folder for report.json and report.md [default: with --data, the folder of the lab]
    #[arg(long, value_name = "DIR", requires = "full")]
    report: Option<PathBuf>,
    /// Sections to run, separated by commas [default: all]
    #[arg(long, value_name = "SECTION", requires = "full", value_delimiter = ',', value_parser = SECTIONS)]
    only: Vec<String>,
    /// Time limit of the full check in seconds
    #[arg(long, value_name = "N", default_value_t = 350, value_parser = clap::value_parser!(u32).range(10..=86_400))]
    seconds: u32,
    /// Command of another program to compare with; its last line is JSON with `tokens_per_sec`; may be given several times [default:
    /// none]
    #[arg(long, value_name = "COMMAND", requires = "full")]
    compare: Vec<String>,
    #[command(flatten)]
    data: DataArgs,
}

/// Errors of `kindling check`.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The check could not be run.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The full check could not be run, or found a fault.
    #[error(transparent)]
    Full(#[from] FullCheckError),
    #[error("{0}")]
    Output(#[from] OutputError),
    /// The check found faults.
    #[error("the check failed on {}: do not train on it; the lines marked FAIL show the differences", names(devices))]
    Failed {
        /// The devices with faults.
        devices: Vec<DeviceId>,
    },
}

impl CheckArgs {
    /// Prints each finding as soon as it is known.
    ///
    /// # Errors
    /// A device cannot be opened, or has a fault.
    pub fn run(self) -> Result<(), CheckError> {
        if self.full {
            return Ok(full_check::check(&self.full_check())?);
        }
        let all = || engine::device::list().into_iter().map(|device| device.id).collect();
        let mut faulty = vec![];
        for id in self.device.map_or_else(all, |id| vec![id]) {
            if !check(&id)? {
                faulty.push(id);
            }
        }
        if faulty.is_empty() { Ok(()) } else { Err(CheckError::Failed { devices: faulty }) }
    }

    fn full_check(self) -> FullCheck {
        FullCheck {
            device: self.device,
            report: self.report,
            only: self.only,
            seconds: f64::from(self.seconds),
            compare: self.compare,
            data: self.data.folder,
        }
    }
}

/// Runs one part of a full check, given as JSON on standard input; `kindling check --full` starts it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kindling check-part < part.json")]
pub struct CheckPartArgs {}

impl CheckPartArgs {
    /// Writes a line of JSON for each result.
    ///
    /// # Errors
    /// The part cannot be read or run.
    pub fn run(self, began: Instant) -> Result<(), FullCheckError> {
        full_check::run_part(began)
    }
}

/// Whether the device passes.
fn check(id: &DeviceId) -> Result<bool, CheckError> {
    let device = engine::device::open(id)?;
    let mut printed = output::line(format_args!("{id}: {} ({})", device.info.name, device.info.backend));
    let print = &mut |Finding { is_good, what, found }: &Finding| {
        if printed.is_ok() {
            printed = output::line(format_args!("  {} {what}: {found}", if *is_good { "ok  " } else { "FAIL" }));
        }
    };
    let is_good = engine::check::check(&device, print)?.is_good();
    // The program ends with the fault of a device also if nobody reads which one it is.
    if is_good {
        printed?;
    }
    Ok(is_good)
}

fn names(devices: &[DeviceId]) -> String {
    devices.iter().map(DeviceId::as_str).collect::<Vec<_>>().join(", ")
}
