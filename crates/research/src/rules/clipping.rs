//! Clipping always active: nearly every gradient norm exceeds the clipping threshold.
//!
//! Formula: share of the last 300 steps with norm > grad_clip, above 0.99, after warm-up. Clipping then sets the length of every update, so
//! the learning rate acts as one of normalized gradients. Source: Pascanu, Mikolov, Bengio 2013 (arXiv 1211.5063) choose the norm from the
//! usual norm of the gradient; the share is a heuristic of this lab, whose healthy runs often exceed 0.9.

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::sample::Sample;
use super::table::{Level, Remedy, Rule, UNSTABLE, threshold};
use super::watch::{Detector, Seen, Watch};
use super::window::Share;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Clipping {
    clipped: Share<300>,
}

impl Detector for Clipping {
    const RULE: Rule = Rule {
        id: "clipping_always",
        label: "Clipping at nearly every step",
        meaning: "Nearly every gradient norm exceeds the clipping threshold.",
        reason: "Every gradient is scaled down to the same norm, so clipping no longer singles out unusual batches. This is often harmless with AdamW, which normalizes the gradient anyway.",
        seen: "From step {first} to {step} the fraction of clipped steps was {value} (threshold {threshold}).",
        seen_if: &[],
        formula: "share of 300 steps with norm > grad_clip",
        source: "Pascanu, Mikolov, Bengio 2013, arXiv 1211.5063; the share is a heuristic",
        signals: &[name::GRAD_NORM],
        thresholds: &[threshold("share", 0.99, (0.01, 1.0), "fraction of clipped steps in the last 300")],
        unit: "",
        min_steps: 300,
        calm_readings: 100,
        level: Level::Note,
        levels: "",
        onset_steps: 400,
        explained_by: UNSTABLE,
        remedies: &[Remedy::ScaleGradClip { factor: 2.0 }, Remedy::ScaleLearningRate { factor: 0.5 }],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        let (Some(norm), Some(clip)) = (sample.grad_norm, watch.facts.grad_clip) else { return };
        if sample.step < watch.facts.warmup_steps || !norm.is_finite() {
            return;
        }
        self.clipped.push(sample.step, norm > clip);
        let (Some(value), Some(first_step)) = (self.clipped.of_full(), self.clipped.first_step()) else { return };
        let threshold = watch.threshold(0);
        let seen = Seen { level: Level::Note, first_step, value, threshold, subject: "" };
        watch.read((value > threshold).then_some(seen));
    }
}
