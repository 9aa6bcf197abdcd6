//! Overhead of each inspection on training. Intervals with and without the inspection alternate, each about a second long, so that both are
//! measured under the same load. The training loop also measures the time of its inspections itself.

use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use wire::control::author::Author;
use wire::control::command::{Command, NumberedCommand};
use wire::control::intervention::{Component, Intervention};
use wire::inspect::request::{self, Inspection, InspectionText, TensorValues};
use wire::inspect::update::{InspectionOverhead, InspectionUpdate};
use wire::run::history::Past;
use wire::series::{Row, name};
use wire::transport::link::Report;

use super::inspections::title;
use super::part::{Sink, is_software};
use super::plans;
use crate::device::EngineDevice;
use crate::error::EngineError;
use crate::train::{Folders, Reporter, Session};

/// Minimum length of an interval.
const INTERVAL: Duration = Duration::from_millis(1200);
/// Steps whose rows a GPU run reports together; an interval ends between two groups. A CPU run reports each step.
const GPU_GROUP: u64 = 8;
/// Maximum fraction of training time that an inspection may use.
const BUDGET: f64 = 0.05;

/// Trains a run and measures the overhead of each inspection.
///
/// # Errors
/// The folder cannot be written, or the device was lost.
pub(super) fn report(device: &EngineDevice, folder: &Path, sink: &mut Sink<'_>) -> Result<(), EngineError> {
    if is_software(device) {
        sink.not_run("overhead", "software adapter");
        return Ok(());
    }
    let preset = if device.is_cpu() { "nanogpt-cpu" } else { "nanogpt-char" };
    let overrides =
        serde_json::json!({"intervals.eval_every": 0, "intervals.sample_every": 0, "intervals.checkpoint_every": 0});
    let plan = plans::of_preset(device, folder, preset, overrides)?.plan;
    let folders = Folders { corpora: folder.to_owned(), checkpoints: None };
    let run = "check".parse().map_err(|source: wire::id::IdError| wire::PlanError::new("run", source.to_string()))?;
    let mut training = Session::load(&run, &plan, &Past::default(), folders, crate::device::open(&device.info.id)?)?;
    let (commands, receiver) = mpsc::channel();
    let mut recorder = OverheadRecorder::new(commands, if device.is_cpu() { 1 } else { GPU_GROUP }, sink);
    training.run(&receiver, &mut recorder)?;
    recorder.end(preset);
    Ok(())
}

/// The inspections to measure.
fn inspections() -> Vec<Inspection> {
    let text = InspectionText::default();
    let edits = vec![Intervention { component: Component::Head { layer: 0, head: 0 }, factor: 0.0 }];
    let mut inspections = request::snapshot_inspections(1);
    inspections.retain(|inspection| !matches!(inspection, Inspection::ParameterStats {}));
    inspections.extend([
        Inspection::Neurons { text: text.clone(), layer: 0 },
        Inspection::Neuron { layer: 0, neuron: 0 },
        Inspection::Weights { values: TensorValues::Gradient },
        Inspection::Weights { values: TensorValues::Update },
        Inspection::Matrix { tensor: "block.0.mlp.up".into(), values: TensorValues::Weight, window: None },
        Inspection::Batch { step: 1 },
        Inspection::Interventions { text, interventions: edits },
    ]);
    inspections
}

/// One measured interval.
#[derive(Debug, Clone, Copy, Default)]
struct Interval {
    steps: u64,
    secs: f64,
    /// Time of inspections as the training loop measures it, milliseconds.
    inspections_ms: f64,
}

impl Interval {
    fn step_ms(&self) -> f64 {
        self.secs * 1000.0 / self.steps.max(1) as f64
    }

    fn plus(self, other: Interval) -> Interval {
        Interval {
            steps: self.steps + other.steps,
            secs: self.secs + other.secs,
            inspections_ms: self.inspections_ms + other.inspections_ms,
        }
    }

    /// Fraction of the time that inspections used.
    fn inspection_fraction(&self) -> f64 {
        self.inspections_ms / 1000.0 / self.secs.max(1e-9)
    }
}

/// Requests one inspection after the other and measures the steps meanwhile.
struct OverheadRecorder<'a, 's> {
    commands: Sender<NumberedCommand>,
    /// Steps whose rows are reported together.
    group: u64,
    sink: &'a mut Sink<'s>,
    /// Inspections still to measure, the next one last.
    remaining: Vec<Inspection>,
    /// The requested inspection; `None` in baseline intervals.
    requested: Option<Inspection>,
    /// Requests that the training loop has not read yet.
    new_requests: Option<Vec<Inspection>>,
    /// Start of the interval; `None` until the first steps, which compile kernels, are done.
    began: Option<Instant>,
    interval: Interval,
    /// The last interval without an inspection.
    baseline: Interval,
    /// Sum of all intervals without an inspection.
    baseline_total: Interval,
    /// Maximum fraction of training time that an inspection used.
    worst: f64,
    /// Latest overhead of the requested inspection.
    overhead: Option<InspectionOverhead>,
    problem: Option<String>,
}

impl<'a, 's> OverheadRecorder<'a, 's> {
    fn new(commands: Sender<NumberedCommand>, group: u64, sink: &'a mut Sink<'s>) -> Self {
        let mut remaining = inspections();
        remaining.reverse();
        Self {
            commands,
            group,
            sink,
            remaining,
            requested: None,
            new_requests: None,
            began: None,
            interval: Interval::default(),
            baseline: Interval::default(),
            baseline_total: Interval::default(),
            worst: 0.0,
            overhead: None,
            problem: None,
        }
    }

    fn step_done(&mut self, step: u64) {
        if step % self.group != self.group - 1 {
            self.interval.steps += 1;
            return;
        }
        let Some(began) = self.began else {
            (self.began, self.interval) = (Some(Instant::now()), Interval::default());
            return;
        };
        self.interval.steps += 1;
        if began.elapsed() >= INTERVAL {
            self.interval.secs = began.elapsed().as_secs_f64();
            self.end_interval();
            (self.began, self.interval) = (Some(Instant::now()), Interval::default());
            self.overhead = None;
        }
    }

    /// Ends an interval. An interval with an inspection is followed by a baseline interval.
    fn end_interval(&mut self) {
        let interval = self.interval;
        if let Some(inspection) = self.requested.take() {
            self.report_interval(&inspection, interval);
            self.new_requests = Some(vec![]);
            return;
        }
        self.baseline_total = self.baseline_total.plus(interval);
        self.baseline = interval;
        let has_time = self.sink.left() > 2.5 * interval.secs;
        match if has_time { self.remaining.pop() } else { None } {
            Some(inspection) => {
                self.new_requests = Some(vec![inspection.clone()]);
                self.requested = Some(inspection);
            }
            None => self.stop(),
        }
    }

    fn report_interval(&mut self, inspection: &Inspection, interval: Interval) {
        let name = format!("{} requested", title(inspection));
        if let Some(problem) = self.problem.take() {
            self.sink.check(name, false, problem);
            return;
        }
        let Some(overhead) = self.overhead.take() else {
            self.sink.check(name, false, "the run sent no result");
            return;
        };
        let slower = (interval.step_ms() / self.baseline.step_ms() - 1.0) * 100.0;
        let note = format!(
            "{:.1} ms every {:.1} s, measured by the training loop; step time over {:.1} s: {slower:+.0} % against the interval before",
            overhead.cost_ms,
            overhead.every_ms / 1000.0,
            interval.secs
        );
        self.sink.figure(format!("{name}: fraction of training time"), overhead.share * 100.0, "%", note);
        self.worst = self.worst.max(overhead.share);
    }

    fn stop(&mut self) {
        let command = Command::Stop { reason: None };
        // Sending fails if the run has ended.
        let _ = self.commands.send(NumberedCommand { command_id: 1, author: Author::System, command });
    }

    fn end(self, preset: &str) {
        for inspection in self.remaining.iter().rev() {
            self.sink.not_run(format!("{} requested", title(inspection)), "time limit reached");
        }
        if self.baseline_total.steps == 0 {
            self.sink.not_run("no inspection requested", "time limit reached");
            return;
        }
        let note = format!("{preset}, {} steps", self.baseline_total.steps);
        self.sink.figure("step time, no inspection requested", self.baseline_total.step_ms(), "ms", note);
        let percent = self.baseline_total.inspection_fraction() * 100.0;
        let note = "of training time, for snapshots, measured by the training loop";
        self.sink.figure("no inspection requested", percent, "%", note);
        let found = format!(
            "at most {:.1} % of training time for one inspection; the limit is {:.0} %",
            self.worst * 100.0,
            BUDGET * 100.0
        );
        self.sink.check("budget of inspections", self.worst <= BUDGET + 1e-9, found);
    }
}

impl Reporter for OverheadRecorder<'_, '_> {
    fn row(&mut self, row: Row) {
        let value_of = |name: &str| row.values.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
        self.interval.inspections_ms += value_of(name::INSPECTIONS_MS).unwrap_or(0.0);
        if value_of(name::TRAIN).is_some() {
            self.step_done(row.step);
        }
    }

    fn report(&mut self, _report: Report) {}

    fn inspection(&mut self, update: InspectionUpdate) {
        match update {
            InspectionUpdate::Result { overhead, inspection, .. } if self.requested.as_ref() == Some(&inspection) => {
                self.overhead = Some(overhead)
            }
            InspectionUpdate::Failed { message, .. } => self.problem = Some(message),
            _ => {}
        }
    }

    fn requested_inspections(&mut self) -> Option<Vec<Inspection>> {
        self.new_requests.take()
    }
}
