//! Parameter without gradient: the gradient of one matrix is 0, or negligible beside that of the others.
//!
//! Formula: RMS of the gradient of a matrix < 1e-6 times the median over matrices, in 3 consecutive reports. Gains and biases are left out.
//! Source: Glorot, Bengio 2010 (gradients per layer at initialization); the threshold is a heuristic.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::sample::Sample;
use super::table::{Level, Remedy, Rule, UNSTABLE, threshold};
use super::watch::{Detector, Seen, Watch};
use crate::statistics::sample::median;

/// Matrices that a median needs.
const ENOUGH: usize = 4;
const IN_SEQUENCE: u32 = 3;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct DeadParameter {
    /// Consecutive reports, and the step of the first, of matrices whose gradient is small.
    small: BTreeMap<String, (u32, u64)>,
}

impl Detector for DeadParameter {
    const RULE: Rule = Rule {
        id: "dead_parameter",
        label: "Parameter without gradient",
        meaning: "The gradient of a matrix is 0, or negligible compared with those of the other matrices.",
        reason: "The matrix does not learn: everything behind it is cut off, saturated, or dead.",
        seen: "The gradient RMS of {subject} is {value} times the median over the matrices at step {step}, and has been below the threshold of {threshold} since step {first}.",
        seen_if: &[],
        formula: "RMS(gradient of a matrix) / median over matrices < 1e-6",
        source: "Glorot, Bengio 2010; the threshold is a heuristic",
        signals: &[name::GRADIENT_RMS],
        thresholds: &[threshold("ratio", 1e-6, (0.0, 1.0), "RMS of the gradient divided by the median over matrices")],
        unit: "",
        min_steps: 0,
        calm_readings: 3,
        level: Level::Alert,
        levels: "",
        onset_steps: 100,
        explained_by: UNSTABLE,
        remedies: &[Remedy::StartAgain, Remedy::ScaleLearningRate { factor: 0.5 }],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        let finite = sample.matrices(name::GRADIENT_RMS).filter(|(_, rms)| rms.is_finite());
        let mut all: Vec<f64> = finite.clone().map(|(_, rms)| rms).collect();
        if all.len() < ENOUGH {
            return;
        }
        let usual = median(&mut all);
        if usual <= 0.0 {
            return;
        }
        let threshold = watch.threshold(0);
        for (subject, rms) in finite {
            if rms >= threshold * usual {
                self.small.remove(subject);
                watch.calm(subject);
                continue;
            }
            let (count, first_step) = self.small.entry(subject.to_owned()).or_insert((0, sample.step));
            *count = count.saturating_add(1);
            if *count >= IN_SEQUENCE {
                let (first_step, value) = (*first_step, rms / usual);
                watch.seen(Seen { level: Level::Alert, first_step, value, threshold, subject });
            }
        }
    }
}
