//! Memory of host and device over a thousand steps of the training loop, beside what the planner had said.

use std::path::Path;
use std::sync::mpsc::{self, Sender};

use wire::control::author::Author;
use wire::control::command::{Command, NumberedCommand};
use wire::inspect::update::InspectionUpdate;
use wire::run::history::Past;
use wire::series::{Row, name};
use wire::transport::link::Report;

use super::faults::Faults;
use super::part::{Sink, is_software};
use super::plans;
use crate::device::EngineDevice;
use crate::error::EngineError;
use crate::train::{Folders, Reporter, Session};

/// Steps that are watched.
const STEPS: u64 = 1000;
/// Fewer steps tell nothing of growth.
const FEWEST: u64 = 300;
/// Growth that is taken for a leak, bytes a step: 64 MB over a thousand steps.
const LEAK: f64 = 65_536.0;

/// Trains, and looks for growth between the second fifth and the last.
///
/// # Errors
/// A folder that cannot be written; a device that has gone away.
pub(super) fn report(
    device: &EngineDevice,
    folder: &Path,
    faults: Faults,
    sink: &mut Sink<'_>,
) -> Result<(), EngineError> {
    if is_software(device) {
        sink.not_run("memory", "software adapter");
        return Ok(());
    }
    let overrides =
        serde_json::json!({"intervals.eval_every": 250, "intervals.sample_every": 0, "intervals.checkpoint_every": 0});
    let mut view = plans::of_preset(device, folder, "tiny", overrides)?;
    view.plan.steps = STEPS;
    let at_start = process_bytes();
    let folders = Folders { corpora: folder.to_owned(), checkpoints: None };
    let run = "check".parse().map_err(|source: wire::id::IdError| wire::PlanError::new("run", source.to_string()))?;
    let mut training =
        Session::load(&run, &view.plan, &Past::default(), folders, crate::device::open(&device.info.id)?)?;
    let (orders, receiver) = mpsc::channel();
    let mut watch =
        Watch { device, orders, faults, kept: vec![], host: vec![], card: vec![], reserved: 0.0, ends: sink };
    training.run(&receiver, &mut watch)?;
    let Watch { host, card, reserved, .. } = watch;
    growth("host", &host, sink);
    if device.is_cpu() {
        estimate(peak(&host) - at_start, view.estimate.memory_bytes, "the process over its start", sink);
    } else {
        growth("device", &card, sink);
        sink.figure("device, in use at most", peak(&card) / 1e6, "MB", "by burn's own count");
        estimate(reserved, view.estimate.memory_bytes, "held by burn on the device", sink);
    }
    sink.figure("host, at most", peak(&host) / 1e6, "MB", "resident memory of the process");
    Ok(())
}

/// Bytes at a step.
type Sample = (u64, f64);

fn peak(samples: &[Sample]) -> f64 {
    samples.iter().map(|(_, bytes)| *bytes).fold(0.0, f64::max)
}

/// Whether memory grows with the steps.
fn growth(what: &str, samples: &[Sample], sink: &mut Sink<'_>) {
    let name = format!("{what} memory over the steps");
    match per_step(samples) {
        _ if peak(samples) == 0.0 => sink.not_run(name, "the system does not tell it"),
        Some((steps, bytes)) => {
            let found = format!("{:+.1} kB a step over {steps} steps", bytes / 1e3);
            sink.check(name, bytes <= LEAK, found);
        }
        None => {
            let done = samples.last().map_or(0, |(step, _)| *step);
            sink.not_run(name, format!("{done} steps in the time given, and fewer than {FEWEST} tell nothing"));
        }
    }
}

/// Steps watched and growth a step: between the medians of the second fifth and of the last.
fn per_step(samples: &[Sample]) -> Option<(u64, f64)> {
    let (last, count) = (samples.last()?.0, samples.len());
    if last + 10 < FEWEST {
        return None;
    }
    let middle = |part: &[Sample]| {
        let mut bytes: Vec<f64> = part.iter().map(|(_, bytes)| *bytes).collect();
        bytes.sort_by(f64::total_cmp);
        (part[part.len() / 2].0 as f64, bytes[bytes.len() / 2])
    };
    let (early, late) = (middle(&samples[count / 5..count * 2 / 5]), middle(&samples[count * 4 / 5..]));
    Some((last, (late.1 - early.1) / (late.0 - early.0).max(1.0)))
}

fn estimate(used: f64, planned: u64, what: &str, sink: &mut Sink<'_>) {
    let found = format!("{:.1} MB {what}, {:.1} MB in the plan's estimate", used / 1e6, planned as f64 / 1e6);
    sink.check("memory beside the planner's estimate", used <= planned as f64, found);
}

/// Resident memory of this process, bytes; 0 where the system does not say.
fn process_bytes() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) * 4096.0
}

/// Writes down what the loop says of memory, and ends it when the time is over.
struct Watch<'a, 's> {
    device: &'a EngineDevice,
    orders: Sender<NumberedCommand>,
    faults: Faults,
    kept: Vec<Vec<u8>>,
    host: Vec<Sample>,
    card: Vec<Sample>,
    reserved: f64,
    ends: &'a mut Sink<'s>,
}

impl Reporter for Watch<'_, '_> {
    fn row(&mut self, row: Row) {
        if row.values.iter().any(|(name, _)| name == name::TRAIN) {
            self.faults.leak(&mut self.kept);
        }
        for (name, value) in &row.values {
            match name.as_str() {
                name::PROCESS_BYTES => self.host.push((row.step, *value)),
                name::DEVICE_BYTES => self.card.push((row.step, *value)),
                _ => {}
            }
        }
        if row.step % 10 == 0 {
            let reserved = self.device.burn.memory_pool_usage().map_or(0, |usage| usage.bytes_reserved);
            self.reserved = self.reserved.max(reserved as f64);
            if self.ends.left() < 1.0 {
                let command = Command::Stop { reason: None };
                // A run that has ended needs no stop.
                let _ = self.orders.send(NumberedCommand { command_id: 1, author: Author::System, command });
            }
        }
    }

    fn report(&mut self, _report: Report) {}

    fn inspection(&mut self, _frame: InspectionUpdate) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(bytes: impl Fn(u64) -> f64) -> Vec<Sample> {
        (0..100).map(|i| (10 * i, bytes(10 * i))).collect()
    }

    #[test]
    fn growth_is_told_from_warm_up_and_noise() {
        let (steps, steady) = per_step(&samples(|step| if step < 150 { 1e8 } else { 3e8 })).unwrap();
        assert!(steps == 990 && steady == 0.0);
        let noisy = |step: u64| 3e8 + (step * 7919 % 13) as f64 * 1e6;
        assert!(per_step(&samples(noisy)).unwrap().1.abs() < LEAK);
        assert!(per_step(&samples(|step| 1e8 + 1e6 * step as f64)).unwrap().1 > 10.0 * LEAK);
        assert_eq!(per_step(&samples(|_| 1.0)[..20]), None);
    }
}
