//! The part of a plan that overrides may change: shape, optimizer, course of the rate, batch, cadence, what is kept, budget. Numbers and
//! their defaults; how they come together and are checked is [`crate::plan`]'s.

use serde::{Deserialize, Serialize};

use crate::model::ModelPlan;
use crate::schedule::Shape;

/// The part of a plan that overrides may change; their paths are its field names: `optimizer.rate`, `model.layers`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Shape of the decoder.
    pub model: ModelPlan,
    /// Which optimizer, and its numbers.
    pub optimizer: Optimizer,
    /// Course of the rate.
    pub schedule: RatePlan,
    /// Size of a step.
    pub batch: Batch,
    /// How often to look.
    pub cadence: Cadence,
    /// What is kept on disk.
    #[serde(default)]
    pub keep: Keep,
    /// Where it ends before its last step.
    #[serde(default)]
    pub budget: Budget,
}

/// Checkpoints: how often, and which are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// Steps between checkpoints; 0 for none on a cadence.
    pub every: u64,
    /// The newest on the cadence that are kept, at least 1.
    pub latest: u32,
    /// Of those on the cadence, every so many is kept for good; 0 for none.
    pub every_nth: u32,
    /// Keep the one with the lowest validation loss.
    pub best: bool,
    /// Save before every change that can be regretted; the newest 8 of these are kept.
    pub before_changes: bool,
    /// Times a run is started again by itself after its worker died.
    pub restarts: u32,
    /// Bound on the looks that are kept of a run, so that it can be gone through from its first step, MB; 0 for none.
    #[serde(default = "frames_mb")]
    pub frames_mb: u32,
}

fn frames_mb() -> u32 {
    200
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            every: 500,
            latest: 3,
            every_nth: 0,
            best: true,
            before_changes: true,
            restarts: 3,
            frames_mb: frames_mb(),
        }
    }
}

/// Bounds at which a run ends; 0 is none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Tokens trained on.
    pub tokens: u64,
    /// Seconds at work.
    pub secs: f64,
    /// Validation loss, nats per token: reached, the run ends.
    pub loss: f64,
}

/// Which optimizer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OptimizerKind {
    /// AdamW (Loshchilov and Hutter 2019).
    #[default]
    Adamw,
    /// Muon (Jordan et al. 2024) for the blocks' matrices, scaled to AdamW's rate (Liu et al. 2025), AdamW for the rest.
    Muon,
}

/// The optimizer, with decay on matrices only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Optimizer {
    /// Which.
    #[serde(default)]
    pub kind: OptimizerKind,
    /// Highest learning rate.
    pub rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled decay of matrices, per unit of rate.
    pub weight_decay: f64,
    /// Bound on the global gradient norm; 0 for none.
    pub clip: f64,
    /// Weight of the squared log-partition in the loss (PaLM's z-loss); 0 for none.
    pub z_loss: f64,
}

/// Course of the rate; its peak is the optimizer's rate, its end the last step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RatePlan {
    /// Shape after warm-up.
    pub shape: Shape,
    /// Steps of linear rise.
    pub warmup_steps: u64,
    /// Lowest rate, as a share of the peak.
    pub floor: f64,
}

/// Size of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Rows of context in one pass.
    pub rows: usize,
    /// Passes whose gradients are summed before a step.
    pub accumulation: usize,
    /// Parts of a pass, one per core, summed in order; part of the plan so that another machine repeats it. 0: the device's cores.
    pub shards: usize,
}

/// How often to look, in steps; 0 is never.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Cadence {
    /// Steps between validation losses.
    pub eval_every: u64,
    /// Batches of one validation loss, always the same ones; the last validation of a run takes all held-out text.
    pub eval_batches: u64,
    /// Steps between samples.
    pub sample_every: u64,
    /// Tokens of a sample.
    pub sample_tokens: u32,
    /// Steps between weight and gradient statistics.
    pub stats_every: u64,
    /// Holds by itself once so many steps are done, each time it gets there by training: 0 before the first. For a lesson that stops to
    /// talk, or a look at a moment that is known to matter. A fork does not inherit them.
    #[serde(default)]
    pub hold_at: Vec<u64>,
}
