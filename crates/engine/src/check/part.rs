//! The parts of the full check. Each runs in a separate process, so that a hang, a panic or an out-of-memory error ends one part and not the
//! report, and so that each part can set burn's options, which a process reads once. A part reports each check and figure as soon as it is
//! known, and ends before its time limit. [`super::process`] runs one part; the full check of the server combines them into sections.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use wire::DeviceId;
use wire::check::{Check, Figure, Line, Outcome};
use wire::device::DeviceKind;
use wire::hyperparameters::recipe::Precision;

use crate::device::EngineDevice;
use crate::error::EngineError;

/// The work of one process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Adapter, driver, limits, features, memory.
    Adapter,
    /// Loss, gradients and training steps of two tiny models, compared with the CPU.
    Training,
    /// Each WGSL kernel, compared with its reference implementation.
    Kernels,
    /// Each inspection, compared with the CPU.
    Inspections,
    /// A resumed run, compared with an uninterrupted one.
    Resume,
    /// The highest matrix-multiplication throughput and memory bandwidth that burn reaches.
    Ceilings,
    /// Training speed of a preset, tokens per second.
    Speed {
        /// Name of the preset.
        preset: String,
        /// Rows of the first batch; 0 for the batch size of the preset.
        rows: usize,
        /// Double the batch while it fits.
        grows: bool,
        /// Disable dropout, as the programs that it is compared with do.
        without_dropout: bool,
        /// Highest matrix-multiplication throughput, FLOP/s; 0 if it was not measured.
        peak_flops: f64,
    },
    /// From the start of the process to the end of the first training step.
    FirstStep,
    /// Memory of host and device over a thousand steps.
    Memory,
    /// Overhead of each inspection on training.
    Overhead,
}

/// A part and its arguments, sent to the process as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub part: Part,
    pub device: DeviceId,
    /// Whether burn measures several kernels for each shape and uses the fastest; otherwise it uses the first kernel that works.
    pub autotune: bool,
    /// Time limit, seconds.
    pub secs: f64,
    /// Folder for datasets and logs; the caller removes it.
    pub folder: PathBuf,
}

/// Receives the results of a part and holds its deadline.
pub struct Sink<'a> {
    out: &'a mut dyn FnMut(Line),
    ends: Instant,
}

impl<'a> Sink<'a> {
    /// Sends results to `out`; the deadline is in `secs` seconds.
    pub fn new(secs: f64, out: &'a mut dyn FnMut(Line)) -> Self {
        Self { out, ends: Instant::now() + Duration::from_secs_f64(secs.clamp(0.0, 1e6)) }
    }

    /// Time until the deadline, seconds; 0 after it.
    pub(super) fn left(&self) -> f64 {
        self.ends.saturating_duration_since(Instant::now()).as_secs_f64()
    }

    pub(super) fn check(&mut self, name: impl Into<String>, is_good: bool, found: impl Into<String>) {
        let outcome = if is_good { Outcome::Passed } else { Outcome::Failed };
        (self.out)(Line::Check(Check { name: name.into(), outcome, found: found.into() }));
    }

    pub(super) fn not_run(&mut self, name: impl Into<String>, why: impl Into<String>) {
        (self.out)(Line::Check(Check { name: name.into(), outcome: Outcome::NotRun, found: why.into() }));
    }

    pub(super) fn figure(&mut self, name: impl Into<String>, value: f64, unit: &str, note: impl Into<String>) {
        (self.out)(Line::Figure(Figure { name: name.into(), value, unit: unit.to_owned(), note: note.into() }));
    }
}

/// Runs `work` for each 16-bit format that the device has, if `secs` seconds are left, and reports why another is not run. `name` is what it
/// reports.
///
/// # Errors
/// Those of `work`.
pub(super) fn in_16_bits(
    device: &EngineDevice,
    secs: f64,
    sink: &mut Sink<'_>,
    name: impl Fn(Precision) -> String,
    work: impl Fn(Precision, String, &mut Sink<'_>) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    for precision in [Precision::Float16, Precision::Bfloat16] {
        let name = name(precision);
        if let Err(error) = device.require_format(precision) {
            sink.not_run(name, error.to_string());
        } else if sink.left() < secs {
            sink.not_run(name, "time limit reached");
        } else {
            work(precision, name, sink)?;
        }
    }
    Ok(())
}

/// Whether the device is a software adapter (a CPU emulation of a GPU, for tests).
pub(super) fn is_software(device: &EngineDevice) -> bool {
    device.info.kind == DeviceKind::Software
}
