//! Runs on a data folder with two datasets: commands at given steps, kills and resumptions, and the reports that were received.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc;

use engine::data::dataset;
use engine::device;
use engine::kernels::random::Counter;
use engine::optim::checkpoint;
use engine::train::bench;
use engine::train::{Folders, Reporter, Session};
use wire::control::author::Author;
use wire::control::checkpoint::CheckpointId;
use wire::control::command::{Command, NumberedCommand, ScheduleChange};
use wire::control::event::{Event, EventRecord};
use wire::control::intervention::{Component, Intervention};
use wire::hyperparameters::mix::MixPoint;
use wire::hyperparameters::schedule::ScheduleCurve;
use wire::inspect::update::InspectionUpdate;
use wire::run::RunState;
use wire::run::history::{History, Past};
use wire::run::plan::{self, RunPlan};
use wire::series::{Row, name};
use wire::transport::link::Report;
use wire::{LivePath, RunId};

pub(crate) const TINY: &str = r#"{"preset":"tiny","corpus":"rhyme","tokenizer":"byte","steps":70,"overrides":
    {"model.layers":1,"model.d_model":32,"model.d_ff":64,"model.seq":16,"intervals.eval_every":20,"intervals.eval_batches":2,
     "intervals.sample_every":30,"intervals.sample_tokens":8,"optimizer.learning_rate":0.01,OVERRIDES}}"#;

/// Commands that are sent once this many steps have been reported.
pub(crate) type Script = Vec<(u64, Vec<Command>)>;

pub(crate) fn set_rate(value: f64) -> Command {
    Command::Set { path: LivePath::LEARNING_RATE, value, reason: None }
}

/// A weight edit of one component.
pub(crate) fn edit(component: Component, factor: f32) -> Command {
    Command::EditWeights { interventions: vec![Intervention { component, factor }], reason: None }
}

pub(crate) fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[derive(Default, Clone)]
pub(crate) struct Reports {
    pub(crate) rows: Vec<Row>,
    pub(crate) reports: Vec<Report>,
}

struct Recorder {
    received: Reports,
    script: Script,
    send: mpsc::Sender<NumberedCommand>,
    killed_at: Option<u64>,
}

impl Reporter for Recorder {
    fn row(&mut self, row: Row) {
        let is_step = row.values.iter().any(|(name, _)| name == name::TRAIN);
        let step = row.step + 1;
        self.received.rows.push(row);
        if !is_step {
            return;
        }
        if let Some(at) = self.script.iter().position(|(due, _)| *due == step) {
            let (_, commands) = self.script.remove(at);
            for (i, command) in commands.into_iter().enumerate() {
                let command_id = 10_000 * step + i as u64;
                self.send.send(NumberedCommand { command_id, author: Author::Person("ada".into()), command }).unwrap();
            }
        }
        if self.killed_at.is_some_and(|at| self.received.losses().len() as u64 >= at) {
            panic!("killed by the test");
        }
    }

    /// Resumes at breakpoints.
    fn report(&mut self, report: Report) {
        if report.event == Event::Paused && report.command_id.is_none() {
            let command = Command::Resume { reason: None };
            self.send
                .send(NumberedCommand { command_id: report.step, author: Author::Person("ada".into()), command })
                .unwrap();
        }
        self.received.reports.push(report);
    }

    fn inspection(&mut self, _: InspectionUpdate) {}
}

impl Reports {
    fn by_step(&self, series: &str) -> BTreeMap<(u32, u64), f64> {
        let mut values = BTreeMap::new();
        for row in &self.rows {
            for (_, value) in row.values.iter().filter(|(name, _)| name == series) {
                let known = values.entry((row.segment, row.step)).or_insert(*value);
                assert_eq!(
                    known.to_bits(),
                    value.to_bits(),
                    "{series} of step {} was reported twice with different values",
                    row.step
                );
            }
        }
        values
    }

    pub(crate) fn series(&self, series: &str) -> Vec<f64> {
        self.by_step(series).into_values().collect()
    }

    pub(crate) fn losses(&self) -> Vec<f64> {
        self.series(name::TRAIN)
    }

    pub(crate) fn losses_of(&self, segment: u32) -> Vec<f64> {
        self.series_of(name::TRAIN, segment)
    }

    pub(crate) fn series_of(&self, series: &str, segment: u32) -> Vec<f64> {
        let all = self.by_step(series);
        all.into_iter().filter(|((of, _), _)| *of == segment).map(|(_, value)| value).collect()
    }

    pub(crate) fn state(&self) -> Option<RunState> {
        self.reports.iter().rev().find_map(|report| report.state)
    }

    /// The events, without starts, and without checkpoints: one that was being written at the kill is not reported.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let is_counted = |event: &Event| {
            !matches!(event, Event::Started { .. } | Event::Continued { .. } | Event::Checkpointed { .. })
        };
        let mut kinds: Vec<String> = self
            .reports
            .iter()
            .filter(|report| is_counted(&report.event))
            .map(|report| format!("{} {} {}", report.segment, report.step, report.event.phrase()))
            .collect();
        kinds.sort();
        kinds
    }

    pub(crate) fn answer_to_first(&self) -> &Report {
        self.reports.iter().find(|report| report.command_id.is_some()).expect("a command was answered")
    }

    pub(crate) fn then(&self, rest: &Reports) -> Reports {
        let both = |a: &[Row], b: &[Row]| a.iter().chain(b).cloned().collect();
        let reports = self.reports.iter().chain(&rest.reports).cloned().collect();
        Reports { rows: both(&self.rows, &rest.rows), reports }
    }

    pub(crate) fn records(&self) -> Vec<EventRecord> {
        let record = |(at, report): (usize, &Report)| EventRecord {
            number: at as u64 + 1,
            segment: report.segment,
            step: report.step,
            at_ms: report.at_ms,
            author: report.author.clone(),
            command_id: report.command_id,
            reason: report.reason.clone(),
            event: report.event.clone(),
        };
        self.reports.iter().enumerate().map(record).collect()
    }

    pub(crate) fn history(&self, plan: &RunPlan) -> History {
        History::read(plan, &self.records())
    }

    pub(crate) fn checkpoints(&self) -> Vec<CheckpointId> {
        let id = |report: &Report| match &report.event {
            Event::Checkpointed { checkpoint } => Some(checkpoint.id),
            _ => None,
        };
        self.reports.iter().filter_map(id).collect()
    }

    pub(crate) fn newest_checkpoint(&self) -> CheckpointId {
        *self.checkpoints().last().expect("a checkpoint was saved")
    }
}

/// A data folder with two datasets, removed when dropped.
pub(crate) struct Lab(PathBuf);

impl Lab {
    pub(crate) fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("kindling-resume-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("corpora")).unwrap();
        let texts =
            [("rhyme", "the cat sat on the mat and the dog sat on the log.\n"), ("count", "one two three four.\n")];
        for (id, text) in texts {
            let file = folder.join(format!("{id}.txt"));
            std::fs::write(&file, text.repeat(300)).unwrap();
            bench::import_text(&folder.join("corpora"), &id.parse().unwrap(), &file).unwrap();
        }
        Self(folder)
    }

    pub(crate) fn plan(&self, spec: &str) -> RunPlan {
        let spec = spec.replace(",}", "}");
        let corpora = engine::data::corpus::list(&self.0.join("corpora")).unwrap();
        let plan = plan::resolve(&serde_json::from_str(&spec).unwrap(), &corpora, &device::list()).unwrap().plan;
        dataset::prepare(&self.0.join("corpora"), &plan.corpora(), plan.tokenizer, &mut |_, _, _| true).unwrap();
        plan
    }

    pub(crate) fn checkpoint(&self, run: &str, id: &str) -> PathBuf {
        checkpoint::folder(&self.0.join("checkpoints"), &run.parse().unwrap(), id.parse().unwrap())
    }

    pub(crate) fn damage(&self, run: &str, id: &str) {
        let path = self.checkpoint(run, id).join(checkpoint::STATE);
        if let Ok(mut bytes) = std::fs::read(&path) {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
            std::fs::write(&path, bytes).unwrap();
        }
    }

    pub(crate) fn train(&self, run: &str, plan: &RunPlan, script: Script, killed_at: Option<u64>) -> Reports {
        self.train_from(run, plan, &History::new(plan), script, killed_at, 0)
    }

    /// Resumes after a kill, with the past that a store would give.
    pub(crate) fn resume(&self, run: &str, plan: &RunPlan, before: &Reports, script: Script) -> Reports {
        let history = before.history(plan);
        let last = history.last_segment();
        let recorded = before.rows.iter().filter(|row| row.segment == last).map(|row| row.step + 1).max().unwrap_or(0);
        let left = script.into_iter().filter(|(step, _)| *step > recorded).collect();
        self.run(
            run,
            plan,
            history.past(&id(run), &before.checkpoints(), plan.origin.as_ref(), recorded, 1.0),
            left,
            None,
        )
    }

    pub(crate) fn train_from(
        &self,
        run: &str,
        plan: &RunPlan,
        history: &History,
        script: Script,
        killed_at: Option<u64>,
        recorded: u64,
    ) -> Reports {
        self.run(run, plan, history.past(&id(run), &[], plan.origin.as_ref(), recorded, 0.0), script, killed_at)
    }

    fn run(&self, run: &str, plan: &RunPlan, past: Past, script: Script, killed_at: Option<u64>) -> Reports {
        let (send, commands) = mpsc::channel();
        let mut recorder = Recorder { received: Reports::default(), script, send, killed_at };
        let folders = Folders { corpora: self.0.join("corpora"), checkpoints: Some(self.0.join("checkpoints")) };
        let device = device::open(&plan.device).unwrap();
        let mut session = Session::load(&id(run), plan, &past, folders, device).unwrap();
        let ended = catch_unwind(AssertUnwindSafe(|| session.run(&commands, &mut recorder)));
        assert_eq!(ended.is_err(), killed_at.is_some());
        drop(session);
        recorder.received
    }

    /// The weights of a finished run's last checkpoint, as bits.
    pub(crate) fn weights(&self, run: &str, reports: &Reports) -> Vec<Vec<u32>> {
        let folder = self.checkpoint(run, &reports.newest_checkpoint().to_string());
        let weights = checkpoint::open(&folder).unwrap().host_weights().unwrap();
        weights.iter().map(|values| values.iter().map(|value| value.to_bits()).collect()).collect()
    }
}

fn id(run: &str) -> RunId {
    run.parse().unwrap()
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Commands of every kind at random steps, valid and invalid.
pub(crate) fn random_script(seed: u64, steps: u64) -> Script {
    let mut random = Counter::new(seed, 0x5c_21b7);
    let mut script = BTreeMap::<u64, Vec<Command>>::new();
    for _ in 0..14 {
        let step = 1 + random.below(steps - 2);
        let ahead = step + random.below(10);
        let reason = None;
        let command = match random.below(10) {
            0 => set_rate(random.uniform() * 0.01),
            1 => Command::Set { path: LivePath::GRAD_CLIP, value: random.uniform(), reason },
            2 => Command::Set { path: LivePath::EVAL_EVERY, value: (1 + random.below(30)) as f64, reason },
            3 if random.uniform() < 0.5 => Command::Set { path: LivePath::WEIGHT_DECAY, value: -1.0, reason },
            3 => Command::Set { path: "optimizer.beta1".parse().unwrap(), value: 0.5 + random.uniform() / 2.5, reason },
            4 => {
                let curve = ScheduleCurve::Points(vec![(ahead, 0.001), (ahead + 20, random.uniform() * 0.01)]);
                Command::SetSchedule { schedule: ScheduleChange::LearningRate { curve, steps: Some(steps) }, reason }
            }
            5 => {
                let points = vec![MixPoint { step: ahead, weights: vec![random.uniform() + 0.1] }];
                Command::SetSchedule { schedule: ScheduleChange::Mix { points }, reason }
            }
            6 => Command::SetSchedule {
                schedule: ScheduleChange::Accumulation { changes: vec![(ahead, random.below(3))] },
                reason,
            },
            7 => Command::Evaluate,
            // Valid for block 0 only: there is one block.
            8 => edit(Component::Head { layer: random.below(2) as u32, head: 0 }, random.uniform() as f32),
            _ => Command::Rollback {
                checkpoint: CheckpointId { segment: 0, step: 10 * (step / 10) },
                skip_batches: random.below(5),
                reason,
            },
        };
        let commands = match random.below(4) {
            0 => vec![Command::Pause { reason: None }, command, Command::Resume { reason: None }],
            _ => vec![command],
        };
        script.entry(step).or_default().extend(commands);
    }
    script.into_iter().collect()
}
