//! Attention collapse: the attention of a head is concentrated on single tokens, far more than at step 100.
//!
//! Formula: entropy of the attention of a head < 0.1 times its first report after step 100 is a note; the same of at least half of all heads
//! is an alert, because single heads become sharp in healthy models too (previous-token and induction heads). Source: Zhai et al. 2023,
//! sigma-Reparam (arXiv 2303.06296). The metric is [`name::ATTENTION_ENTROPY`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::sample::Sample;
use super::table::{Level, Remedy, Rule, UNSTABLE, threshold};
use super::watch::{Detector, Seen, Watch};
use crate::statistics::sample::median;

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
        reason: "When this happens to many heads, their gradients vanish in the softmax, and the loss often diverges soon after.",
        seen: "At step {step} the attention entropy of {head} is {value} times its value at step {first} (threshold {threshold}).",
        seen_if: &[(
            "heads",
            "At step {step} the attention entropy of {heads} of {all} heads is below {threshold} times its value at step {first}; the median ratio of these heads is {median}.",
        )],
        formula: "entropy / entropy of the first report after step 100 < 0.1, per head; alert for half of the heads",
        source: "Zhai et al. 2023, arXiv 2303.06296",
        signals: &[name::ATTENTION_ENTROPY],
        thresholds: &[
            threshold("ratio", 0.1, (0.0, 1.0), "entropy divided by that of the first report after step 100"),
            threshold("share", 0.5, (0.0, 1.0), "fraction of heads, for an alert"),
        ],
        unit: "times",
        min_steps: SETTLED,
        calm_readings: 3,
        level: Level::Alert,
        levels: "A note for single heads; an alert if the fraction of these heads is at least share.",
        onset_steps: 200,
        explained_by: UNSTABLE,
        remedies: &[Remedy::ForkWithQkNorm, Remedy::ScaleLearningRate { factor: 0.5 }],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        if sample.step < SETTLED {
            return;
        }
        let heads = sample.below(name::ATTENTION_ENTROPY).filter(|(_, entropy)| entropy.is_finite());
        let heads: Vec<Head> = heads.map(|(name, entropy)| self.head(name, sample.step, entropy)).collect();
        let threshold = watch.threshold(RATIO);
        let (collapsed, others): (Vec<&Head>, Vec<&Head>) = heads.iter().partition(|head| head.value < threshold);
        let many = watch.threshold(SHARE) * heads.len() as f64;
        let lowest = collapsed.iter().min_by(|one, other| one.value.total_cmp(&other.value));
        others.iter().for_each(|head| watch.calm(head.subject));
        match lowest {
            // One finding for all heads, none for each.
            Some(head) if collapsed.len() as f64 >= many => {
                let mut values: Vec<f64> = collapsed.iter().map(|head| head.value).collect();
                let counts = [("heads", collapsed.len() as f64), ("all", heads.len() as f64)];
                let details = [counts[0], counts[1], ("median", median(&mut values))];
                watch.seen_with(head.seen(Level::Alert, threshold, MANY), &details);
            }
            Some(_) => {
                watch.calm(MANY);
                collapsed.iter().for_each(|head| watch.seen(head.seen(Level::Note, threshold, head.subject)));
            }
            None if heads.is_empty() => {}
            None => watch.calm(MANY),
        }
    }
}

/// A head's entropy, as a ratio to its first report.
struct Head<'a> {
    subject: &'a str,
    first_step: u64,
    value: f64,
}

impl<'a> Head<'a> {
    fn seen(&self, level: Level, threshold: f64, subject: &'a str) -> Seen<'a> {
        Seen { level, first_step: self.first_step, value: self.value, threshold, subject }
    }
}

impl AttentionCollapse {
    fn head<'a>(&mut self, subject: &'a str, step: u64, entropy: f64) -> Head<'a> {
        let (first_step, first) = *self.first.entry(subject.to_owned()).or_insert((step, entropy));
        Head { subject, first_step, value: if first > 0.0 { entropy / first } else { 1.0 } }
    }
}
