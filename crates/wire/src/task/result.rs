//! The results of tasks.

use serde::{Deserialize, Serialize};

use super::{TaskKind, TaskName};
use crate::CheckpointId;
use crate::number::brief;
use crate::series::{Row, name as series};

/// The result of a task on one checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskResult {
    pub task: TaskName,
    pub kind: TaskKind,
    /// Number of items.
    pub items: u64,
    /// Items that were answered correctly; `None` for a perplexity.
    pub correct: Option<u64>,
    pub metrics: Vec<TaskMetric>,
}

/// One value of a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskMetric {
    /// Name, one of [`describe`].
    pub name: String,
    /// The value; `None` if it is not a finite number.
    pub value: Option<f64>,
}

impl TaskMetric {
    /// A metric by its name.
    pub fn new(name: &str, value: f64) -> Self {
        Self { name: name.to_owned(), value: Some(value).filter(|value| value.is_finite()) }
    }
}

impl TaskResult {
    /// The value of a metric; `None` if the task does not have it, or if it is not finite.
    pub fn value(&self, metric: &str) -> Option<f64> {
        self.metrics.iter().find(|found| found.name == metric)?.value
    }

    /// The finite values as a row of series, `eval/TASK/METRIC`, at the step whose update gave the weights of the checkpoint, as the
    /// validation loss has it.
    pub fn row(&self, checkpoint: CheckpointId) -> Row {
        let named =
            |metric: &TaskMetric| Some((format!("{}{}/{}", series::EVAL, self.task, metric.name), metric.value?));
        Row {
            segment: checkpoint.segment,
            step: checkpoint.step.saturating_sub(1),
            values: self.metrics.iter().filter_map(named).collect(),
        }
    }

    /// The main value in a phrase, such as `accuracy 0.83`.
    pub fn phrase(&self) -> String {
        match self.metrics.first() {
            Some(TaskMetric { name, value: Some(value) }) => format!("{} {}", name.replace('_', " "), brief(*value)),
            Some(TaskMetric { name, value: None }) => format!("{} not finite", name.replace('_', " ")),
            None => "no values".to_owned(),
        }
    }
}

/// Names of metrics.
pub mod name {
    pub const ACCURACY: &str = "accuracy";
    pub const ACCURACY_PER_TOKEN: &str = "accuracy_per_token";
    pub const ACCURACY_PER_BYTE: &str = "accuracy_per_byte";
    pub const EXACT_MATCH: &str = "exact_match";
    pub const ANSWER_NATS_PER_TOKEN: &str = "answer_nats_per_token";
    pub const ANSWER_BITS_PER_BYTE: &str = "answer_bits_per_byte";
    pub const NATS_PER_TOKEN: &str = "nats_per_token";
    pub const PERPLEXITY: &str = "perplexity";
    pub const BITS_PER_BYTE: &str = "bits_per_byte";
}

/// The label of a metric beside its value: `accuracy by likelihood per token`. The unit is written after the value.
pub fn label(metric: &str) -> String {
    match metric {
        name::ACCURACY_PER_TOKEN => "accuracy by likelihood per token".to_owned(),
        name::ACCURACY_PER_BYTE => "accuracy by likelihood per byte".to_owned(),
        name::ANSWER_NATS_PER_TOKEN | name::ANSWER_BITS_PER_BYTE => "loss of the right answers".to_owned(),
        name::NATS_PER_TOKEN | name::BITS_PER_BYTE => "loss".to_owned(),
        other => other.replace('_', " "),
    }
}

/// Unit and meaning of a metric of a task; `None` for an unknown name.
pub fn describe(metric: &str) -> Option<(&'static str, &'static str)> {
    Some(match metric {
        name::ACCURACY => (
            "fraction",
            "Items whose right choice has the highest log-likelihood, log p(choice | prompt), of all choices.",
        ),
        name::ACCURACY_PER_TOKEN => (
            "fraction",
            "Items whose right choice has the highest log-likelihood per token of all choices, so that long choices are not at a disadvantage.",
        ),
        name::ACCURACY_PER_BYTE => (
            "fraction",
            "Items whose right choice has the highest log-likelihood per byte of all choices; comparable between tokenizers.",
        ),
        name::EXACT_MATCH => ("fraction", "Items whose most likely completion, token by token, is the answer."),
        name::ANSWER_NATS_PER_TOKEN => {
            ("nats/token", "Mean −ln p(token) of the tokens of the right answers after their prompts.")
        }
        name::ANSWER_BITS_PER_BYTE => {
            ("bits/byte", "−log2 p(right answer | prompt), summed over all items, divided by the bytes of the answers.")
        }
        name::NATS_PER_TOKEN => ("nats/token", "Mean −ln p(token) of the tokens of the texts."),
        name::PERPLEXITY => ("", "exp(nats per token): the number of equally likely tokens with the same uncertainty."),
        name::BITS_PER_BYTE => ("bits/byte", "−log2 p(text), divided by its bytes; comparable between tokenizers."),
        _ => return None,
    })
}
