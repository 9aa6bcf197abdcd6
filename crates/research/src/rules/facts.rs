//! What a rule must know about a run apart from its series.

use serde::{Deserialize, Serialize};

/// Facts about a run, from its plan, its live hyperparameters and its dataset. Unknown ones are `None`, and rules that need them wait.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Planned steps; 0 if unknown.
    pub steps: u64,
    /// Steps after which a budget has ended the run; `None` if none has.
    pub budget_steps: Option<u64>,
    pub warmup_steps: u64,
    /// Largest gradient norm; `None` without clipping.
    pub grad_clip: Option<f64>,
    /// Vocabulary size of a model that begins with random weights; `None` for a fork or an imported model, whose first loss is lower.
    pub initial_vocab: Option<u64>,
    /// Entropy of the distribution of single tokens in the training text, nats/token.
    pub unigram_nats: Option<f64>,
    /// Known entropy of a generated dataset, nats/token: no model has a lower expected loss.
    pub floor_nats: Option<f64>,
    /// Whether dropout is on, which raises the training loss and not the validation loss.
    pub has_dropout: bool,
}

impl Facts {
    /// Whether a validation loss at a step is that of the last evaluation. It reads other windows than the others, so it is on no line with them.
    pub(super) fn is_last_evaluation(&self, step: u64) -> bool {
        let done = step.saturating_add(1);
        self.budget_steps == Some(done) || (self.steps > 0 && done >= self.steps)
    }
}
