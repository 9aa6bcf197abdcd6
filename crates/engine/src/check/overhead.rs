//! What each open inspection costs a training, and what a training costs that nobody watches: turns of a second with and without, so that
//! both see the same machine, and the training's own clock.

use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use wire::command::{Command, CommandOrder};
use wire::edit::{Edit, Part};
use wire::event::Author;
use wire::frame::{Frame, Pace};
use wire::history::Past;
use wire::link::Report;
use wire::look::{self, Look, Of, Passage};
use wire::series::{Row, name};

use super::inspections::title;
use super::part::{Sink, is_software};
use super::plans;
use crate::device::EngineDevice;
use crate::error::EngineError;
use crate::train::{Folders, Reporter, Training};

/// Length of a turn.
const TURN: Duration = Duration::from_millis(1200);
/// Rows come from a graphics card so many at a time; a turn ends between two such groups.
const GROUP: u64 = 8;
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
    let overrides = serde_json::json!({"cadence.eval_every": 0, "cadence.sample_every": 0, "keep.every": 0});
    let plan = plans::of_preset(device, folder, preset, overrides)?.plan;
    let folders = Folders { corpora: folder.to_owned(), checkpoints: None };
    let run = "check".parse().map_err(|source: wire::id::IdError| EngineError::Plan { message: source.to_string() })?;
    let mut training = Training::load(&run, &plan, &Past::default(), folders, crate::device::open(&device.info.id)?)?;
    let (orders, receiver) = mpsc::channel();
    let mut watch = Watch::new(orders, sink);
    training.run(&receiver, &mut watch)?;
    watch.end(preset);
    Ok(())
}

fn all() -> Vec<Look> {
    let passage = Passage::default();
    let edits = vec![Edit { part: Part::Head { layer: 0, head: 0 }, factor: 0.0 }];
    let mut all = look::kept_looks(1);
    all.retain(|look| !matches!(look, Look::Tensors {}));
    all.extend([
        Look::Units { passage: passage.clone(), layer: 0 },
        Look::Unit { layer: 0, unit: 0 },
        Look::Gallery { of: Of::Gradient },
        Look::Gallery { of: Of::Update },
        Look::Matrix { tensor: "block.0.mlp.up".into(), of: Of::Weight, window: None },
        Look::Batch { step: 1 },
        Look::Hands { passage, edits },
    ]);
    all
}

/// What a turn measured.
#[derive(Debug, Clone, Copy, Default)]
struct Turn {
    steps: u64,
    secs: f64,
    /// Time of inspections by the training's own clock, milliseconds.
    inspections_ms: f64,
}

impl Turn {
    fn step_ms(&self) -> f64 {
        self.secs * 1000.0 / self.steps.max(1) as f64
    }

    fn with(self, other: Turn) -> Turn {
        Turn {
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
    orders: Sender<CommandOrder>,
    sink: &'a mut Sink<'s>,
    left: Vec<Look>,
    /// What is open; none in the turns between.
    open: Option<Look>,
    wanted: Option<Vec<Look>>,
    /// When the turn began; none until the first steps, which compile, are over.
    began: Option<Instant>,
    turn: Turn,
    /// The turn without any inspection before this one, and all of them.
    alone: Turn,
    all_alone: Turn,
    /// Largest share of the time that one took.
    worst: f64,
    /// What the open one cost last.
    pace: Option<Pace>,
    problem: Option<String>,
}

impl<'a, 's> Watch<'a, 's> {
    fn new(orders: Sender<CommandOrder>, sink: &'a mut Sink<'s>) -> Self {
        let mut left = all();
        left.reverse();
        Self {
            orders,
            sink,
            left,
            open: None,
            wanted: None,
            began: None,
            turn: Turn::default(),
            alone: Turn::default(),
            all_alone: Turn::default(),
            worst: 0.0,
            pace: None,
            problem: None,
        }
    }

    fn step_done(&mut self, step: u64) {
        if step % GROUP != GROUP - 1 {
            self.turn.steps += 1;
            return;
        }
        let Some(began) = self.began else {
            (self.began, self.turn) = (Some(Instant::now()), Turn::default());
            return;
        };
        self.turn.steps += 1;
        if began.elapsed() >= TURN {
            self.turn.secs = began.elapsed().as_secs_f64();
            self.turn_over();
            (self.began, self.turn) = (Some(Instant::now()), Turn::default());
            self.pace = None;
        }
    }

    /// Ends a turn: after one with an inspection comes one without.
    fn turn_over(&mut self) {
        let turn = self.turn;
        if let Some(look) = self.open.take() {
            self.tell(&look, turn);
            self.wanted = Some(vec![]);
            return;
        }
        self.all_alone = self.all_alone.with(turn);
        self.alone = turn;
        let has_time = self.sink.left() > 1.5 * TURN.as_secs_f64();
        match if has_time { self.left.pop() } else { None } {
            Some(look) => {
                self.wanted = Some(vec![look.clone()]);
                self.open = Some(look);
            }
            None => self.stop(),
        }
    }

    fn tell(&mut self, look: &Look, turn: Turn) {
        let name = format!("{} open", title(look));
        if let Some(problem) = self.problem.take() {
            self.sink.check(name, false, problem);
            return;
        }
        let Some(pace) = self.pace.take() else {
            self.sink.check(name, false, "it was asked for and never answered");
            return;
        };
        let slower = (turn.step_ms() / self.alone.step_ms() - 1.0) * 100.0;
        let note = format!(
            "{:.1} ms every {:.1} s, by the training's clock; steps of {:.1} s were {slower:+.0} % longer than those before",
            pace.cost_ms,
            pace.every_ms / 1000.0,
            turn.secs
        );
        self.sink.figure(format!("{name}: share of the time"), pace.share * 100.0, "%", note);
        self.worst = self.worst.max(pace.share);
    }

    fn stop(&mut self) {
        let command = Command::Stop { reason: None };
        // A run that has ended needs no stop.
        let _ = self.orders.send(CommandOrder { command_id: 1, author: Author::Lab, command });
    }

    fn end(self, preset: &str) {
        for look in self.left.iter().rev() {
            self.sink.not_run(format!("{} open", title(look)), "no time left");
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
        self.turn.inspections_ms += of(name::LOOKS_MS).unwrap_or(0.0);
        if of(name::TRAIN).is_some() {
            self.step_done(row.step);
        }
    }

    fn report(&mut self, _report: Report) {}

    fn look(&mut self, frame: Frame) {
        match frame {
            Frame::Seen { pace, look, .. } if self.open.as_ref() == Some(&look) => self.pace = Some(pace),
            Frame::Unseen { message, .. } => self.problem = Some(message),
            _ => {}
        }
    }

    fn wanted(&mut self) -> Option<Vec<Look>> {
        self.wanted.take()
    }
}
