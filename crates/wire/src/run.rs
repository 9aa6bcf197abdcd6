//! Runs: what a user specifies ([`spec`]), how it resolves ([`plan`], [`preset`], [`fork`]) and back ([`copy`]), the tree of segments that
//! rollbacks make ([`history`]), checkpoints that are being written ([`saving`]), the table of all runs ([`table`]), the operators of a step
//! with their work ([`operators`]), memory ([`mod@memory`]) and time ([`duration`]) of a training, the largest model that a memory has room for
//! ([`largest`]), and the records that pages show.

pub mod copy;
pub mod duration;
pub mod fork;
pub mod health;
pub mod history;
pub mod largest;
pub mod memory;
pub mod operators;
pub mod plan;
pub mod preset;
pub mod saving;
pub mod spec;
pub mod table;

use serde::{Deserialize, Serialize};

use crate::control::checkpoint::CheckpointId;
use crate::control::live::LiveHyperparameters;
use crate::data::corpus::DatasetInfo;
use crate::id::{DeviceId, RunId};
use crate::run::health::Health;
use crate::run::history::{Segment, Span};
use crate::run::plan::{Estimate, RunPlan};
use crate::run::spec::RunSpec;
use crate::slot::Slot;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It waits for a device, or for the tokenization of its datasets.
    Queued,
    /// A worker is loading it.
    Starting,
    /// It trains.
    Running,
    /// Paused, with the model loaded.
    Paused,
    /// Suspended: its state is saved as a checkpoint, and the device is released.
    Suspended,
    /// It trained all steps.
    Finished,
    /// It was stopped by a command.
    Stopped,
    /// An error ended it.
    Failed,
    /// Its worker stopped reporting.
    Lost,
}

impl RunState {
    /// Its word in texts.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Suspended => "suspended",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }

    /// Whether a worker has loaded it.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Paused)
    }

    /// Whether it has ended for good.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Stopped | Self::Failed | Self::Lost)
    }
}

/// Changes of a run's entry in the lab; omitted fields stay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RunChange {
    /// Display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it is archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<bool>,
    /// Position in the queue of its device, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_place: Option<u32>,
    /// Priority, -1000 to 1000; runs with higher priority start first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Tags, which replace the present ones: at most 20, each of 1 to 40 characters without spaces and commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// The project that it moves to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunSummary {
    pub id: RunId,
    /// Name on the page.
    pub name: String,
    pub state: RunState,
    pub preset: String,
    /// Names of its datasets.
    pub corpus: String,
    /// Device it runs or will run on.
    pub device: DeviceId,
    /// Number of parameters.
    pub parameters: u64,
    /// Steps done.
    pub step: u64,
    /// Step at which it ends.
    pub steps: u64,
    /// Last training loss, nats per token.
    pub loss_train: Option<f64>,
    /// Last validation loss, nats per token.
    pub loss_valid: Option<f64>,
    /// Lowest validation loss, nats per token.
    pub best_valid: Option<f64>,
    /// Tokens per second over the last steps.
    pub tokens_per_sec: Option<f64>,
    /// Training time, seconds.
    pub elapsed_secs: f64,
    /// Seconds per step with evaluations and samples: mean over about the last 200 steps.
    #[serde(default)]
    pub secs_per_step: Option<f64>,
    /// Creation time, ms since 1970.
    pub created_ms: i64,
    /// Start of training, ms since 1970.
    pub started_ms: Option<i64>,
    /// End, ms since 1970.
    pub ended_ms: Option<i64>,
    /// Position in the queue of its device, from 1, while queued.
    pub queue_place: Option<u32>,
    /// Why it waits, failed or was lost, in a sentence.
    pub message: Option<String>,
    /// Training loss in up to 60 points, from the first step to the last.
    pub sparkline: Vec<f32>,
    /// Whether it is archived.
    pub is_archived: bool,
    /// Time of deletion, ms since 1970; it can be restored until it is purged.
    pub deleted_ms: Option<i64>,
    /// Parent, for a fork.
    pub parent: Option<Parentage>,
    /// Priority in the queue, higher first; 0 by default.
    pub priority: i32,
    /// Automatic restarts after its worker died.
    pub restarts: u32,
    /// The pool of which the first free device trains it, while it is queued for one.
    #[serde(default)]
    pub pool: Option<String>,
    /// While it is queued: its place, what it waits for and for how long, in a sentence.
    #[serde(default)]
    pub waits: Option<String>,
    /// Tags, in order.
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default = "crate::access::project::default_project")]
    pub project: String,
    /// Which worker process of its device trains it or trained it last, from 1; above 1 only where a pool trains several runs on one device at
    /// once.
    #[serde(default = "first_slot")]
    pub slot: u32,
    /// Numbers of its findings.
    #[serde(default)]
    pub health: Health,
    /// Which state of the database it shows; within the server only.
    #[serde(skip)]
    pub revision: Revision,
}

/// The number of the last writing transaction before a state of a run was read. Of two states of a run, the one with the higher number is
/// the newer one. It is not sent, and states that differ in nothing else are equal.
#[derive(Debug, Clone, Copy, Default)]
pub struct Revision(pub u64);

impl PartialEq for Revision {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

fn first_slot() -> u32 {
    1
}

impl RunSummary {
    /// The worker process that trains it or trained it last.
    pub fn trained_by(&self) -> Slot {
        Slot { device: self.device.clone(), number: self.slot }
    }

    /// Training time to the last step at the present speed, seconds; `None` before a step of its own and once it has ended.
    pub fn secs_left(&self) -> Option<f64> {
        let secs = self.secs_per_step.filter(|secs| *secs > 0.0 && !self.state.is_over())?;
        Some(self.steps.saturating_sub(self.step) as f64 * secs)
    }
}

/// The parent of a fork.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Parentage {
    /// Parent run.
    pub run: RunId,
    /// Checkpoint of the parent.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub checkpoint: CheckpointId,
    /// Event of the parent's journal that this run omits, for a control run.
    pub control_of: Option<u64>,
}

/// Reference losses, nats per token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct References {
    /// Uniform prediction, ln(vocabulary size): the loss of an untrained model.
    pub ln_vocab: f64,
    /// Unigram entropy: the best prediction without context.
    pub unigram: Option<f64>,
    /// Entropy floor: the entropy of the generator, which no model can beat.
    pub floor: Option<f64>,
    /// Bytes of text per token: nats / (bytes ln 2) are bits per byte.
    pub bytes_per_token: Option<f64>,
}

impl References {
    /// The references of a vocabulary size and, once it is tokenized, a dataset.
    pub fn new(vocab: usize, dataset: Option<&DatasetInfo>) -> Self {
        Self {
            ln_vocab: (vocab.max(1) as f64).ln(),
            unigram: dataset.map(|dataset| dataset.unigram_nats),
            floor: dataset.and_then(|dataset| dataset.floor_nats),
            bytes_per_token: dataset.map(|dataset| dataset.bytes_per_token),
        }
    }
}

/// A run in full. The live hyperparameters are those of the plan with the changes of the journal replayed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunView {
    pub summary: RunSummary,
    /// Spec, as the user gave it.
    #[serde(with = "crate::encode::json")]
    pub spec: RunSpec,
    /// Plan that the spec resolves to.
    pub plan: RunPlan,
    /// Estimated parameters, memory and time.
    pub estimate: Estimate,
    /// Hyperparameters in force.
    pub hyperparameters: LiveHyperparameters,
    /// Reference losses.
    pub references: References,
    pub device_name: String,
    /// All segments of its history, abandoned ones too.
    pub segments: Vec<Segment>,
    /// Its path, oldest span first, which begins in its parents.
    pub lineage: Vec<Span>,
    /// Position in the live stream, to subscribe from.
    pub cursor: Cursor,
}

/// A position in the live stream of a run. Valid while the server runs; a restarted server answers it with a resync.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Cursor {
    /// Start of the server.
    pub epoch: u64,
    /// Last tick received.
    pub tick: u64,
}
