//! `kindling train`: one run in this process, with a progress bar, into the same folder that a server shows.
//!
//! [`spec`] reads the spec, [`begin`] creates or resumes a run, [`headless`] trains it, [`findings`] prints what the rules find, [`acts`] carries
//! out what they may do about it, [`scores`] scores its checkpoints on tasks.

mod acts;
mod begin;
mod findings;
mod headless;
mod scores;
pub(super) mod spec;

use std::io;
use std::path::PathBuf;

use clap::{ArgGroup, Args};
use engine::{DataError, EngineError};
use research::rules::SettingError;
use store::StoreError;
use wire::data::tokenizer::Tokenizer;
use wire::id::IdError;
use wire::task::lab::TaskSchedule;
use wire::task::{BUILT_IN, TaskName};
use wire::{CorpusId, DeviceId, PlanError, RunId};

use super::data::{DataArgs, UnusedFolder};
use crate::lab::open::ServeError;
use crate::lab::settings::Settings;
use acts::{Allowed, parse_act};
use scores::parse_task;
pub(super) use spec::split_tables;
use spec::{Override, parse_override};

const EXAMPLES: &str = "\
Examples:
  Train the preset tiny on the built-in dataset tales:
    kindling train --preset tiny --corpus tales
  Train a spec, with two hyperparameters changed:
    kindling train spec.toml --set optimizer.learning_rate=1e-3 --set model.layers=6
  Score each checkpoint whose step is a multiple of 500 on the task of the dataset Tales:
    kindling train --preset tiny --corpus tales --task tales-holder=500
  Let the rule on diverging losses stop the run, and the one on spikes return to a checkpoint once:
    kindling train --preset tiny --corpus tales --act divergence=stop,loss_spike=rollback:100:200
  Continue a run that was stopped or killed, from its newest checkpoint:
    kindling train --resume amber-fox-7k2q

A spec is a TOML file:
  preset = \"nanogpt-cpu\"
  corpus = \"tales\"
  steps = 2000
  [overrides]
  \"optimizer.learning_rate\" = 1e-3";

/// Author of the commands of a run without a server.
const COMMAND_LINE: &str = "command line";

/// The arguments of a new run; a resumed run keeps its own.
const OF_A_NEW_RUN: [&str; 10] =
    ["spec", "preset", "depth", "corpus", "tokenizer", "steps", "seed", "name", "overrides", "tasks"];

/// Trains one run on this machine without a server, with a progress bar and a line for each finding of the rules.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("run").required(true).multiple(true).args(["spec", "preset", "corpus", "resume"]))]
pub struct TrainArgs {
    /// TOML file with the spec of the run; the options below override it [default: none, the options describe the run]
    #[arg(value_name = "SPEC.toml")]
    spec: Option<PathBuf>,
    /// Preset with the hyperparameters that are not set explicitly [default: nanogpt-cpu]
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// Number of layers of the preset `depth`; its other sizes are derived from it [default: 4]
    #[arg(long, value_name = "LAYERS")]
    depth: Option<u32>,
    /// Dataset to train on [default: the built-in dataset that the preset is made for, mostly tales]
    #[arg(long, value_name = "ID")]
    corpus: Option<CorpusId>,
    /// Tokenizer: byte, char, gpt2, or bpe-N with a vocabulary of N tokens [default: the preset's]
    #[arg(long, value_name = "NAME")]
    tokenizer: Option<Tokenizer>,
    /// Optimizer steps [default: the preset's]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Random seed of initialization, batches and samples [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Set a hyperparameter, by its path in the plan; may be given several times [default: the preset's hyperparameters]
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = parse_override)]
    overrides: Vec<Override>,
    /// Score checkpoints on this task, those at multiples of STEPS and the last one; may be given several times [default: no
    /// tasks; without STEPS, each checkpoint]
    #[arg(long = "task", value_name = "NAME=STEPS", value_parser = parse_task)]
    tasks: Vec<TaskSchedule>,
    /// Display name of the run [default: a generated name]
    #[arg(long)]
    name: Option<String>,
    /// Continue this run of the folder from its newest checkpoint [default: none, a new run is created]
    #[arg(long, value_name = "RUN", conflicts_with_all = OF_A_NEW_RUN)]
    resume: Option<RunId>,
    /// Allow a rule to act when it finds that the run is failing: RULE=pause, RULE=stop, or RULE=rollback:STEPS:BATCHES, which returns to a
    /// checkpoint at least STEPS back and skips BATCHES; several with commas or several options. A pause ends the run, as a stop does, with
    /// exit status 1 [default: none, rules only report]
    #[arg(long = "act", value_name = "RULE=ACTION", value_delimiter = ',', value_parser = parse_act)]
    acts: Vec<Allowed>,
    /// Device to train on, as `kindling devices` lists it [default: the run's, else a GPU if there is one, else the CPU]
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,
    #[command(flatten)]
    data: DataArgs,
}

/// Errors of `kindling train`.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The spec's file.
    #[error("the spec {} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        source: io::Error,
    },
    /// The spec's form.
    #[error("{} is not a valid spec: {}", path.display(), wire::error::in_words(source))]
    Spec {
        /// The file.
        path: PathBuf,
        /// Where and why; boxed for its size.
        source: Box<toml::de::Error>,
    },
    /// An internal id is invalid.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The spec's content.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A task that a server may know, and this folder does not.
    #[error(
        "unknown task {task}; built-in tasks are {}, and a lab has those that were added to it",
        BUILT_IN.map(|(name, _)| name).join(" and ")
    )]
    NoTask { task: TaskName },
    /// A server has the folder.
    #[error(
        "{source}\n\nOr start the run on that server:\n  curl -H \"Authorization: Bearer $(kindling token --data {})\" --json @spec.json \
         {url}/api/v1/runs",
        data.display()
    )]
    ServerHasIt {
        /// The error, with the id of the server process.
        source: ServeError,
        /// The folder.
        data: PathBuf,
        /// The server's address.
        url: String,
    },
    /// There is no lab whose run could be resumed.
    #[error(transparent)]
    Unused(#[from] UnusedFolder),
    #[error(transparent)]
    Folder(#[from] ServeError),
    /// The dataset.
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The device, which a worker of an earlier server may still hold.
    #[error(transparent)]
    Device(#[from] worker::WorkerError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A run that cannot be resumed.
    #[error("{run} cannot be resumed: {why}")]
    NotResumed {
        run: RunId,
        /// Reason and hint.
        why: &'static str,
    },
    /// A loss or gradient that is not finite. A server would pause the run; here no one could continue it, so it was stopped.
    #[error(
        "stopped: {what}. Lower the learning rate, or open {run} in the lab and fork it at a checkpoint before this step"
    )]
    NonFinite {
        run: RunId,
        /// The quantity that is not finite, and its value.
        what: String,
    },
    /// A rule that does not exist, or a rollback out of range.
    #[error("--act: {0}")]
    Act(#[from] SettingError),
    /// What a rule may not do without a server.
    #[error("--act: the rule {rule} cannot roll back: {why}")]
    NotAllowed { rule: String, why: &'static str },
    /// A rule that was allowed to has ended the run.
    #[error(
        "ended by the rule {rule}: {reason} Continue it from its last checkpoint with kindling train --resume {run}"
    )]
    ByRule {
        run: RunId,
        /// Label of the rule.
        rule: String,
        /// What it found, in sentences.
        reason: String,
    },
    /// The training thread could not be started.
    #[error("the training thread could not be started: {source}")]
    Thread { source: io::Error },
    /// The training thread panicked.
    #[error("the training thread panicked; what it had reported is stored as run {0}")]
    Panicked(RunId),
}

impl TrainArgs {
    /// Trains one run to its end, or until Ctrl-C.
    ///
    /// # Errors
    /// The spec does not resolve, the run cannot be resumed, or the training fails.
    pub async fn run(self) -> Result<(), TrainError> {
        let settings = Settings::new(self.data.folder.clone(), ([127, 0, 0, 1], 0).into());
        let acts = acts::read(&self.acts)?;
        let (store, ready) = match &self.resume {
            Some(run) => {
                self.data.used()?;
                begin::resume(&settings, run, self.device.clone(), &acts).await?
            }
            None => begin::new_run(&settings, spec::spec_of(&self)?, &acts).await?,
        };
        acts::allow(&store, &ready.run, acts).await?;
        headless::train(store, ready, settings.corpora()).await
    }
}
