//! One process of the full check: it opens a device and runs one part on it.

use std::time::Instant;

use wire::check::Line;

use super::faults::Faults;
use super::part::{Part, Sink, Task};
pub use super::speed::PEAK;
use super::{adapter, inspections, kernels, memory, operators, overhead, parity, speed, tuning};
use crate::device::{self, EngineDevice};
use crate::error::EngineError;

/// Runs a part on a device. `began` is the start of the process.
///
/// # Errors
/// The device cannot be opened or was lost, or another error that ends the part.
pub fn run(task: &Task, began: Instant, faults: Faults, out: &mut dyn FnMut(Line)) -> Result<(), EngineError> {
    let log = tuning::configure(task.autotune, &task.folder);
    let device = device::open(&task.device)?;
    if !task.autotune {
        tuning::accept_first_kernels(&device)?;
    }
    let mut sink = Sink::new(task.secs - began.elapsed().as_secs_f64(), out);
    run_on(&device, task, began, faults, &log, &mut sink)
}

fn run_on(
    device: &EngineDevice,
    task: &Task,
    began: Instant,
    faults: Faults,
    log: &tuning::Log,
    sink: &mut Sink<'_>,
) -> Result<(), EngineError> {
    match &task.part {
        Part::Adapter => adapter::report(device, sink),
        Part::Training => parity::training(device, faults, sink),
        Part::Kernels => {
            kernels::report(device, faults, sink)?;
            operators::report(device, sink)
        }
        Part::Inspections => inspections::report(device, &task.folder, sink),
        Part::Resume => parity::resume(device, faults, sink),
        Part::Ceilings => speed::ceilings(device, sink),
        Part::Speed { preset, rows, grows, without_dropout, peak_flops } => {
            let args = speed::SpeedArgs { rows: *rows, grows: *grows, without_dropout: *without_dropout };
            speed::model(device, preset, args, *peak_flops, sink)
        }
        Part::FirstStep => speed::first_step(device, began, log, sink),
        Part::Memory => memory::report(device, &task.folder, faults, sink),
        Part::Overhead => overhead::report(device, &task.folder, sink),
    }
}
