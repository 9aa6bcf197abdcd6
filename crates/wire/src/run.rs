//! Runs as pages and programs see them.

use serde::{Deserialize, Serialize};

use crate::checkpoint::CheckpointId;
use crate::corpus::DatasetInfo;
use crate::dials::Dials;
use crate::history::{Segment, Span};
use crate::id::{DeviceId, RunId};
use crate::plan::{Estimate, RunPlan};
use crate::spec::RunSpec;

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Waits for a device, or for its text to be cut into tokens.
    Queued,
    /// A worker is loading it.
    Starting,
    /// It trains.
    Running,
    /// It holds, with the model loaded.
    Paused,
    /// It holds, and has let go of its device; a checkpoint waits.
    Parked,
    /// All steps done.
    Finished,
    /// Ended early, on request.
    Stopped,
    /// Ended by an error.
    Failed,
    /// Its worker went silent.
    Lost,
}

impl RunState {
    /// Whether a worker holds it.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Paused)
    }

    /// Whether it has ended for good.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Stopped | Self::Failed | Self::Lost)
    }
}

/// A run in one line of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunSummary {
    /// Id.
    pub id: RunId,
    /// Name for people.
    pub name: String,
    /// How it stands.
    pub state: RunState,
    /// Preset it came from.
    pub preset: String,
    /// Its texts, for people.
    pub corpus: String,
    /// Device it runs or will run on.
    pub device: DeviceId,
    /// Trained numbers.
    pub parameters: u64,
    /// Steps done.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Last training loss, nats per token.
    pub loss_train: Option<f64>,
    /// Last validation loss, nats per token.
    pub loss_valid: Option<f64>,
    /// Best validation loss.
    pub best_valid: Option<f64>,
    /// Speed over the last steps.
    pub tokens_per_sec: Option<f64>,
    /// Seconds at work.
    pub elapsed_secs: f64,
    /// Asked for, in milliseconds since 1970.
    pub created_ms: i64,
    /// First step, likewise.
    pub started_ms: Option<i64>,
    /// End, likewise.
    pub ended_ms: Option<i64>,
    /// Place in the queue of its device, from 1, while queued.
    pub queue_place: Option<u32>,
    /// Why it waits, failed or was lost, in a sentence.
    pub message: Option<String>,
    /// Training loss in up to 60 points, from the first step to the last.
    pub sparkline: Vec<f32>,
    /// Put away.
    pub is_archived: bool,
    /// Deleted then; can be undone for a while.
    pub deleted_ms: Option<i64>,
    /// Where it was forked from.
    pub parent: Option<Parentage>,
    /// Higher goes first in the queue; 0 unless told.
    pub priority: i32,
    /// Times it was started again by itself after its worker died.
    pub restarts: u32,
}

/// Where a run was forked from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Parentage {
    /// The run.
    pub run: RunId,
    /// The checkpoint.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub checkpoint: CheckpointId,
    /// The line of that run's journal which this run leaves out, where it is a twin.
    pub twin_of: Option<u64>,
}

/// Lines that a loss is read against, all in nats per token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct References {
    /// ln(vocabulary): where an untrained model starts.
    pub ln_vocab: f64,
    /// Entropy of single tokens: the best guess that ignores context.
    pub unigram: Option<f64>,
    /// The generator's own entropy: no model can pass it.
    pub floor: Option<f64>,
    /// Bytes of text per token: nats / (bytes ln 2) are bits per byte.
    pub bytes_per_token: Option<f64>,
}

impl References {
    /// Those of a vocabulary and, once it is cut, a text.
    pub fn new(vocab: usize, dataset: Option<&DatasetInfo>) -> Self {
        Self {
            ln_vocab: (vocab.max(1) as f64).ln(),
            unigram: dataset.map(|made| made.unigram_nats),
            floor: dataset.and_then(|made| made.floor_nats),
            bytes_per_token: dataset.map(|made| made.bytes_per_token),
        }
    }
}

/// A whole run, as its page opens it. The dials are the plan's with the journal's changes replayed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunView {
    /// One line.
    pub summary: RunSummary,
    /// As typed.
    #[serde(with = "crate::encode::json")]
    pub spec: RunSpec,
    /// As resolved.
    pub plan: RunPlan,
    /// What it costs.
    pub estimate: Estimate,
    /// Dials now.
    pub dials: Dials,
    /// Lines to read the loss against.
    pub references: References,
    /// Device in words.
    pub device_name: String,
    /// Every stretch of its history, abandoned ones too.
    pub segments: Vec<Segment>,
    /// The path that led here, oldest first, through the runs it was forked from.
    pub lineage: Vec<Span>,
    /// Where the live stream goes on from; give it back when subscribing.
    pub cursor: Cursor,
}

/// A place in a run's live stream. Valid while the server runs; a new server answers an old one with a resync.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Cursor {
    /// Which server life.
    pub epoch: u64,
    /// Last tick seen.
    pub tick: u64,
}
