//! Large attention scores: scores before the softmax that are so large that the softmax is one-hot.
//!
//! Formula: max |q·k| / sqrt(d_head) of a layer > 100. Source: Dehghani et al. 2023, ViT-22B (arXiv 2302.05442), where logits grew without
//! normalized queries and keys; the threshold is that of QK-Clip in Kimi K2 (arXiv 2507.20534). The metric is [`name::ATTENTION_LOGIT`].

use serde::{Deserialize, Serialize};
use wire::series::{LARGEST_ATTENTION_SCORE, name};

use super::sample::Sample;
use super::table::{Level, Remedy, Rule, UNSTABLE, threshold};
use super::watch::{Detector, Seen, Watch};

/// Each report shows it alone, so nothing is remembered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct AttentionLogits;

impl Detector for AttentionLogits {
    const RULE: Rule = Rule {
        id: "attention_logits",
        label: "Large attention scores",
        meaning: "Attention scores of a block are so large that the softmax saturates: a query attends to one token only.",
        reason: "A saturated softmax passes almost no gradient, and half precision rounds away the differences between such large scores.",
        seen: "At step {step} the largest attention score of block {subject} is {value} (threshold {threshold}).",
        seen_if: &[],
        formula: "max |q·k| / sqrt(d_head) > 100",
        source: "ViT-22B, arXiv 2302.05442; Kimi K2, arXiv 2507.20534",
        signals: &[name::ATTENTION_LOGIT],
        thresholds: &[threshold(
            "largest",
            LARGEST_ATTENTION_SCORE,
            (1.0, 1e9),
            "largest attention score before the softmax",
        )],
        unit: "",
        min_steps: 0,
        calm_readings: 3,
        level: Level::Note,
        levels: "",
        onset_steps: 200,
        explained_by: UNSTABLE,
        remedies: &[Remedy::ForkWithQkNorm, Remedy::ScaleLearningRate { factor: 0.5 }],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        let threshold = watch.threshold(0);
        for (subject, value) in sample.below(name::ATTENTION_LOGIT).filter(|(_, value)| value.is_finite()) {
            if value > threshold {
                watch.seen(Seen { level: Level::Note, first_step: sample.step, value, threshold, subject });
            } else {
                watch.calm(subject);
            }
        }
    }
}
