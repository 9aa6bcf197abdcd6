//! The planted faults. Each has a real cause, in the plan, the text, the weights or a live hyperparameter, and rules see its effect on the
//! series only.

use std::ops::Range;

use serde_json::{Value, json};
use wire::LivePath;
use wire::control::command::Command;

use crate::configuration::{Configuration, DEPTH, INDUCTION, NANOGPT, TINY_CODE, TINY_TALES};
use crate::plant::{Edit, Scale};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    /// Cause, as a phrase.
    pub(crate) cause: &'static str,
    /// Rules whose alert names it or its direct consequence.
    pub(crate) rules: &'static [&'static str],
    /// Configurations, by seed in turn.
    configurations: &'static [Configuration],
    /// Whether the rules about it write notes only, by intention. Such a fault is reported and not pooled.
    pub(crate) is_note: bool,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    BadBatch,
    /// The best learning rate of the configuration times this.
    HighLearningRate(f64),
    /// The learning rate of the preset divided by this.
    LowLearningRate(f64),
    DeadNeurons,
    CollapsedAttention,
    /// A dataset whose name has this suffix.
    Text(&'static str),
    Initialization,
    ExplodingGradient,
    SmallBatch,
}

/// Configurations whose models have no QK-norm, which would undo a larger query or key.
const WITHOUT_QK_NORM: &[Configuration] = &[TINY_TALES, TINY_CODE, NANOGPT];
const TINY: &[Configuration] = &[TINY_TALES, TINY_CODE];
const THREE: &[Configuration] = &[TINY_TALES, TINY_CODE, DEPTH];

const fn fault(
    name: &'static str,
    kind: Kind,
    configurations: &'static [Configuration],
    rules: &'static [&'static str],
    cause: &'static str,
) -> Fault {
    Fault { name, cause, rules, configurations, is_note: false, kind }
}

/// Every fault.
pub(crate) const ALL: [Fault; 11] = [
    fault(
        "bad-batch",
        Kind::BadBatch,
        TINY,
        &["loss_spike", "gradient_explosion"],
        "one batch comes from a text with shuffled characters",
    ),
    fault(
        "learning-rate-high",
        Kind::HighLearningRate(10.0),
        &[TINY_TALES, TINY_CODE, DEPTH, NANOGPT],
        &["learning_rate_high", "divergence", "loss_spike", "gradient_explosion", "non_finite", "unigram_baseline"],
        "10 times the learning rate with the lowest final loss",
    ),
    fault(
        "learning-rate-low",
        Kind::LowLearningRate(30.0),
        &[TINY_TALES, TINY_CODE, DEPTH, NANOGPT],
        &["learning_rate_low", "unigram_baseline"],
        "learning rate of the preset divided by 30",
    ),
    fault(
        "dead-neurons",
        Kind::DeadNeurons,
        THREE,
        &["dead_neurons", "dead_parameter"],
        "60 % of the MLP neurons get weights with which they are never active",
    ),
    fault(
        "collapsed-attention",
        Kind::CollapsedAttention,
        WITHOUT_QK_NORM,
        &["attention_collapse"],
        "the query and key matrices of all layers are multiplied by 8, so the attention scores by 64",
    ),
    fault(
        "leaked-validation",
        Kind::Text("-leaked"),
        TINY,
        &["validation_leak", "floor_passed", "duplicate_windows"],
        "the validation text is a passage that fills half of the training text",
    ),
    fault(
        "repeated-text",
        Kind::Text("-repeated"),
        TINY,
        &["duplicate_windows"],
        "the dataset has its documents 100 times",
    ),
    fault(
        "initialization-scale",
        Kind::Initialization,
        &[TINY_TALES, TINY_CODE, DEPTH, INDUCTION],
        &["first_loss", "loss_spike", "divergence", "unigram_baseline"],
        "all matrices are initialized 10 times too large, or the token embedding with standard deviation 1 in place of 0.02",
    ),
    fault(
        "exploding-gradient",
        Kind::ExplodingGradient,
        THREE,
        &["gradient_explosion", "divergence", "loss_spike", "learning_rate_high", "non_finite"],
        "without clipping, the learning rate grows by 30 % each 10 steps, or the output matrices of all blocks are multiplied by 5",
    ),
    fault(
        "small-batch",
        Kind::SmallBatch,
        &[TINY_TALES, TINY_CODE, INDUCTION],
        &["noisy_loss", "unigram_baseline"],
        "one sequence per batch",
    ),
    Fault {
        is_note: true,
        ..fault(
            "many-epochs",
            Kind::Text("-few"),
            TINY,
            &["epochs", "overfitting"],
            "a dataset of 12,000 characters is read about 40 times",
        )
    },
];

/// The fault of this name.
pub(crate) fn find(name: &str) -> Option<&'static Fault> {
    ALL.iter().find(|fault| fault.name == name)
}

impl Fault {
    /// The configuration of the run with this number among the runs of the fault.
    pub(crate) fn configuration(&self, number: usize) -> Configuration {
        self.configurations[number % self.configurations.len()]
    }

    /// The dataset in place of that of the configuration.
    pub(crate) fn corpus(&self, configuration: &Configuration) -> String {
        let suffix = if let Kind::Text(suffix) = self.kind { suffix } else { "" };
        format!("{}{suffix}", configuration.corpus)
    }

    /// Changes of the hyperparameters of a configuration, whose learning rate is given.
    pub(crate) fn overrides(&self, configuration: &Configuration, learning_rate: f64) -> Vec<(&'static str, Value)> {
        let peak = |value: f64| vec![("optimizer.learning_rate", json!(value))];
        match self.kind {
            Kind::HighLearningRate(factor) => peak(configuration.best_learning_rate.unwrap_or(learning_rate) * factor),
            Kind::LowLearningRate(divisor) => peak(learning_rate / divisor),
            Kind::ExplodingGradient => vec![("optimizer.grad_clip", json!(0.0))],
            Kind::SmallBatch => vec![("batch.size", json!(1))],
            // With biases, a neuron dies by its bias alone, as in training.
            Kind::DeadNeurons => vec![("model.bias", json!(true))],
            _ => vec![],
        }
    }

    /// Step from which on it is there; from the start, if its cause is in the plan or in the text.
    pub(crate) fn step(&self, number: usize, steps: u64) -> u64 {
        match self.kind {
            Kind::BadBatch | Kind::ExplodingGradient => steps * 2 / 5 + 37 * number as u64,
            Kind::DeadNeurons | Kind::CollapsedAttention => steps / 3 + 7 * number as u64,
            _ => 0,
        }
    }

    /// Changes of weights and data, each before a step.
    pub(crate) fn edits(&self, number: usize, steps: u64) -> Vec<(u64, Edit)> {
        let at = self.step(number, steps);
        let scale = |ends: &'static [&'static str], factor| (at, Edit::Scale(Scale { ends, factor }));
        match self.kind {
            Kind::BadBatch => vec![(at, Edit::ReadOther("-shuffled")), (at + 1, Edit::ReadOther(""))],
            Kind::DeadNeurons => vec![(at, Edit::KillNeurons(0.6))],
            Kind::CollapsedAttention => vec![scale(&["attention.query", "attention.key"], 8.0)],
            Kind::Initialization if number.is_multiple_of(2) => vec![scale(Scale::MATRICES, 10.0)],
            Kind::Initialization => vec![scale(&["embedding.token"], 50.0)],
            Kind::ExplodingGradient if number.is_multiple_of(2) => vec![scale(&["attention.out", "mlp.down"], 5.0)],
            _ => vec![],
        }
    }

    /// Commands, each sent before a step; `learning_rate` is the peak of the plan.
    pub(crate) fn commands(&self, number: usize, steps: u64, learning_rate: f64) -> Vec<(u64, Command)> {
        if self.kind != Kind::ExplodingGradient || number.is_multiple_of(2) {
            return vec![];
        }
        let (first, mut value) = (self.step(number, steps), learning_rate);
        let set = |(count, step)| {
            value *= if count == 0 { 1.0 } else { 1.3 };
            (step, Command::Set { path: LivePath::LEARNING_RATE, value: value.min(10.0), reason: None })
        };
        (first..steps).step_by(10).enumerate().map(set).collect()
    }
}

/// The runs of every fault, one for each of the first five seeds: its number among them, and its seed.
pub(crate) fn runs(seeds: Range<u64>) -> impl Iterator<Item = (&'static Fault, usize, u64)> {
    let numbered = move || seeds.clone().take(RUNS).enumerate();
    ALL.iter().flat_map(move |fault| numbered().map(move |(number, seed)| (fault, number, seed)))
}

/// Runs of each fault.
const RUNS: usize = 5;
