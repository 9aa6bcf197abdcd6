//! Memory of host and device over a thousand training steps, compared with the estimate of the plan.

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
use crate::device::{EngineDevice, process_bytes};
use crate::error::EngineError;
use crate::train::{Folders, Reporter, Session};

/// Steps of the run.
const STEPS: u64 = 1000;
/// Minimum number of steps to detect growth.
const MIN_STEPS: u64 = 300;
/// Growth above which the check reports a leak, bytes per step: 64 MB over a thousand steps.
const LEAK: f64 = 65_536.0;

/// Trains a run and reports how memory grows between the second and the last fifth of its steps.
///
/// # Errors
/// The folder cannot be written, or the device was lost.
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
    let (commands, receiver) = mpsc::channel();
    let mut recorder =
        MemoryRecorder { device, commands, faults, leaked: vec![], host: vec![], gpu: vec![], reserved: 0.0, sink };
    training.run(&receiver, &mut recorder)?;
    let MemoryRecorder { host, gpu, reserved, .. } = recorder;
    growth("host", &host, sink);
    if device.is_cpu() {
        estimate(peak(&host) - at_start, view.estimate.memory_bytes, "allocated by the process since its start", sink);
    } else {
        growth("device", &gpu, sink);
        sink.figure("device, maximum in use", peak(&gpu) / 1e6, "MB", "reported by burn");
        estimate(reserved, view.estimate.memory_bytes, "reserved by burn on the device", sink);
    }
    sink.figure("host, maximum", peak(&host) / 1e6, "MB", "resident memory of the process");
    Ok(())
}

/// Step and bytes in use.
type Sample = (u64, f64);

fn peak(samples: &[Sample]) -> f64 {
    samples.iter().map(|(_, bytes)| *bytes).fold(0.0, f64::max)
}

/// Checks that memory does not grow with the steps.
fn growth(what: &str, samples: &[Sample], sink: &mut Sink<'_>) {
    let name = format!("{what} memory over the steps");
    match per_step(samples) {
        _ if peak(samples) == 0.0 => sink.not_run(name, "the system does not report it"),
        Some((steps, bytes)) => {
            let found = format!("{:+.1} kB per step over {steps} steps", bytes / 1e3);
            sink.check(name, bytes <= LEAK, found);
        }
        None => {
            let done = samples.last().map_or(0, |(step, _)| *step);
            sink.not_run(name, format!("only {done} steps within the time limit; at least {MIN_STEPS} are needed"));
        }
    }
}

/// Number of steps and growth per step, between the medians of the second and the last fifth; `None` for too few steps.
fn per_step(samples: &[Sample]) -> Option<(u64, f64)> {
    let (last, count) = (samples.last()?.0, samples.len());
    if last + 10 < MIN_STEPS {
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
    let found = format!("{:.1} MB {what}, {:.1} MB estimated by the plan", used / 1e6, planned as f64 / 1e6);
    sink.check("memory within the estimate of the plan", used <= planned as f64, found);
}

/// Records the memory that the training loop reports, and stops the run at the time limit.
struct MemoryRecorder<'a, 's> {
    device: &'a EngineDevice,
    commands: Sender<NumberedCommand>,
    faults: Faults,
    /// Memory that the injected leak does not free.
    leaked: Vec<Vec<u8>>,
    host: Vec<Sample>,
    gpu: Vec<Sample>,
    reserved: f64,
    sink: &'a mut Sink<'s>,
}

impl Reporter for MemoryRecorder<'_, '_> {
    fn row(&mut self, row: Row) {
        if row.values.iter().any(|(name, _)| name == name::TRAIN) {
            self.faults.leak(&mut self.leaked);
        }
        for (name, value) in &row.values {
            match name.as_str() {
                name::PROCESS_BYTES => self.host.push((row.step, *value)),
                name::DEVICE_BYTES => self.gpu.push((row.step, *value)),
                _ => {}
            }
        }
        if row.step % 10 == 0 {
            let reserved = self.device.burn.memory_pool_usage().map_or(0, |usage| usage.bytes_reserved);
            self.reserved = self.reserved.max(reserved as f64);
            if self.sink.left() < 1.0 {
                let command = Command::Stop { reason: None };
                // Sending fails if the run has ended.
                let _ = self.commands.send(NumberedCommand { command_id: 1, author: Author::System, command });
            }
        }
    }

    fn report(&mut self, _report: Report) {}

    fn inspection(&mut self, _update: InspectionUpdate) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(bytes: impl Fn(u64) -> f64) -> Vec<Sample> {
        (0..100).map(|i| (10 * i, bytes(10 * i))).collect()
    }

    #[test]
    fn growth_is_distinguished_from_warm_up_and_noise() {
        let (steps, steady) = per_step(&samples(|step| if step < 150 { 1e8 } else { 3e8 })).unwrap();
        assert!(steps == 990 && steady == 0.0);
        let noisy = |step: u64| 3e8 + (step * 7919 % 13) as f64 * 1e6;
        assert!(per_step(&samples(noisy)).unwrap().1.abs() < LEAK);
        assert!(per_step(&samples(|step| 1e8 + 1e6 * step as f64)).unwrap().1 > 10.0 * LEAK);
        assert_eq!(per_step(&samples(|_| 1.0)[..20]), None);
    }
}
