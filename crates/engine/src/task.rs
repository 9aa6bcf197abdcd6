//! Evaluation tasks: a model is scored on questions ([`wire::task`]), and the result is a few metrics.
//!
//! - [`file`]: reads a task from untrusted TOML or JSON; [`built_in`]: the tasks that are part of the program;
//! - `sequences`: the log-likelihood of a part of many sequences; `text`: texts as sequences that fit into the context;
//! - `multiple_choice`, `completion`, `perplexity`: one file for each kind of task.
//!
//! The score of a model is a pure function of its weights, its tokenizer and the task: greedy completions, no random numbers.

pub mod built_in;
mod completion;
pub mod file;
mod multiple_choice;
mod perplexity;
mod sequences;
mod text;

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use wire::model::ModelPlan;
use wire::task::result::{TaskMetric, TaskResult};
use wire::task::{Task, TaskItems};

use crate::data::dataset;
use crate::data::tokenizer::TextTokenizer;
use crate::device::EngineDevice;
use crate::device::replicas::Replicas;
use crate::error::EngineError;
use crate::model::params::Weights;
use crate::optim::checkpoint::Checkpoint;

/// A model that can be scored on tasks.
pub struct TaskModel {
    parts: Arc<Parts>,
    /// The sequences of a batch are split over them.
    replicas: Replicas,
}

/// A model with its tokenizer, shared by all replicas.
struct Parts {
    model: ModelPlan,
    weights: Weights,
    tokenizer: TextTokenizer,
    device: Device,
}

/// Counts of a task, and its metrics: what the kinds of tasks return.
struct Score {
    correct: Option<u64>,
    metrics: Vec<(&'static str, f64)>,
}

impl TaskModel {
    /// The model of a checkpoint, on the CPU with all its cores. `corpora` has the tokenizer of the run.
    ///
    /// # Errors
    /// The checkpoint is damaged, or the dataset of which the tokenizer was made is missing.
    pub fn open(checkpoint: &Checkpoint, corpora: &Path) -> Result<Self, EngineError> {
        let plan = &checkpoint.manifest.plan;
        let tokenizer = dataset::open_tokenizer(corpora, &plan.corpora(), plan.tokenizer)?;
        let device = EngineDevice::processor().burn;
        let weights = Weights::new(checkpoint.specs(), checkpoint.weights(&device)?);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new(plan.recipe.model.clone(), weights, tokenizer, device, threads)
    }

    /// A model from its parts; `threads` compute at once.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub fn new(
        model: ModelPlan,
        weights: Weights,
        tokenizer: TextTokenizer,
        device: Device,
        threads: usize,
    ) -> Result<Self, EngineError> {
        let parts = Arc::new(Parts { model, weights, tokenizer, device });
        Ok(Self { parts, replicas: Replicas::new(threads)? })
    }

    /// Scores the model.
    ///
    /// # Errors
    /// An item has no tokens in this model's tokenizer, or does not fit into its context ([`crate::TaskError`]).
    pub fn score(&self, task: &Task) -> Result<TaskResult, EngineError> {
        let score = match &task.items {
            TaskItems::MultipleChoice(items) => multiple_choice::score(self, items)?,
            TaskItems::Completion(items) => completion::score(self, items)?,
            TaskItems::Perplexity(items) => perplexity::score(self, items)?,
        };
        Ok(TaskResult {
            task: task.name.clone(),
            kind: task.items.kind(),
            items: task.items.len() as u64,
            correct: score.correct,
            metrics: score.metrics.into_iter().map(|(name, value)| TaskMetric::new(name, value)).collect(),
        })
    }
}
