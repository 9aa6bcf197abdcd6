//! What each open inspection costs a training, and what a training costs that nobody watches: turns of a second with and without, so that
//! both see the same machine, and the training's own clock.

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

/// Length of a turn.
const TURN: Duration = Duration::from_millis(1200);
/// Rows of a GPU arrive in groups of this size, and a turn ends between two groups; rows of the CPU arrive one by one.
const GPU_GROUP: u64 = 8;
/// Share of the time that inspections may take.
const BUDGET: f64 = 0.05;

/// Trains and watches.
///
/// # Errors
/// A folder that cannot be written; a device that has gone away.
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
    let (orders, receiver) = mpsc::channel();
    let mut watch = Watch::new(orders, if device.is_cpu() { 1 } else { GPU_GROUP }, sink);
    training.run(&receiver, &mut watch)?;
    watch.end(preset);
    Ok(())
}

fn all() -> Vec<Inspection> {
    let text = InspectionText::default();
    let edits = vec![Intervention { component: Component::Head { layer: 0, head: 0 }, factor: 0.0 }];
    let mut all = request::snapshot_inspections(1);
    all.retain(|inspection| !matches!(inspection, Inspection::ParameterStats {}));
    all.extend([
        Inspection::Neurons { text: text.clone(), layer: 0 },
        Inspection::Neuron { layer: 0, neuron: 0 },
        Inspection::Weights { values: TensorValues::Gradient },
        Inspection::Weights { values: TensorValues::Update },
        Inspection::Matrix { tensor: "block.0.mlp.up".into(), values: TensorValues::Weight, window: None },
        Inspection::Batch { step: 1 },
        Inspection::Interventions { text, interventions: edits },
    ]);
    all
}

/// What a turn measured.
#[derive(Debug, Clone, Copy, Default)]
struct ScheduleOverride {
    steps: u64,
    secs: f64,
    /// Time of inspections by the training's own clock, milliseconds.
    inspections_ms: f64,
}

impl ScheduleOverride {
    fn step_ms(&self) -> f64 {
        self.secs * 1000.0 / self.steps.max(1) as f64
    }

    fn with(self, other: ScheduleOverride) -> ScheduleOverride {
        ScheduleOverride {
            steps: self.steps + other.steps,
            secs: self.secs + other.secs,
            inspections_ms: self.inspections_ms + other.inspections_ms,
        }
    }

    fn share(&self) -> f64 {
        self.inspections_ms / 1000.0 / self.secs.max(1e-9)
    }
}

struct Watch<'a, 's> {
    orders: Sender<NumberedCommand>,
    /// Steps whose rows arrive together.
    group: u64,
    sink: &'a mut Sink<'s>,
    left: Vec<Inspection>,
    /// What is open; none in the turns between.
    open: Option<Inspection>,
    wanted: Option<Vec<Inspection>>,
    /// When the turn began; none until the first steps, which compile, are over.
    began: Option<Instant>,
    turn: ScheduleOverride,
    /// The turn without any inspection before this one, and all of them.
    alone: ScheduleOverride,
    all_alone: ScheduleOverride,
    /// Largest share of the time that one took.
    worst: f64,
    /// What the open one cost last.
    overhead: Option<InspectionOverhead>,
    problem: Option<String>,
}

impl<'a, 's> Watch<'a, 's> {
    fn new(orders: Sender<NumberedCommand>, group: u64, sink: &'a mut Sink<'s>) -> Self {
        let mut left = all();
        left.reverse();
        Self {
            orders,
            group,
            sink,
            left,
            open: None,
            wanted: None,
            began: None,
            turn: ScheduleOverride::default(),
            alone: ScheduleOverride::default(),
            all_alone: ScheduleOverride::default(),
            worst: 0.0,
            overhead: None,
            problem: None,
        }
    }

    fn step_done(&mut self, step: u64) {
        if step % self.group != self.group - 1 {
            self.turn.steps += 1;
            return;
        }
        let Some(began) = self.began else {
            (self.began, self.turn) = (Some(Instant::now()), ScheduleOverride::default());
            return;
        };
        self.turn.steps += 1;
        if began.elapsed() >= TURN {
            self.turn.secs = began.elapsed().as_secs_f64();
            self.turn_over();
            (self.began, self.turn) = (Some(Instant::now()), ScheduleOverride::default());
            self.overhead = None;
        }
    }

    /// Ends a turn: after one with an inspection comes one without.
    fn turn_over(&mut self) {
        let turn = self.turn;
        if let Some(inspection) = self.open.take() {
            self.tell(&inspection, turn);
            self.wanted = Some(vec![]);
            return;
        }
        self.all_alone = self.all_alone.with(turn);
        self.alone = turn;
        let has_time = self.sink.left() > 2.5 * turn.secs;
        match if has_time { self.left.pop() } else { None } {
            Some(inspection) => {
                self.wanted = Some(vec![inspection.clone()]);
                self.open = Some(inspection);
            }
            None => self.stop(),
        }
    }

    fn tell(&mut self, inspection: &Inspection, turn: ScheduleOverride) {
        let name = format!("{} open", title(inspection));
        if let Some(problem) = self.problem.take() {
            self.sink.check(name, false, problem);
            return;
        }
        let Some(overhead) = self.overhead.take() else {
            self.sink.check(name, false, "it was asked for and never answered");
            return;
        };
        let slower = (turn.step_ms() / self.alone.step_ms() - 1.0) * 100.0;
        let note = format!(
            "{:.1} ms every {:.1} s, by the training's clock; steps of {:.1} s were {slower:+.0} % longer than those before",
            overhead.cost_ms,
            overhead.every_ms / 1000.0,
            turn.secs
        );
        self.sink.figure(format!("{name}: share of the time"), overhead.share * 100.0, "%", note);
        self.worst = self.worst.max(overhead.share);
    }

    fn stop(&mut self) {
        let command = Command::Stop { reason: None };
        // A run that has ended needs no stop.
        let _ = self.orders.send(NumberedCommand { command_id: 1, author: Author::System, command });
    }

    fn end(self, preset: &str) {
        for inspection in self.left.iter().rev() {
            self.sink.not_run(format!("{} open", title(inspection)), "no time left");
        }
        if self.all_alone.steps == 0 {
            self.sink.not_run("no inspection open", "no time left");
            return;
        }
        let note = format!("{preset}, {} steps", self.all_alone.steps);
        self.sink.figure("a step, no inspection open", self.all_alone.step_ms(), "ms", note);
        let share = self.all_alone.share() * 100.0;
        self.sink.figure("no inspection open", share, "%", "of the time, for snapshots, by the training's clock");
        let found =
            format!("at most {:.1} % of the time for one, {:.0} % are allowed", self.worst * 100.0, BUDGET * 100.0);
        self.sink.check("budget of open inspections", self.worst <= BUDGET + 1e-9, found);
    }
}

impl Reporter for Watch<'_, '_> {
    fn row(&mut self, row: Row) {
        let of = |name: &str| row.values.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
        self.turn.inspections_ms += of(name::INSPECTIONS_MS).unwrap_or(0.0);
        if of(name::TRAIN).is_some() {
            self.step_done(row.step);
        }
    }

    fn report(&mut self, _report: Report) {}

    fn inspection(&mut self, frame: InspectionUpdate) {
        match frame {
            InspectionUpdate::Result { overhead, inspection, .. } if self.open.as_ref() == Some(&inspection) => {
                self.overhead = Some(overhead)
            }
            InspectionUpdate::Failed { message, .. } => self.problem = Some(message),
            _ => {}
        }
    }

    fn requested_inspections(&mut self) -> Option<Vec<Inspection>> {
        self.wanted.take()
    }
}
