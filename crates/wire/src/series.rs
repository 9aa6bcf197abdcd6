//! Time series of metrics: names and units, the rows that a step reports, and buckets of aggregated values.

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

/// A bucket of a series: one value, or many aggregated with minimum and maximum, so that no spike is lost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Bucket {
    /// First step in it.
    pub step: u64,
    /// Last step in it.
    pub last_step: u64,
    /// First value on the requested axis.
    pub x: f64,
    /// Last value on the requested axis.
    pub last_x: f64,
    /// Smallest value (finite ones only).
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Mean value.
    pub mean: f64,
    /// Number of aggregated values; 0 if none was finite.
    pub count: u64,
}

/// A range of a series in at most a few thousand buckets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SeriesWindow {
    pub name: String,
    /// Segment of the run's history.
    pub segment: u32,
    /// Buckets in order, single points if `is_exact`.
    pub buckets: Vec<Bucket>,
    /// Points stored in the range.
    pub total: u64,
    /// Whether each bucket is a single point.
    pub is_exact: bool,
}

/// The difference of two runs' training losses at equal steps along both paths.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Comparison {
    /// First step after the shared past at which both have a loss; `None` without one.
    pub common_from: Option<u64>,
    /// Number of steps from there on with identical bits, up to the first difference.
    pub identical_steps: u64,
    /// First step with different losses.
    pub first_difference: Option<u64>,
    /// Loss of the first run minus that of the second, from `common_from` on.
    pub difference: Vec<Difference>,
}

/// The difference of two series over some steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Difference {
    /// First step.
    pub step: u64,
    pub last_step: u64,
    /// Mean difference.
    pub mean: f64,
    /// Two standard errors below the mean.
    pub low: f64,
    /// Two standard errors above the mean.
    pub high: f64,
}

impl Difference {
    /// Fewest steps from whose standard error a difference is concluded; over fewer it is itself too uncertain.
    pub const ENOUGH_STEPS: u64 = 10;

    /// Number of steps of the mean.
    pub fn steps(&self) -> u64 {
        self.last_step - self.step + 1
    }

    /// Whether two runs can be told apart by it.
    pub fn has_enough_steps(&self) -> bool {
        self.steps() >= Self::ENOUGH_STEPS
    }

    /// Half the width of the band, two standard errors.
    pub fn error(&self) -> f64 {
        (self.high - self.low) / 2.0
    }

    /// The difference over the steps of several, in order; `None` without one.
    pub fn over(parts: &[Self]) -> Option<Self> {
        let (first, last) = (parts.first()?, parts.last()?);
        let count: f64 = parts.iter().map(|part| part.steps() as f64).sum();
        let mean = parts.iter().map(|part| part.mean * part.steps() as f64).sum::<f64>() / count;
        // Squared distances to the mean: those within a part, from its standard error, and that of its mean.
        let squares = |part: &Self| {
            let steps = part.steps() as f64;
            steps * (steps - 1.0) * (part.error() / 2.0).powi(2) + steps * (part.mean - mean).powi(2)
        };
        let variance = parts.iter().map(squares).sum::<f64>() / (count - 1.0).max(1.0);
        let band = 2.0 * (variance / count).sqrt();
        Some(Self { step: first.step, last_step: last.last_step, mean, low: mean - band, high: mean + band })
    }

    /// The difference over the newest tenth of the steps, but not over fewer than [`Difference::ENOUGH_STEPS`] if there are as many.
    pub fn newest(parts: &[Self]) -> Option<Self> {
        let (first, last) = (parts.first()?, parts.last()?);
        let wanted = ((last.last_step - first.step + 1) / 10).max(Self::ENOUGH_STEPS);
        let from = parts.iter().rposition(|part| last.last_step - part.step + 1 >= wanted).unwrap_or(0);
        Self::over(&parts[from..])
    }
}

/// The x axis of a chart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// Optimizer steps.
    #[default]
    Step,
    /// Tokens trained on.
    Tokens,
    /// Training time in seconds, without pauses.
    Secs,
    /// Floating-point operations.
    Flops,
}

/// Names of the series that every run has.
pub mod name {
    /// Training loss.
    pub const TRAIN: &str = "loss.train";
    /// Validation loss.
    pub const VALID: &str = "loss.valid";
    /// Learning rate used.
    pub const LEARNING_RATE: &str = "learning_rate";
    /// Global gradient norm, before clipping.
    pub const GRAD_NORM: &str = "grad_norm";
    /// Tokens trained on so far.
    pub const TOKENS: &str = "tokens";
    /// Training time so far.
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
    /// Prefix of times of operators of a step, by phase and operator.
    pub const OPERATOR_MS: &str = "time.operator_ms/";
    /// Inspections since the previous step, not part of the step time.
    pub const INSPECTIONS_MS: &str = "time.inspections_ms";
    /// Memory of the training process.
    pub const PROCESS_BYTES: &str = "memory.process_bytes";
    /// Memory in use on the device.
    pub const DEVICE_BYTES: &str = "memory.device_bytes";
    /// Windows of the training text that came again at another place of it.
    pub const DUPLICATE_WINDOWS: &str = "duplicate_windows";
    /// Batch size at which the noise of the gradient equals the gradient, tokens.
    pub const NOISE_SCALE: &str = "gradient_noise_scale";
    /// Factor of the loss in backward with float16 products.
    pub const LOSS_SCALE: &str = "loss_scale";
    /// Prefix of validation losses, by dataset.
    pub const VALID_OF: &str = "loss.valid/";
    /// Prefix of epochs, by dataset.
    pub const EPOCHS: &str = "epochs/";
    /// Prefix of weights in the mix, by dataset.
    pub const MIX_WEIGHT: &str = "mix_weight/";
    /// Prefix of update-to-weight ratios, by parameter.
    pub const UPDATE_RATIO: &str = "update_ratio/";
    /// Prefix of gradient RMS, by parameter.
    pub const GRADIENT_RMS: &str = "gradient_rms/";
    /// Prefix of weight RMS, by parameter.
    pub const WEIGHT_RMS: &str = "weight_rms/";

    /// Prefix of attention entropies over validation window 0, by `LAYER.HEAD`.
    pub const ATTENTION_ENTROPY: &str = "attention_entropy/";
    /// Prefix of largest attention scores of validation window 0, by layer.
    pub const ATTENTION_LOGIT: &str = "attention_logit_max/";
    /// Prefix of fractions of neurons that are dead in validation window 0, by layer.
    pub const DEAD_NEURONS: &str = "dead_neurons/";

    /// Prefix of values of evaluation tasks, by task and metric.
    pub const EVAL: &str = "eval/";

    /// Every series that has one name.
    pub const ALL: [&str; 18] = [
        TRAIN,
        VALID,
        LEARNING_RATE,
        GRAD_NORM,
        TOKENS,
        SECS,
        TOKENS_PER_SEC,
        STEP_MS,
        BATCH_MS,
        GRADIENT_MS,
        OPTIMIZER_MS,
        OTHER_MS,
        INSPECTIONS_MS,
        PROCESS_BYTES,
        DEVICE_BYTES,
        DUPLICATE_WINDOWS,
        NOISE_SCALE,
        LOSS_SCALE,
    ];
    /// Every prefix, with the meaning of what follows it.
    pub const PREFIXES: [(&str, &str); 11] = [
        (VALID_OF, "DATASET"),
        (EPOCHS, "DATASET"),
        (MIX_WEIGHT, "DATASET"),
        (OPERATOR_MS, "PHASE.OPERATOR"),
        (UPDATE_RATIO, "PARAMETER"),
        (GRADIENT_RMS, "PARAMETER"),
        (WEIGHT_RMS, "PARAMETER"),
        (ATTENTION_ENTROPY, "LAYER.HEAD"),
        (ATTENTION_LOGIT, "LAYER"),
        (DEAD_NEURONS, "LAYER"),
        (EVAL, "TASK/METRIC"),
    ];
}

/// Definitions of what the metrics for diagnosis and the inspections of the X-ray page measure alike: the metrics over validation window 0,
/// inspections over the inspected text.
pub mod definition {
    /// Attention entropy, nats.
    pub const ATTENTION_ENTROPY: &str = "Entropy of the attention pattern of a head, −Σ p ln p, averaged over all queries except the first. \
        For a head that attends to all tokens equally, it is the mean of ln(number of keys); near 0, each query attends to one token. Measured on validation window 0.";
    /// Largest attention score.
    pub const ATTENTION_SCORE: &str = "Largest |q·k| / √d_head before the softmax, over queries and their allowed keys. Above 100 the softmax is saturated. \
        Measured on validation window 0.";
    /// Dead neurons, a fraction.
    pub const DEAD_NEURONS: &str = "Fraction of the MLP neurons of a layer whose output is at most 0.01 times the RMS of the layer, in absolute \
        value, at every token. Measured on validation window 0.";
}

/// Attention score above which the softmax is saturated: that of QK-Clip in Kimi K2 (arXiv 2507.20534).
pub const LARGEST_ATTENTION_SCORE: f64 = 100.0;

/// Usual values of the ratio of an update to its weights. The X-ray page marks a component above the limit that it names.
pub const UPDATE_RATIOS: &str = "About 1e-3 in the middle of training, in small models up to about 0.02. Above 0.03 the \
    learning rate is probably too high; below 1e-5 the weights hardly change.";

/// Label, unit and meaning of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesInfo {
    /// Short label.
    pub label: String,
    /// Unit; empty if there is none.
    pub unit: &'static str,
    /// Meaning and formula in a sentence.
    pub meaning: &'static str,
}

/// What of the model a series is of, in words: `block 0, head 2`. Datasets, parameters and tasks have names.
fn place(prefix: &str, rest: &str) -> String {
    match (prefix, rest.split_once('.')) {
        (name::ATTENTION_ENTROPY, Some((block, head))) => format!("block {block}, head {head}"),
        (name::ATTENTION_LOGIT | name::DEAD_NEURONS, _) if !rest.is_empty() => format!("block {rest}"),
        _ => rest.to_owned(),
    }
}

/// Longest name of a series, characters.
pub(crate) const NAME_CHARS: usize = 200;

/// Whether a run can have a series of this name.
pub(crate) fn is_series(series: &str) -> bool {
    let has_prefix = |(prefix, _): &(&str, &str)| series.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty());
    let is_known = name::ALL.contains(&series) || name::PREFIXES.iter().any(has_prefix);
    is_known && series.chars().count() <= NAME_CHARS && !series.chars().any(char::is_control)
}

/// Label, unit and meaning of a series.
pub fn describe(series: &str) -> SeriesInfo {
    use name::*;
    let info = |label: &str, unit, meaning| SeriesInfo { label: label.to_owned(), unit, meaning };
    let by_name = [
        (
            UPDATE_RATIO,
            "update-to-weight ratio",
            "ratio",
            "Norm of the update of the step divided by the norm of the weights. Typical: 1e-3.",
        ),
        (GRADIENT_RMS, "gradient", "", "Root mean square of the gradient, before clipping."),
        (WEIGHT_RMS, "weight", "", "Root mean square of the weights."),
        (
            VALID_OF,
            "val",
            "nats/token",
            "Mean cross-entropy, −ln p(next token), over the validation split of one dataset.",
        ),
        (
            EPOCHS,
            "epochs",
            "epochs",
            "Epochs trained on a dataset. Beyond 4, repeated data adds less (Muennighoff et al. 2023).",
        ),
        (MIX_WEIGHT, "weight in the mix", "", "Fraction of the training sequences that is drawn from a dataset."),
        (
            OPERATOR_MS,
            "operator",
            "ms",
            "Time of an operator in a phase of the step, on the CPU every 10 steps. Of an operator that several threads compute, the mean over \
             the threads.",
        ),
        (ATTENTION_ENTROPY, "attention entropy", "nats", definition::ATTENTION_ENTROPY),
        (ATTENTION_LOGIT, "largest attention score", "", definition::ATTENTION_SCORE),
        (DEAD_NEURONS, "dead neurons", "", definition::DEAD_NEURONS),
        (EVAL, "task", "", "Score of a checkpoint on an evaluation task."),
    ];
    for (prefix, label, unit, meaning) in by_name {
        if let Some(rest) = series.strip_prefix(prefix) {
            // All series of the prefix have its label.
            return match rest {
                "" => info(label, unit, meaning),
                rest => info(&format!("{label}, {}", place(prefix, rest)), unit, meaning),
            };
        }
    }
    match series {
        TRAIN => info(
            "train",
            "nats/token",
            "Training loss: mean cross-entropy, −ln p(next token), over the batch of the step.",
        ),
        VALID => info(
            "val",
            "nats/token",
            "Validation loss: mean cross-entropy, −ln p(next token), over the same batches of the validation split each time; the last evaluation of the run covers the whole split, or 4,096 windows of a large one, so it is not comparable with the others. \
             Steps are counted from 0: the evaluation after 100 steps, at step 100 in the journal, is at step 99 of the curve.",
        ),
        LEARNING_RATE => info("learning rate", "", "Learning rate of each step."),
        GRAD_NORM => info("gradient norm", "", "L2 norm of the gradient of all parameters, before clipping."),
        TOKENS => info("tokens", "tokens", "Training tokens so far."),
        SECS => info("time", "s", "Training time so far, without pauses."),
        TOKENS_PER_SEC => info("throughput", "tok/s", "Tokens of the step divided by its time."),
        STEP_MS => info("step time", "ms", "Time of the step, without evaluation and sampling."),
        BATCH_MS => info("data loading", "ms", "Time to load the batch of the step."),
        GRADIENT_MS => info("forward + backward", "ms", "Time of the forward and the backward pass."),
        OPTIMIZER_MS => info("optimizer", "ms", "Time of gradient clipping and the optimizer step."),
        OTHER_MS => info("other", "ms", "Rest of the step: statistics, commands and reporting."),
        INSPECTIONS_MS => {
            info("inspections", "ms", "Time of inspections since the previous step; not part of the step time.")
        }
        PROCESS_BYTES => info("process memory", "B", "Resident memory of the process that trains the run."),
        DEVICE_BYTES => info("device memory", "B", "Memory in use on the device."),
        DUPLICATE_WINDOWS => info(
            "duplicate windows",
            "windows",
            "Training windows so far whose text (at least 256 tokens from the start on) has already occurred elsewhere in the datasets. A window \
             that is drawn again from the same place counts as another epoch, not as a duplicate. Beyond 262,144 windows, 131,072 per doubling are compared.",
        ),
        NOISE_SCALE => info(
            "gradient noise scale",
            "tokens",
            "Batch size at which the noise of the gradient is as large as the gradient, tr(Σ) / |G|² (McCandlish et al. 2018), estimated \
             from replicas or micro-batches and averaged over about 20 measurements. Smaller batches waste steps, larger batches waste tokens.",
        ),
        LOSS_SCALE => info(
            "loss scale",
            "",
            "Factor of the loss in the backward pass with float16 products, so that small gradients do not round to zero. A step whose gradient \
             overflows is skipped: it has no gradient norm, and the factor is halved. After 2,000 finite steps the factor doubles.",
        ),
        other => info(other, "value", "A series of this run."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_attention_scores_names_their_limit() {
        assert!(definition::ATTENTION_SCORE.contains(&format!("Above {LARGEST_ATTENTION_SCORE} ")));
        assert_eq!(describe(&format!("{}3", name::ATTENTION_LOGIT)).meaning, definition::ATTENTION_SCORE);
    }

    #[test]
    fn a_series_of_a_part_of_the_model_is_labelled_by_that_part() {
        let label = |prefix: &str, rest: &str| describe(&format!("{prefix}{rest}")).label;
        assert_eq!(label(name::ATTENTION_ENTROPY, "0.2"), "attention entropy, block 0, head 2");
        assert_eq!(label(name::DEAD_NEURONS, "1"), "dead neurons, block 1");
        assert_eq!(label(name::VALID_OF, "tales"), "val, tales");
    }

    /// The difference over the values of steps from `first` on, with the formula of the definition.
    fn direct(first: u64, values: &[f64]) -> Difference {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let band = if values.len() > 1 { 2.0 * (squares / (count - 1.0) / count).sqrt() } else { 0.0 };
        Difference {
            step: first,
            last_step: first + values.len() as u64 - 1,
            mean,
            low: mean - band,
            high: mean + band,
        }
    }

    #[test]
    fn a_difference_over_buckets_is_that_over_their_steps() {
        let values: Vec<f64> = (0..499).map(|at| (f64::from(at) * 1.7).sin() - 0.07).collect();
        for width in [1, 2, 7, 499] {
            let parts: Vec<Difference> =
                values.chunks(width).enumerate().map(|(at, part)| direct(7501 + (at * width) as u64, part)).collect();
            let (found, expected) = (Difference::over(&parts).unwrap(), direct(7501, &values));
            assert_eq!((found.step, found.last_step), (7501, 7999));
            assert!((found.mean - expected.mean).abs() < 1e-9 && (found.low - expected.low).abs() < 1e-9, "{width}");
            assert!(Difference::newest(&parts).unwrap().steps() >= 49, "not the last bucket alone: {width}");
        }
        assert_eq!(Difference::over(&[]), None);
        let few = [direct(1, &[0.5]), direct(2, &[0.7])];
        assert_eq!(Difference::newest(&few).map(|found| found.steps()), Some(2));
    }
}
