//! Runs as pages and programs see them.

use serde::{Deserialize, Serialize};

use crate::corpus::DatasetInfo;
use crate::id::{DeviceId, RunId};
use crate::plan::{Estimate, RunPlan};
use crate::schedule::Schedule;
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

/// The dials as they stand now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Dials {
    /// Schedule with its turns.
    pub schedule: Schedule,
    /// Bound on the gradient norm; 0 for none.
    pub clip: f64,
    /// Decay of matrices.
    pub weight_decay: f64,
    /// Steps between validation losses; 0 for never.
    pub eval_every: u64,
    /// Steps between samples; 0 for never.
    pub sample_every: u64,
}

impl Dials {
    /// As planned.
    pub fn new(plan: &RunPlan) -> Self {
        let Cadence { eval_every, sample_every, .. } = plan.recipe.cadence;
        let optimizer = &plan.recipe.optimizer;
        Self {
            schedule: plan.schedule(),
            clip: optimizer.clip,
            weight_decay: optimizer.weight_decay,
            eval_every,
            sample_every,
        }
    }

    /// The value of a dial at `step`.
    pub fn get(&self, field: SetField, step: u64) -> f64 {
        match field {
            SetField::Rate => self.schedule.rate(step),
            SetField::Clip => self.clip,
            SetField::WeightDecay => self.weight_decay,
            SetField::EvalEvery => self.eval_every as f64,
            SetField::SampleEvery => self.sample_every as f64,
        }
    }

    /// Turns a dial from `step` on; the value has passed [`SetField::check`].
    pub fn set(&mut self, field: SetField, step: u64, value: f64) {
        match field {
            SetField::Rate => self.schedule.turn(step, value),
            SetField::Clip => self.clip = value,
            SetField::WeightDecay => self.weight_decay = value,
            SetField::EvalEvery => self.eval_every = value as u64,
            SetField::SampleEvery => self.sample_every = value as u64,
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

use crate::command::SetField;
use crate::plan::Cadence;
