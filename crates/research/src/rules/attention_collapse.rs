//! Attention collapse: the attention of a head is concentrated on single tokens, far more than at step 100.
//!
//! Formula: entropy of the attention of a head < 0.1 times its first report after step 100 is a note; the same of at least half of all heads
//! is an alert, because single heads become sharp in healthy models too (previous-token and induction heads). Source: Zhai et al. 2023,
//! sigma-Reparam (arXiv 2303.06296). The metric is [`metric::ATTENTION_ENTROPY`], which the engine does not report yet.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::metric;
use super::sample::Sample;
use super::table::{Level, Remedy, Rule, threshold};
use super::watch::{Detector, Seen, Watch};

const RATIO: usize = 0;
const SHARE: usize = 1;
/// Step from which on a report is what later ones are compared with.
const SETTLED: u64 = 100;
/// Subject of the finding about many heads.
const MANY: &str = "many heads";

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct AttentionCollapse {
    /// Step and entropy of the first report after [`SETTLED`], by head.
    first: BTreeMap<String, (u64, f64)>,
}

impl Detector for AttentionCollapse {
    const RULE: Rule = Rule {
        id: "attention_collapse",
        label: "Attention collapse",
        meaning: "The attention of a head is concentrated on single tokens, far more than early in training.",
        reason: "When many heads do so, their gradients vanish through the softmax, and the loss often diverges soon after.",
        seen: "At step {step} the attention entropy of {subject} is {value} times what it was at step {first} (threshold {threshold}).",
        formula: "entropy / entropy of the first report after step 100 < 0.1, per head; alert if for half of the heads",
        source: "Zhai et al. 2023, arXiv 2303.06296",
        signals: &[metric::ATTENTION_ENTROPY],
        thresholds: &[
            threshold("ratio", 0.1, (0.0, 1.0), "entropy by that of the first report"),
            threshold("share", 0.5, (0.0, 1.0), "fraction of heads, for an alert"),
        ],
        unit: "times",
        min_steps: SETTLED,
        calm_readings: 3,
        level: Level::Alert,
        remedies: &[Remedy::ForkWithQkNorm, Remedy::ScaleLearningRate { factor: 0.5 }],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        let heads = sample.below(metric::ATTENTION_ENTROPY).filter(|(_, entropy)| entropy.is_finite());
        if sample.step < SETTLED {
            return;
        }
        let threshold = watch.threshold(RATIO);
        let (mut count, mut collapsed, mut lowest) = (0, 0, (f64::INFINITY, sample.step));
        for (subject, entropy) in heads {
            let (first_step, first) = *self.first.entry(subject.to_owned()).or_insert((sample.step, entropy));
            let value = if first > 0.0 { entropy / first } else { 1.0 };
            count += 1;
            if value < threshold {
                collapsed += 1;
                lowest = if value < lowest.0 { (value, first_step) } else { lowest };
                watch.seen(Seen { level: Level::Note, first_step, value, threshold, subject });
            } else {
                watch.calm(subject);
            }
        }
        if count == 0 {
            return;
        }
        if collapsed > 0 && f64::from(collapsed) >= watch.threshold(SHARE) * f64::from(count) {
            let (value, first_step) = lowest;
            watch.seen(Seen { level: Level::Alert, first_step, value, threshold, subject: MANY });
        } else {
            watch.calm(MANY);
        }
    }
}
