//! The parts of the full check. Each runs in a process of its own, so that a hang, a panic or a lack of memory takes one part and not the
//! report, and so that burn's switches, which are read once a process, can differ. A part reports each check and figure as soon as it is
//! known, and ends by itself before its time is over. `process` runs them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use wire::DeviceId;
use wire::check::{Check, Figure, Line, Outcome};
use wire::device::DeviceKind;

use crate::device::EngineDevice;

/// What one process does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Adapter, driver, limits, features, memory.
    Adapter,
    /// Loss, gradients and training steps of two tiny shapes against the CPU's.
    Training,
    /// Each WGSL kernel against its reference implementation.
    Kernels,
    /// Each inspection against the CPU's.
    Inspections,
    /// A resumed training beside one that never stopped.
    Resume,
    /// The largest matrix product and the widest memory traffic that burn reaches here.
    Ceilings,
    /// Tokens per second of a preset's model.
    Speed {
        /// Name of the preset.
        preset: String,
        /// Rows of the first batch; the preset's own where it is 0.
        rows: usize,
        /// Double the batch while it fits.
        grows: bool,
        /// Leave dropout out, as programs beside do.
        without_dropout: bool,
        /// Arithmetic per second of the largest matrix product, where it was measured.
        peak_flops: f64,
    },
    /// From the start of the process to the end of the first training step.
    FirstStep,
    /// Memory of host and device over a thousand steps.
    Memory,
    /// What each open inspection costs a training.
    Overhead,
}

/// A part with all it needs, as a process is given it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub part: Part,
    pub device: DeviceId,
    /// Whether burn measures several kernels for each shape and keeps the fastest; without it, the first that works is taken.
    pub autotune: bool,
    /// Time it may take, seconds.
    pub secs: f64,
    /// A folder for texts and logs, which whoever asks removes.
    pub folder: PathBuf,
}

/// Where a part reports, and until when it may go on.
pub struct Sink<'a> {
    out: &'a mut dyn FnMut(Line),
    ends: Instant,
}

impl<'a> Sink<'a> {
    /// Reports go to `out`; the time is over in `secs`.
    pub fn new(secs: f64, out: &'a mut dyn FnMut(Line)) -> Self {
        Self { out, ends: Instant::now() + Duration::from_secs_f64(secs.clamp(0.0, 1e6)) }
    }

    /// Time left, seconds; 0 when it is over.
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

/// Whether the processor plays this card, which then is for tests alone.
pub(super) fn is_software(device: &EngineDevice) -> bool {
    device.info.kind == DeviceKind::Software
}
