//! Curves: their names and units, the rows that grow them, and the buckets that answer any zoom.

use serde::{Deserialize, Serialize};

/// The values of one step. Names are those of [`describe`]; a step may have several rows with different names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Segment of the run's history.
    pub segment: u32,
    /// The step they belong to, counted from 0.
    pub step: u64,
    /// Name and value.
    pub values: Vec<(String, f64)>,
}

/// A stretch of a curve: one value, or many folded so that no spike is lost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Bucket {
    /// First step in it.
    pub step: u64,
    /// Last step in it.
    pub last_step: u64,
    /// First place on the asked-for axis.
    pub x: f64,
    /// Last place on it.
    pub last_x: f64,
    /// Smallest value (finite ones only).
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Mean value.
    pub mean: f64,
    /// Values folded; 0 where all were not numbers.
    pub count: u64,
}

/// A curve between two places, in at most a few thousand buckets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SeriesWindow {
    /// Name.
    pub name: String,
    /// Segment of the run's history.
    pub segment: u32,
    /// In order; each with `count` 1 where `is_exact`.
    pub buckets: Vec<Bucket>,
    /// Points stored between the two places.
    pub total: u64,
    /// Every stored point is shown by itself.
    pub is_exact: bool,
}

/// Two runs' training losses against each other, step by step on both their paths.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Comparison {
    /// First step at which both have a loss of their own: after the past that they share; none where they never meet.
    pub common_from: Option<u64>,
    /// Steps from there on that are the same to the last bit, up to the first that is not.
    pub identical_steps: u64,
    /// The first step that is not the same.
    pub first_difference: Option<u64>,
    /// One's loss less the other's, from `common_from` on.
    pub difference: Vec<Difference>,
}

/// The difference of two curves over some steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Difference {
    /// First step.
    pub step: u64,
    /// Last step.
    pub last_step: u64,
    /// Mean difference.
    pub mean: f64,
    /// Two standard errors below the mean.
    pub low: f64,
    /// Two standard errors above the mean.
    pub high: f64,
}

/// What stands on a curve's x axis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// Optimizer steps.
    #[default]
    Step,
    /// Tokens trained on.
    Tokens,
    /// Seconds at work (pauses left out).
    Secs,
    /// Arithmetic done.
    Flops,
}

/// Names of the series that every run has.
pub mod name {
    /// Training loss.
    pub const TRAIN: &str = "loss.train";
    /// Validation loss.
    pub const VALID: &str = "loss.valid";
    /// Learning rate used.
    pub const RATE: &str = "rate";
    /// Global gradient norm, before clipping.
    pub const GRAD_NORM: &str = "grad_norm";
    /// Tokens trained on so far.
    pub const TOKENS: &str = "tokens";
    /// Seconds at work so far.
    pub const SECS: &str = "secs";
    /// Speed over the step.
    pub const TOKENS_PER_SEC: &str = "tokens_per_sec";
    /// Time of the step.
    pub const STEP_MS: &str = "step_ms";
    /// Part of the step: fetching the batch.
    pub const BATCH_MS: &str = "time.batch_ms";
    /// Part of the step: forward and backward.
    pub const GRADIENT_MS: &str = "time.gradient_ms";
    /// Part of the step: clipping and the optimizer.
    pub const OPTIMIZER_MS: &str = "time.optimizer_ms";
    /// Part of the step: all the rest (evaluation and samples not counted).
    pub const OTHER_MS: &str = "time.other_ms";
    /// Beside the step: looks inside since the step before it.
    pub const LOOKS_MS: &str = "time.looks_ms";
    /// Memory of the training process.
    pub const PROCESS_BYTES: &str = "memory.process_bytes";
    /// Memory in use on the device.
    pub const DEVICE_BYTES: &str = "memory.device_bytes";
    /// Prefix of validation losses, by text of the mix.
    pub const VALID_OF: &str = "loss.valid/";
    /// Prefix of times that a text has been read.
    pub const EPOCHS: &str = "epochs/";
    /// Prefix of update-to-weight ratios, by parameter.
    pub const UPDATE_RATIO: &str = "update_ratio/";
    /// Prefix of gradient RMS, by parameter.
    pub const GRADIENT_RMS: &str = "gradient_rms/";
    /// Prefix of weight RMS, by parameter.
    pub const WEIGHT_RMS: &str = "weight_rms/";
}

/// What a series is, for labels and hovers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesInfo {
    /// Short label.
    pub label: String,
    /// Unit, never empty.
    pub unit: &'static str,
    /// Meaning and formula in a sentence.
    pub meaning: &'static str,
}

/// Label, unit and meaning of a series.
pub fn describe(series: &str) -> SeriesInfo {
    use name::*;
    let info = |label: &str, unit, meaning| SeriesInfo { label: label.to_owned(), unit, meaning };
    let by_parameter = [
        (
            UPDATE_RATIO,
            "update / weight",
            "ratio",
            "Norm of the step's update over the norm of the weights; about 1e-3 is healthy.",
        ),
        (GRADIENT_RMS, "gradient", "loss / weight", "Root mean square of the gradient, before clipping."),
        (WEIGHT_RMS, "weight", "weight", "Root mean square of the weights."),
        (VALID_OF, "valid", "nats / token", "Mean of -ln p(next token) over the held-out part of one text."),
        (EPOCHS, "epochs", "epochs", "Times that a text has been read; past four, repeated text teaches less."),
    ];
    for (prefix, label, unit, meaning) in by_parameter {
        if let Some(parameter) = series.strip_prefix(prefix) {
            return info(&format!("{label}, {parameter}"), unit, meaning);
        }
    }
    match series {
        TRAIN => info("train", "nats / token", "Mean of -ln p(next token) over the step's batch."),
        VALID => {
            info("valid", "nats / token", "Mean of -ln p(next token) over held-out text, the same batches each time.")
        }
        RATE => info("rate", "per step", "Learning rate the optimizer used."),
        GRAD_NORM => {
            info("gradient norm", "loss / weight", "Root of the sum of all squared gradients, before clipping.")
        }
        TOKENS => info("tokens", "tokens", "Tokens trained on so far."),
        SECS => info("time", "s", "Seconds at work so far, pauses left out."),
        TOKENS_PER_SEC => info("speed", "tok/s", "Tokens of the step over its time."),
        STEP_MS => info("step", "ms", "Time of the step, evaluation and samples left out."),
        BATCH_MS => info("batch", "ms", "Time to fetch the step's tokens."),
        GRADIENT_MS => info("gradient", "ms", "Time of forward and backward."),
        OPTIMIZER_MS => info("optimizer", "ms", "Time of clipping and the optimizer's step."),
        OTHER_MS => info("other", "ms", "The rest of the step: statistics, commands, reporting."),
        LOOKS_MS => info("looks", "ms", "Time of looks inside since the step before; beside the step's own time."),
        PROCESS_BYTES => info("process memory", "B", "Resident memory of the training process."),
        DEVICE_BYTES => info("device memory", "B", "Memory in use on the device."),
        other => info(other, "value", "A series of this run."),
    }
}
