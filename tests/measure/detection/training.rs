//! One run: resolves its plan, trains it with the session of every run, and plants its fault between two steps.
//!
//! The last step is left out: after it a run evaluates up to 4,096 validation windows, which takes as long as hundreds of steps.

use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Instant;

use engine::data::{corpus, dataset};
use engine::device;
use engine::train::{Folders, Reporter, Session};
use research::rules::Facts;
use wire::control::author::Author;
use wire::control::command::{Command, NumberedCommand};
use wire::control::event::Event;
use wire::data::corpus::DatasetInfo;
use wire::inspect::update::InspectionUpdate;
use wire::run::history::Past;
use wire::run::plan::{self, RunPlan};
use wire::series::{self, name};
use wire::transport::link::Report;

use crate::Outcome;
use crate::jobs::Job;
use crate::plant;
use crate::record::{Description, Record, Row};

/// Trains a run on the datasets in `corpora`.
pub(crate) fn train(job: &Job, corpora: &Path) -> Outcome<Record> {
    let began = Instant::now();
    let (corpus, plan) = resolve(job, corpora)?;
    let (facts, mut run) = (facts(&plan, &prepare(job, &corpus, corpora)?), Training::load(job, &plan, corpora)?);
    let last = plan.steps - 1;
    for (step, edit) in job.edits().into_iter().filter(|(step, _)| *step < last) {
        run.until(step)?;
        plant::apply(edit, run.session.trainer_mut(), corpora, &corpus)?;
    }
    run.until(last)?;
    let description = Description {
        name: job.name(),
        configuration: job.configuration.name.to_owned(),
        fault: job.fault.map(|fault| fault.name.to_owned()),
        fault_step: job.fault_step(),
        seed: job.seed,
        facts,
        secs: began.elapsed().as_secs_f64(),
    };
    Ok(Record { description, rows: run.recorder.rows })
}

/// The dataset and the plan of a run. The peak learning rate that a fault multiplies is that of the healthy plan.
fn resolve(job: &Job, corpora: &Path) -> Outcome<(String, RunPlan)> {
    let resolve = |corpus: &str, changes: &[_]| -> Outcome<RunPlan> {
        let spec = job.configuration.spec(corpus, job.seed, changes)?;
        Ok(plan::resolve(&spec, &corpus::list(corpora)?, &device::list())?.plan)
    };
    let healthy = resolve(job.configuration.corpus, &[])?;
    let Some(fault) = job.fault else { return Ok((job.configuration.corpus.to_owned(), healthy)) };
    let corpus = fault.corpus(&job.configuration);
    let plan = resolve(&corpus, &fault.overrides(&job.configuration, healthy.recipe.optimizer.learning_rate))?;
    Ok((corpus, plan))
}

/// Tokenizes the dataset of a run.
fn prepare(job: &Job, corpus: &str, corpora: &Path) -> Outcome<DatasetInfo> {
    let (_, plan) = resolve(job, corpora)?;
    Ok(dataset::prepare(corpora, &[corpus.parse()?], plan.tokenizer, &mut |_, _, _| true)?)
}

/// Tokenizes all datasets of a run, also that of a bad batch, before several runs need them at once.
pub(crate) fn prepare_all(job: &Job, corpora: &Path) -> Outcome<()> {
    let (corpus, _) = resolve(job, corpora)?;
    prepare(job, &corpus, corpora)?;
    for (_, edit) in job.edits() {
        if let plant::Edit::ReadOther(suffix) = edit {
            prepare(job, &format!("{corpus}{suffix}"), corpora)?;
        }
    }
    Ok(())
}

/// As the server gives them to the rules.
fn facts(plan: &RunPlan, dataset: &DatasetInfo) -> Facts {
    let live = plan.live();
    Facts {
        steps: live.steps,
        budget_steps: None,
        warmup_steps: live.schedule.warmup_steps,
        grad_clip: Some(live.optimizer.grad_clip).filter(|clip| *clip > 0.0),
        initial_vocab: Some(plan.recipe.model.vocab as u64),
        unigram_nats: Some(dataset.unigram_nats),
        floor_nats: dataset.floor_nats,
        has_dropout: plan.recipe.model.dropout > 0.0,
    }
}

struct Training {
    session: Session,
    recorder: Recorder,
    commands: Receiver<NumberedCommand>,
}

impl Training {
    fn load(job: &Job, plan: &RunPlan, corpora: &Path) -> Outcome<Self> {
        let folders = Folders { corpora: corpora.to_owned(), checkpoints: None };
        let device = device::open(&plan.device)?;
        let session = Session::load(&"detection".parse()?, plan, &Past::default(), folders, device)?;
        let (send, commands) = mpsc::channel();
        let script = job.commands(plan.steps, plan.recipe.optimizer.learning_rate);
        Ok(Self { session, recorder: Recorder { rows: vec![], until: 0, is_broken: false, script, send }, commands })
    }

    /// Trains until so many steps are done, or a value was not finite.
    fn until(&mut self, step: u64) -> Outcome<()> {
        if self.session.steps() < step && !self.recorder.is_broken {
            self.recorder.until = step;
            self.session.run(&self.commands, &mut self.recorder)?;
        }
        Ok(())
    }
}

/// Keeps the values that rules read, and sends commands at their steps.
struct Recorder {
    rows: Vec<Row>,
    /// The run is stopped after so many steps.
    until: u64,
    /// Whether a loss or gradient norm was not finite, which pauses a run.
    is_broken: bool,
    /// Commands by the number of steps before them.
    script: Vec<(u64, Command)>,
    send: Sender<NumberedCommand>,
}

impl Reporter for Recorder {
    fn row(&mut self, row: series::Row) {
        let is_step = row.values.iter().any(|(series, _)| series == name::TRAIN);
        let values: Vec<_> = row.values.into_iter().filter(|(series, _)| is_kept(series)).collect();
        if !values.is_empty() {
            self.rows.push((row.step, values));
        }
        if is_step {
            self.after_step(row.step + 1);
        }
    }

    fn report(&mut self, report: Report) {
        if let Event::NonFinite { .. } = report.event {
            // The loop reports no values of such a step, only this event.
            self.rows.push((report.step, vec![(name::TRAIN.to_owned(), f64::NAN)]));
            self.is_broken = true;
            self.send(Command::Stop { reason: None });
        }
    }

    fn inspection(&mut self, _: InspectionUpdate) {}
}

impl Recorder {
    fn after_step(&mut self, done: u64) {
        let due: Vec<Command> =
            self.script.iter().filter(|(step, _)| *step == done).map(|(_, command)| command.clone()).collect();
        due.into_iter().for_each(|command| self.send(command));
        if done == self.until {
            self.send(Command::Stop { reason: None });
        }
    }

    fn send(&self, command: Command) {
        // The receiver lives as long as the run.
        let _ = self.send.send(NumberedCommand { command_id: 1, author: Author::System, command });
    }
}

/// Times and memory depend on the machine and on what else it does; the rule on slow steps is tested on synthetic times.
fn is_kept(series: &str) -> bool {
    let machine = ["time.", "memory.", name::STEP_MS, name::SECS, name::TOKENS_PER_SEC];
    !machine.iter().any(|prefix| series.starts_with(prefix))
}
