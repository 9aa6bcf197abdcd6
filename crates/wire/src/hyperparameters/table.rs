//! The table of hyperparameters. A new one is a field of the recipe, a row here, and the code that uses it.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::recipe::Recipe;
use crate::error::{PlanError, in_words};

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
    integer("model.layers", "Layers", "blocks", (1, 256), "Transformer blocks, each an attention and an MLP."),
    integer("model.d_model", "Model width", "channels", (1, 65_536), "Width of the residual stream (d_model)."),
    integer(
        "model.heads",
        "Attention heads",
        "heads",
        HEADS,
        "Query heads per attention; each is d_model / heads wide.",
    ),
    integer(
        "model.kv_heads",
        "Key/value heads",
        "heads",
        HEADS,
        "Key and value heads; as many as attention heads for multi-head attention, fewer for grouped-query attention.",
    ),
    integer("model.d_ff", "MLP width", "neurons", (1, 262_144), "Hidden neurons per MLP (d_ff)."),
    integer(
        "model.seq",
        "Context length",
        "tokens",
        (1, 131_072),
        "Tokens that the model attends to, and the length of a training sequence.",
    ),
    integer(
        "model.vocab",
        "Vocabulary size",
        "tokens",
        (1, 1_000_000),
        "Tokens of the vocabulary; set by the tokenizer.",
    ),
    other(
        "model.positions",
        "Positions",
        "",
        Values::Choice(&["learned", "rotary"]),
        "Learned: one vector per position, added to the embedding. Rotary: queries and keys are rotated by their position (RoPE).",
    ),
    other(
        "model.norm",
        "Normalization",
        "",
        Values::Choice(&["layer", "rms"]),
        "Layer norm uses mean and variance; RMS norm uses the root mean square only.",
    ),
    other(
        "model.mlp",
        "MLP type",
        "",
        Values::Choice(&["gelu", "swiglu"]),
        "GELU: two matrices with a GELU between. SwiGLU: three matrices, one of them a gate.",
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
        "Logits become cap · tanh(logits / cap); 0 turns it off.",
    ),
    number(
        "model.rotary_base",
        "RoPE base",
        "",
        (1.0, 1e12),
        "Base of rotary positions; a larger base rotates more slowly, for longer contexts.",
    ),
    number(
        "model.norm_eps",
        "Norm epsilon",
        "",
        (0.0, 1.0),
        "Added to the variance or mean square before the square root; 0 uses 1e-5 for layer norm and 1e-6 for RMS norm.",
    ),
    number(
        "model.dropout",
        "Dropout",
        "fraction",
        (0.0, 0.99),
        "Fraction of activations dropped during training; 0 turns it off.",
    ),
    other(
        "optimizer.kind",
        "Optimizer",
        "",
        Values::Choice(&["adamw", "muon"]),
        "AdamW for all parameters, or Muon for the matrices of the blocks and AdamW for the rest.",
    ),
    live(number(
        "optimizer.learning_rate",
        "Learning rate",
        "",
        (0.0, 10.0),
        "Peak learning rate; the schedule scales it. A change during a run sets the learning rate of the next step and scales the rest of the schedule.",
    )),
    live(number(
        "optimizer.beta1",
        "Beta 1",
        "",
        (0.0, 0.999_999),
        "AdamW's decay of the first moment; 0.9 averages over about 10 steps.",
    )),
    number(
        "optimizer.beta2",
        "Beta 2",
        "",
        (0.0, 0.999_999),
        "AdamW's decay of the second moment; 0.99 averages over about 100 steps.",
    ),
    number("optimizer.eps", "Epsilon", "", (1e-12, 1e-2), "Added to the root of the second moment; 1e-8 is usual."),
    live(number(
        "optimizer.weight_decay",
        "Weight decay",
        "",
        (0.0, 10.0),
        "Matrices are multiplied by 1 - learning rate × weight decay at each step; norms and biases are not.",
    )),
    live(number(
        "optimizer.grad_clip",
        "Gradient clipping",
        "norm",
        (0.0, 1e6),
        "Gradients with a larger global norm are scaled down to it; 0 turns clipping off.",
    )),
    number(
        "optimizer.z_loss",
        "Z-loss",
        "",
        (0.0, 1.0),
        "Weight of the squared log-partition of the softmax in the loss; 0 turns it off.",
    ),
    other("schedule.shape", "Schedule", "", Values::Shape, "Shape of the learning-rate schedule after warm-up."),
    integer(
        "schedule.warmup_steps",
        "Warm-up",
        "steps",
        INTERVAL,
        "Steps of linear warm-up; by default at most a tenth of the run.",
    ),
    number(
        "schedule.final_fraction",
        "Final fraction",
        "of the peak",
        (0.0, 1.0),
        "Final learning rate as a fraction of the peak.",
    ),
    integer("batch.size", "Batch size", "sequences", (1, 65_536), "Sequences per micro-batch."),
    integer(
        "batch.accumulation",
        "Gradient accumulation",
        "micro-batches",
        (1, 65_536),
        "Micro-batches whose gradients are summed before an optimizer step; the effective batch is batch size × this.",
    ),
    integer(
        "batch.replicas",
        "Replicas",
        "",
        (0, 256),
        "Parts that a micro-batch is split into on a CPU, one per core, as in data-parallel training; 0 uses one replica per core.",
    ),
    live(integer(
        "intervals.eval_every",
        "Evaluate every",
        "steps",
        INTERVAL,
        "Steps between evaluations of the validation loss; 0 turns them off.",
    )),
    integer(
        "intervals.eval_batches",
        "Evaluation batches",
        "batches",
        (1, 1_000_000),
        "Batches of one evaluation, the same ones each time.",
    ),
    live(integer(
        "intervals.sample_every",
        "Sample every",
        "steps",
        INTERVAL,
        "Steps between generated samples; 0 turns them off.",
    )),
    integer("intervals.sample_tokens", "Sample length", "tokens", (0, 100_000), "Tokens of a sample."),
    integer(
        "intervals.stats_every",
        "Statistics every",
        "steps",
        INTERVAL,
        "Steps between statistics of weights and gradients; 0 turns them off.",
    ),
    live(integer(
        "intervals.checkpoint_every",
        "Checkpoint every",
        "steps",
        INTERVAL,
        "Steps between checkpoints; 0 turns them off.",
    )),
    integer(
        "retention.latest",
        "Newest checkpoints kept",
        "checkpoints",
        (0, 1_000_000),
        "Newest periodic checkpoints that are kept; at least 1.",
    ),
    integer(
        "retention.every_nth",
        "Keep every nth",
        "checkpoints",
        (0, 1_000_000),
        "Every nth periodic checkpoint is kept; 0 keeps none for this reason.",
    ),
    other(
        "retention.best",
        "Keep the best",
        "",
        Values::Switch,
        "Keeps the checkpoint with the lowest validation loss.",
    ),
    other(
        "retention.before_changes",
        "Checkpoint before changes",
        "",
        Values::Switch,
        "Saves a checkpoint before a change of a hyperparameter, so that an undo can return to it.",
    ),
    integer(
        "retention.snapshots_mb",
        "Snapshots",
        "MB",
        (0, 1_000_000),
        "Maximum size of the snapshots that the X-ray page replays; 0 keeps none.",
    ),
    integer(
        "budget.tokens",
        "Token budget",
        "tokens",
        (0, u64::MAX),
        "Tokens trained on at which the run ends; 0 for no limit.",
    ),
    number("budget.secs", "Time budget", "s", (0.0, 1e12), "Training time at which the run ends; 0 for no limit."),
    number(
        "budget.loss",
        "Target loss",
        "nats/token",
        (0.0, 1e6),
        "Validation loss at which the run ends; 0 for no limit.",
    ),
    integer(
        "budget.restarts",
        "Restarts",
        "",
        (0, 1000),
        "Maximum number of automatic restarts after the worker died.",
    ),
    other(
        "breakpoints",
        "Breakpoints",
        "steps",
        Values::Steps,
        "The run pauses before each of these steps: 0, 100, 1000.",
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
        Err(PlanError::new(self.path, format!("{} cannot be {value}", self.label.to_lowercase()))
            .hint(format!("give {}", self.values)))
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
            Self::Number { min: Self::ABOVE_ZERO, max } => write!(f, "a number above 0, up to {max}"),
            Self::Number { min, max } => write!(f, "a number from {min} to {max}"),
            Self::Integer { min, max: u64::MAX } => write!(f, "a whole number from {min}"),
            Self::Integer { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Switch => f.write_str("true or false"),
            Self::Choice(words) => write!(f, "one of {}", words.join(", ")),
            Self::Shape => f.write_str(
                "cosine, linear, constant, {\"wsd\": {\"decay_steps\": N}} or {\"points\": [[step, rate], ...]}",
            ),
            Self::Steps => f.write_str("a list of steps"),
        }
    }
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
    use super::*;
    use crate::run::preset;

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
