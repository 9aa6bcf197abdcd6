//! First loss: a model with random weights predicts all tokens about equally, so its first loss is ln(vocabulary size).
//!
//! Formula: |loss(0) / ln V - 1| > 0.1. Source: CS231n, "Sanity checks"; Karpathy, A Recipe for Training Neural Networks (2019).

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::sample::Sample;
use super::table::{Level, Remedy, Rule, threshold};
use super::watch::{Detector, Seen, Watch};

/// Only step 0 counts, so nothing is remembered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Start;

impl Detector for Start {
    const RULE: Rule = Rule {
        id: "first_loss",
        label: "Unexpected first loss",
        meaning: "The first loss of a model with random weights differs from ln(vocabulary size).",
        reason: "The initialization or the computation of the loss is wrong: the model starts with confident wrong predictions.",
        seen: "The first training loss differs from ln(vocabulary size) by a fraction of {value}; at most {threshold} is expected.",
        seen_if: &[],
        formula: "|loss(0) / ln V - 1|",
        source: "CS231n, sanity checks; Karpathy 2019, A Recipe for Training Neural Networks",
        signals: &[name::TRAIN],
        thresholds: &[threshold("fraction", 0.1, (0.001, 10.0), "relative difference from ln(vocabulary size)")],
        unit: "",
        min_steps: 0,
        calm_readings: 1,
        level: Level::Alert,
        levels: "",
        onset_steps: 0,
        explained_by: &[],
        remedies: &[Remedy::StartAgain, Remedy::CheckDataset],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        let (0, Some(loss), Some(vocab)) = (sample.step, sample.loss, watch.facts.initial_vocab) else { return };
        if vocab < 2 || !loss.is_finite() {
            return;
        }
        let (value, threshold) = ((loss / (vocab as f64).ln() - 1.0).abs(), watch.threshold(0));
        if value > threshold {
            watch.seen(Seen { level: Level::Alert, first_step: 0, value, threshold, subject: "" });
        }
    }
}
