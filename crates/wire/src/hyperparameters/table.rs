//! The table of hyperparameters. A new one is a field of the recipe, a row here, and the code that uses it.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::recipe::{MAX_SAMPLE_TOKENS, Recipe};
use crate::error::{PlanError, in_words};
use crate::number::grouped;

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Hyperparameter {
    /// Path in the recipe: `optimizer.learning_rate`.
    pub path: &'static str,
    /// Label on the page.
    pub label: &'static str,
    /// Unit; empty if there is none.
    pub unit: &'static str,
    /// Meaning, with the formula if there is one, in one sentence.
    pub meaning: &'static str,
    /// Values it accepts.
    pub values: Values,
    /// Whether it can change while a run trains.
    pub is_live: bool,
}

/// The values that a hyperparameter accepts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// A number, both bounds included.
    Number {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// An integer, both bounds included.
    Integer {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
    },
    /// True or false.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A [`super::schedule::Shape`].
    Shape,
    /// A list of steps.
    Steps,
}

impl Values {
    /// The minimum of a number that must be above 0.
    pub const ABOVE_ZERO: f64 = f64::MIN_POSITIVE;
    /// A maximum of an integer from here on is not named, because no use of it comes near.
    pub const UNBOUNDED: u64 = u32::MAX as u64;
}

const fn number(
    path: &'static str,
    label: &'static str,
    unit: &'static str,
    (min, max): (f64, f64),
    meaning: &'static str,
) -> Hyperparameter {
    Hyperparameter { path, label, unit, meaning, values: Values::Number { min, max }, is_live: false }
}

const fn integer(
    path: &'static str,
    label: &'static str,
    unit: &'static str,
    (min, max): (u64, u64),
    meaning: &'static str,
) -> Hyperparameter {
    Hyperparameter { path, label, unit, meaning, values: Values::Integer { min, max }, is_live: false }
}

const fn other(
    path: &'static str,
    label: &'static str,
    unit: &'static str,
    values: Values,
    meaning: &'static str,
) -> Hyperparameter {
    Hyperparameter { path, label, unit, meaning, values, is_live: false }
}

const fn live(row: Hyperparameter) -> Hyperparameter {
    Hyperparameter { is_live: true, ..row }
}

/// Largest interval in steps.
const INTERVAL: (u64, u64) = (0, 1_000_000_000);
/// A number of heads.
const HEADS: (u64, u64) = (1, 256);

/// Every hyperparameter, in the order of the form and the reference.
pub static TABLE: &[Hyperparameter] = &[
    integer(
        "model.layers",
        "Layers",
        "blocks",
        (1, 256),
        "Number of transformer blocks, each with an attention layer and an MLP.",
    ),
    integer("model.d_model", "Model width", "channels", (1, 65_536), "Width of the residual stream (d_model)."),
    integer(
        "model.heads",
        "Attention heads",
        "",
        HEADS,
        "Query heads of each attention layer; each is d_model / heads channels wide.",
    ),
    integer(
        "model.kv_heads",
        "Key/value heads",
        "",
        HEADS,
        "Key and value heads of each attention layer: the number of attention heads for multi-head attention, fewer for grouped-query attention.",
    ),
    integer("model.d_ff", "MLP width", "neurons", (1, 262_144), "Hidden neurons of each MLP (d_ff)."),
    integer(
        "model.seq",
        "Context length",
        "tokens",
        (1, 131_072),
        "Number of tokens that the model attends to; also the length of a training sequence.",
    ),
    integer(
        "model.vocab",
        "Vocabulary size",
        "tokens",
        (1, 1_000_000),
        "Number of tokens in the vocabulary; set by the tokenizer.",
    ),
    other(
        "model.positions",
        "Positions",
        "",
        Values::Choice(&["learned", "rotary"]),
        "learned: one vector per position, added to the embedding. RoPE (rotary): queries and keys are rotated by an angle proportional to their position.",
    ),
    other(
        "model.norm",
        "Normalization",
        "",
        Values::Choice(&["layer", "rms"]),
        "LayerNorm (layer) uses mean and variance. RMSNorm (rms) uses the root mean square only.",
    ),
    other(
        "model.mlp",
        "MLP type",
        "",
        Values::Choice(&["gelu", "swiglu", "gelu_exact"]),
        "GELU: two matrices with a GELU (tanh approximation) between. GELU (exact): the same with the exact GELU. SwiGLU: three matrices, one of them a gate.",
    ),
    other(
        "model.qk_norm",
        "QK-norm",
        "",
        Values::Switch,
        "Normalizes the queries and keys of each head, which bounds the attention scores.",
    ),
    other("model.bias", "Biases", "", Values::Switch, "Biases in linear layers and norms."),
    other(
        "model.tied_head",
        "Tied embeddings",
        "",
        Values::Switch,
        "The output head uses the matrix of the token embedding.",
    ),
    number(
        "model.logit_softcap",
        "Logit soft-cap",
        "",
        (0.0, 1e6),
        "Logits become cap · tanh(logits / cap). 0 disables it.",
    ),
    number(
        "model.rotary_base",
        "RoPE base",
        "",
        (1.0, 1e12),
        "Base of the rotation frequencies of RoPE; a larger base rotates more slowly, for longer contexts. No effect with learned positions.",
    ),
    number(
        "model.norm_eps",
        "Norm epsilon",
        "",
        (0.0, 1.0),
        "Added to the variance (LayerNorm) or the mean square (RMSNorm) before the square root. 0 uses 1e-5 for LayerNorm and 1e-6 for RMSNorm.",
    ),
    other(
        "model.qkv_bias",
        "QKV biases",
        "",
        Values::Switch,
        "Biases for queries, keys and values even if the other layers have none (Qwen2).",
    ),
    other(
        "model.rotary_scaling",
        "RoPE scaling",
        "",
        Values::Choice(&["none", "linear", "llama3"]),
        "To run a pretrained RoPE model on contexts longer than it was trained on. linear: every frequency is divided by “RoPE factor”. Llama 3: only low frequencies are divided (Llama 3.1).",
    ),
    number(
        "model.rotary_factor",
        "RoPE factor",
        "",
        (1.0, 1e4),
        "Divisor of the frequencies that “RoPE scaling” changes. No effect without RoPE scaling.",
    ),
    number(
        "model.rotary_low",
        "RoPE low-frequency factor",
        "",
        (1e-3, 1e6),
        "With “RoPE scaling” = Llama 3: frequencies with fewer rotations than this within “RoPE original context” are divided by “RoPE factor” (low_freq_factor in Hugging Face).",
    ),
    number(
        "model.rotary_high",
        "RoPE high-frequency factor",
        "",
        (1e-3, 1e6),
        "With “RoPE scaling” = Llama 3: frequencies with more rotations than this within “RoPE original context” stay as they are (high_freq_factor in Hugging Face).",
    ),
    integer(
        "model.rotary_original_seq",
        "RoPE original context",
        "tokens",
        (1, 1_000_000),
        "With “RoPE scaling” = Llama 3: context length that the model was pretrained with.",
    ),
    integer(
        "model.mup_base_width",
        "muP base width",
        "channels",
        (0, 65_536),
        "Width (d_model) of a smaller model whose best learning rate this model takes over: muP, Yang et al. 2022. Learning rate, initial values, logits and attention scores are scaled by powers of d_model / base width. 0 uses the standard parametrization.",
    ),
    integer(
        "model.mup_base_heads",
        "muP base heads",
        "",
        (0, 65_536),
        "Attention heads of the smaller model, which decide how attention scores are scaled. 0 means as many as this model has. No effect without “muP base width”.",
    ),
    number(
        "model.dropout",
        "Dropout",
        "",
        (0.0, 0.99),
        "Fraction of activations dropped during training. 0 disables it.",
    ),
    other(
        "optimizer.kind",
        "Optimizer",
        "",
        Values::Choice(&["adamw", "muon"]),
        "AdamW: Adam with decoupled weight decay. Muon: orthogonalized momentum updates for the weight matrices of the blocks, scaled to the size of AdamW's, and AdamW for all other parameters; both use the same learning rate and weight decay.",
    ),
    live(number("optimizer.learning_rate", "Learning rate", "", (0.0, 10.0), "Peak learning rate of the schedule.")),
    live(number(
        "optimizer.beta1",
        "Beta 1",
        "",
        (0.0, 0.999_999),
        "Decay rate of the first moment estimate (β₁). 0.9 averages over about 10 steps.",
    )),
    number(
        "optimizer.beta2",
        "Beta 2",
        "",
        (0.0, 0.999_999),
        "Decay rate of the second moment estimate (β₂). 0.99 averages over about 100 steps.",
    ),
    number(
        "optimizer.eps",
        "Epsilon",
        "",
        (1e-12, 1e-2),
        "Added to the denominator of the Adam update for numerical stability (ε).",
    ),
    live(number(
        "optimizer.weight_decay",
        "Weight decay",
        "",
        (0.0, 10.0),
        "Decoupled weight decay: each step multiplies the weight matrices by 1 − learning rate × weight decay; norms and biases do not decay.",
    )),
    live(number(
        "optimizer.grad_clip",
        "Gradient clipping",
        "",
        (0.0, 1e6),
        "Maximum global norm of the gradient. Larger gradients are scaled down to it. 0 disables clipping.",
    )),
    number(
        "optimizer.z_loss",
        "Z-loss",
        "",
        (0.0, 1.0),
        "Weight of log² Z in the loss, where Z = Σ exp(logits); it keeps the logits from drifting (PaLM). 0 disables it.",
    ),
    other("schedule.shape", "Schedule", "", Values::Shape, "Shape of the learning-rate schedule after warm-up."),
    integer(
        "schedule.warmup_steps",
        "Warm-up",
        "steps",
        INTERVAL,
        "Steps over which the learning rate rises linearly to its peak; by default at most a tenth of the run.",
    ),
    number(
        "schedule.final_fraction",
        "Final learning rate",
        "× peak",
        (0.0, 1.0),
        "Final learning rate as a fraction of the peak.",
    ),
    integer("batch.size", "Batch size", "sequences", (1, 65_536), "Sequences per micro-batch."),
    integer(
        "batch.accumulation",
        "Gradient accumulation",
        "micro-batches",
        (1, 65_536),
        "Micro-batches whose gradients are averaged for one optimizer step. The effective batch size is batch size × gradient accumulation.",
    ),
    integer(
        "batch.replicas",
        "Replicas",
        "",
        (0, 256),
        "The micro-batch is split among this many replicas, one CPU thread each (data parallelism). 0: one per core.",
    ),
    live(integer(
        "intervals.eval_every",
        "Evaluation interval",
        "steps",
        INTERVAL,
        "Steps between evaluations of the validation loss. 0 disables them.",
    )),
    integer(
        "intervals.eval_batches",
        "Evaluation batches",
        "",
        (1, 1_000_000),
        "Number of batches of an evaluation; every evaluation uses the same batches.",
    ),
    live(integer(
        "intervals.sample_every",
        "Sampling interval",
        "steps",
        INTERVAL,
        "Steps between generated samples. 0 disables them.",
    )),
    integer(
        "intervals.sample_tokens",
        "Sample length",
        "tokens",
        (0, MAX_SAMPLE_TOKENS as u64),
        "Number of tokens in a sample.",
    ),
    integer(
        "intervals.stats_every",
        "Statistics interval",
        "steps",
        INTERVAL,
        "Steps between statistics of weights and gradients. 0 disables them.",
    ),
    live(integer(
        "intervals.checkpoint_every",
        "Checkpoint interval",
        "steps",
        INTERVAL,
        "Steps between periodic checkpoints. 0 disables them.",
    )),
    integer(
        "retention.latest",
        "Checkpoints to keep",
        "",
        (1, 1_000_000),
        "Number of periodic checkpoints to keep, the newest ones; older ones are deleted.",
    ),
    integer(
        "retention.every_nth",
        "Keep every n-th checkpoint",
        "",
        (0, 1_000_000),
        "Keeps every n-th periodic checkpoint permanently. 0 disables this.",
    ),
    other(
        "retention.best",
        "Keep the best checkpoint",
        "",
        Values::Switch,
        "Keeps the checkpoint with the lowest validation loss on the current branch of the run.",
    ),
    other(
        "retention.before_changes",
        "Checkpoint before changes",
        "",
        Values::Switch,
        "Saves a checkpoint before each change of a hyperparameter, so that an undo can return to it.",
    ),
    integer(
        "retention.snapshots_mb",
        "Snapshot size limit",
        "MB",
        (0, 1_000_000),
        "Maximum size of all snapshots: inspection results that the X-ray page replays. Snapshots are not checkpoints. 0 keeps none.",
    ),
    other(
        "mixing.rule",
        "Data mixing",
        "",
        Values::Choice(&["static", "odm"]),
        "static keeps the weights of the datasets until a command changes them; odm (online data mixing, Albalak et al. 2023) gives more \
         weight to datasets with a higher validation loss after each evaluation.",
    ),
    number(
        "mixing.floor",
        "Smallest weight",
        "",
        (0.0, 0.5),
        "Smallest weight of a dataset under online data mixing, so that the run trains on all of them.",
    ),
    number(
        "mixing.strength",
        "Mixing strength",
        "1/nat",
        (0.0, 100.0),
        "Under online data mixing, the weights of two datasets whose losses differ by 1 nat/token approach a ratio of exp(strength).",
    ),
    number(
        "mixing.smoothing",
        "Mixing smoothing",
        "",
        (0.0, 0.999),
        "Fraction of the old log-weights that an evaluation keeps under online data mixing; with 0 only the latest losses count.",
    ),
    other(
        "compute.precision",
        "Precision",
        "",
        Values::Choice(&["float32", "bfloat16", "float16"]),
        "Format to which the factors of the products with weights are rounded. Sums, norms, losses, weights and moments stay 32-bit. \
         bfloat16 and float16 are faster on processors and GPUs that have instructions for them; float16 needs a GPU and scales the loss.",
    ),
    other(
        "compute.recompute",
        "Recompute activations",
        "",
        Values::Switch,
        "Backward computes the activations of each block again instead of keeping them (gradient checkpointing): less memory, about a third \
         more computation, the same gradient.",
    ),
    integer(
        "budget.tokens",
        "Token limit",
        "tokens",
        (0, u64::MAX),
        "Training tokens after which the run ends. 0: no limit.",
    ),
    number("budget.secs", "Time limit", "s", (0.0, 1e12), "Training time after which the run ends. 0: no limit."),
    number(
        "budget.loss",
        "Target loss",
        "nats/token",
        (0.0, 1e6),
        "Validation loss at which the run ends. 0: no target.",
    ),
    integer(
        "budget.restarts",
        "Automatic restarts",
        "",
        (0, 1000),
        "Maximum number of automatic restarts after a worker failure.",
    ),
    other(
        "breakpoints",
        "Breakpoints",
        "steps",
        Values::Steps,
        "Step numbers, separated by commas. The run pauses before each of these steps. If you enter the total number of steps, \
         it pauses after the last step, before it ends. Example: 100, 1000.",
    ),
];

/// The row of a path.
pub fn find(path: &str) -> Option<&'static Hyperparameter> {
    TABLE.iter().find(|row| row.path == path)
}

impl Hyperparameter {
    /// The group in the form: the first part of the path.
    pub fn group(&self) -> &'static str {
        self.path.split('.').next().unwrap_or(self.path)
    }

    /// The label inside of a sentence: `learning rate`, `RoPE base`.
    pub fn label_in_text(&self) -> String {
        let first = self.label.split([' ', '-', '/']).next().unwrap_or_default();
        let is_acronym = first.chars().skip(1).any(char::is_uppercase);
        if is_acronym { self.label.to_owned() } else { self.label.to_lowercase() }
    }

    /// Its value in a recipe that is given as JSON.
    pub fn value_in<'a>(&self, recipe: &'a Value) -> Option<&'a Value> {
        recipe.pointer(&pointer(self.path))
    }

    /// Checks a value against the range; shapes and lists of steps are checked when they are used.
    ///
    /// # Errors
    /// A value of another kind or outside the range.
    pub fn check(&self, value: &Value) -> Result<(), PlanError> {
        let is_valid = match self.values {
            Values::Number { min, max } => value.as_f64().is_some_and(|value| (min..=max).contains(&value)),
            Values::Integer { min, max } => integer_of(value).is_some_and(|value| (min..=max).contains(&value)),
            Values::Switch => value.is_boolean(),
            Values::Choice(words) => value.as_str().is_some_and(|word| words.contains(&word)),
            Values::Shape | Values::Steps => true,
        };
        if is_valid {
            return Ok(());
        }
        let label = self.label_in_text();
        let message = match value.as_f64() {
            Some(number) => format!("{label} {number} is out of range"),
            None => format!("{label} cannot be {value}"),
        };
        let verb = match self.values {
            Values::Switch | Values::Choice(_) | Values::Shape => "choose",
            Values::Number { .. } | Values::Integer { .. } | Values::Steps => "enter",
        };
        Err(PlanError::new(self.path, message).hint(format!("{verb} {}", self.values)))
    }
}

/// `6.0` is the integer 6.
fn integer_of(value: &Value) -> Option<u64> {
    let whole = |number: &f64| number.fract() == 0.0 && (0.0..9e15).contains(number);
    value.as_u64().or_else(|| value.as_f64().filter(whole).map(|number| number as u64))
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { min: Self::ABOVE_ZERO, max } => write!(f, "a number above 0, up to {}", bound(*max)),
            Self::Number { min, max } => write!(f, "a number from {} to {}", bound(*min), bound(*max)),
            Self::Integer { min, max } if *max >= Self::UNBOUNDED => {
                write!(f, "a whole number, {} or more", grouped(*min))
            }
            Self::Integer { min, max } => write!(f, "a whole number from {} to {}", grouped(*min), grouped(*max)),
            Self::Switch => f.write_str("true or false"),
            Self::Choice(words) => write!(f, "one of {}", words.join(", ")),
            Self::Shape => f.write_str(
                "cosine, linear, constant, {\"wsd\": {\"decay_steps\": N}} or {\"points\": [[step, learning rate], ...]}",
            ),
            Self::Steps => f.write_str("a list of steps"),
        }
    }
}

/// A bound of a range: with an exponent far from 1, so that its zeros need not be counted.
fn bound(value: f64) -> String {
    if (1e3..1e5).contains(&value) && value.fract() == 0.0 {
        return grouped(value as u64);
    }
    if value == 0.0 || (1e-3..1e5).contains(&value.abs()) { value.to_string() } else { format!("{value:e}") }
}

/// The JSON pointer of a path.
pub(crate) fn pointer(path: &str) -> String {
    format!("/{}", path.replace('.', "/"))
}

/// Checks every value of a recipe against its range.
///
/// # Errors
/// The first value outside its range.
pub fn check(recipe: &Recipe) -> Result<(), PlanError> {
    let recipe = serde_json::to_value(recipe).map_err(|source| PlanError::new("overrides", in_words(source)))?;
    TABLE
        .iter()
        .filter_map(|row| row.value_in(&recipe).map(|value| (row, value)))
        .try_for_each(|(row, value)| row.check(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::run::preset;

    #[test]
    fn a_value_out_of_range_is_named_with_the_range() {
        for (path, value, message, hint) in [
            ("optimizer.learning_rate", json!(-1.0), "learning rate -1 is out of range", "enter a number from 0 to 10"),
            ("optimizer.eps", json!(1), "epsilon 1 is out of range", "enter a number from 1e-12 to 0.01"),
            ("model.rotary_base", json!(0.5), "RoPE base 0.5 is out of range", "enter a number from 1 to 1e12"),
            ("budget.tokens", json!(-3), "token limit -3 is out of range", "enter a whole number, 0 or more"),
            (
                "retention.latest",
                json!(0),
                "checkpoints to keep 0 is out of range",
                "enter a whole number from 1 to 1\u{202f}000\u{202f}000",
            ),
            ("model.qk_norm", json!("yes"), "QK-norm cannot be \"yes\"", "choose true or false"),
        ] {
            let error = find(path).unwrap().check(&value).unwrap_err();
            assert_eq!((error.message.as_str(), error.hint.as_deref()), (message, Some(hint)));
        }
    }

    #[test]
    fn the_table_describes_the_recipe_and_nothing_else() {
        for preset in preset::presets() {
            let recipe = serde_json::to_value(&preset.recipe).unwrap();
            for row in TABLE {
                let value = row.value_in(&recipe).unwrap_or_else(|| panic!("{} is not in the recipe", row.path));
                row.check(value).unwrap();
                assert!(row.meaning.ends_with('.'), "{}", row.path);
            }
            for (group, fields) in recipe.as_object().unwrap() {
                match fields.as_object() {
                    Some(fields) => fields.keys().for_each(|field| {
                        assert!(find(&format!("{group}.{field}")).is_some(), "{group}.{field} has no row");
                    }),
                    None => assert!(find(group).is_some(), "{group} has no row"),
                }
            }
        }
    }
}
