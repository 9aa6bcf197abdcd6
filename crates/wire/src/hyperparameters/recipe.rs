//! The hyperparameters that overrides may change, with their defaults. [`crate::run::plan`] resolves and checks them.

use serde::{Deserialize, Serialize};

use super::schedule::Shape;
use crate::model::ModelPlan;

/// The hyperparameters of a run. Paths into it are its field names: `optimizer.learning_rate`, `model.layers`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Architecture of the decoder.
    pub model: ModelPlan,
    pub optimizer: Optimizer,
    /// Learning-rate schedule.
    pub schedule: SchedulePlan,
    /// Batch of an optimizer step.
    pub batch: Batch,
    /// Steps between evaluations, samples, statistics and checkpoints.
    pub intervals: Intervals,
    /// Checkpoints and snapshots that are kept.
    #[serde(default)]
    pub retention: Retention,
    /// Bounds at which the run ends before its last step.
    #[serde(default)]
    pub budget: Budget,
    /// The run pauses before each of these steps, every time it reaches one by training. A fork does not inherit them.
    #[serde(default)]
    pub breakpoints: Vec<u64>,
    /// How the weights of the datasets change.
    #[serde(default)]
    pub mixing: Mixing,
    /// Precision of products, and whether activations are computed again.
    #[serde(default)]
    pub compute: Compute,
}

/// The format of the factors of matrix products.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32 bits, 24 of them for digits.
    #[default]
    Float32,
    /// 16 bits, 8 of them for digits, with the range of 32-bit floats.
    Bfloat16,
    /// 16 bits, 11 of them for digits, up to 65,504; gradients need loss scaling.
    Float16,
}

impl Precision {
    /// The word in a plan.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Bfloat16 => "bfloat16",
            Self::Float16 => "float16",
        }
    }
}

/// How the step is computed: what it costs, not what it learns, apart from rounding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Compute {
    /// Factors of the products with weights are rounded to this format; sums, norms, losses, weights and moments stay 32-bit.
    pub precision: Precision,
    /// Whether backward computes the activations of each block again instead of keeping them (Chen et al. 2016).
    pub recompute: bool,
}

/// Whether the weights of the datasets follow their losses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum MixingRule {
    /// The weights of the mix, until a command changes them.
    #[default]
    Static,
    /// Online data mixing (Albalak et al. 2023): after each evaluation, datasets with a higher loss get more weight.
    Odm,
}

/// The weights of the datasets while the run trains; `engine::data::online_mixing` has the formula.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Mixing {
    pub rule: MixingRule,
    /// Smallest weight of a dataset.
    pub floor: f64,
    /// Logarithm of the ratio that the weights of two datasets approach if their losses differ by 1 nat per token.
    pub strength: f64,
    /// Fraction of the old log-weights that an evaluation keeps.
    pub smoothing: f64,
}

impl Default for Mixing {
    fn default() -> Self {
        Self { rule: MixingRule::Static, floor: 0.05, strength: 1.0, smoothing: 0.5 }
    }
}

/// The optimization algorithm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OptimizerKind {
    /// AdamW (Loshchilov and Hutter 2019).
    #[default]
    Adamw,
    /// Muon (Jordan et al. 2024) for the matrices of the blocks, scaled to AdamW's learning rate (Liu et al. 2025), AdamW for the rest.
    Muon,
}

/// The optimizer. Weight decay applies to matrices only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Optimizer {
    #[serde(default)]
    pub kind: OptimizerKind,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay: a matrix is multiplied by `1 - learning_rate * weight_decay` at each step.
    pub weight_decay: f64,
    /// Maximum global gradient norm; 0 turns clipping off.
    pub grad_clip: f64,
    /// Weight of the squared log-partition in the loss (PaLM's z-loss); 0 turns it off.
    pub z_loss: f64,
}

/// The learning-rate schedule. Its peak is the optimizer's learning rate, its end the last step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SchedulePlan {
    /// Shape after warm-up.
    pub shape: Shape,
    /// Steps of linear warm-up.
    pub warmup_steps: u64,
    /// Final learning rate as a fraction of the peak.
    pub final_fraction: f64,
}

/// The batch of an optimizer step: `size * accumulation` sequences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Sequences per micro-batch.
    pub size: usize,
    /// Micro-batches whose gradients are averaged for one optimizer step.
    pub accumulation: usize,
    /// Replicas that a micro-batch is split over, one per CPU core, summed in order. Part of the plan, so that another machine gives the
    /// same numbers. 0: as many as the device has cores.
    pub replicas: usize,
}

/// Maximum number of tokens of a sample.
pub const MAX_SAMPLE_TOKENS: u32 = 4_096;

/// Intervals in steps; 0 turns one off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Intervals {
    /// Steps between evaluations of the validation loss.
    pub eval_every: u64,
    /// Batches of one evaluation, always the same ones; the last evaluation of a run reads the whole validation split, or 4,096 windows of a
    /// large one.
    pub eval_batches: u64,
    /// Steps between samples.
    pub sample_every: u64,
    pub sample_tokens: u32,
    /// Steps between statistics of weights and gradients.
    pub stats_every: u64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
}

impl Default for Intervals {
    fn default() -> Self {
        Self {
            eval_every: 100,
            eval_batches: 20,
            sample_every: 250,
            sample_tokens: 200,
            stats_every: 10,
            checkpoint_every: 500,
        }
    }
}

/// The checkpoints and snapshots that are kept on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Newest periodic checkpoints that are kept; 0 keeps 1.
    pub latest: u32,
    /// Every nth periodic checkpoint is kept; 0 keeps none for this reason.
    pub every_nth: u32,
    /// Keep the checkpoint with the lowest validation loss.
    pub best: bool,
    /// Save a checkpoint before every change that an undo may need; the newest 8 of these are kept.
    pub before_changes: bool,
    /// Maximum size of the snapshots of a run, MB; 0 keeps none.
    pub snapshots_mb: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { latest: 3, every_nth: 0, best: true, before_changes: true, snapshots_mb: 200 }
    }
}

/// Bounds of a run; 0 turns a bound off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Tokens trained on at which the run ends.
    pub tokens: u64,
    /// Training time in seconds at which the run ends.
    pub secs: f64,
    /// Validation loss, nats per token, at which the run ends.
    pub loss: f64,
    /// Maximum number of automatic restarts after the worker died.
    pub restarts: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { tokens: 0, secs: 0.0, loss: 0.0, restarts: 3 }
    }
}
