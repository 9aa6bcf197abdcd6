//! Loss spike: the training loss of a step is far above the trend of the 100 steps before it.
//!
//! Formula: z = 0.6745 (r - median r) / MAD(r), with r the residual of ln(loss) from a line fitted over the 100 steps before. A note above
//! 6; an alert above 8, or if the gradient norm of the step is above 6 by the same formula. The scale is at least 0.5 % of the loss, and the
//! rise must be at least 2 % of it. Sources: Iglewicz, Hoaglin 1993 (modified z-score); OLMo-core skips steps 6 sigma above the mean of 128;
//! PaLM (arXiv 2204.02311, section 5.1) for the remedy.

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::sample::Sample;
use super::table::{Level, Remedy, Rule, threshold};
use super::watch::{Detector, Seen, Watch};
use super::window::{Residual, Trend};

const NOTE_Z: usize = 0;
const ALERT_Z: usize = 1;
const RISE: usize = 2;
/// Smallest scale of ln(loss).
const LOSS_SCALE: f64 = 0.005;
/// Smallest scale of ln(gradient norm).
const NORM_SCALE: f64 = 0.02;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Spike {
    losses: Trend<100>,
    norms: Trend<100>,
}

impl Detector for Spike {
    const RULE: Rule = Rule {
        id: "loss_spike",
        label: "Loss spike",
        meaning: "The training loss of one step is far above the trend of the steps before it.",
        reason: "One unusual batch, or an update that was too large, can undo many steps; large models do not always recover.",
        seen: "The training loss of step {step} is {value} robust standard deviations above the trend since step {first} (threshold {threshold}).",
        seen_if: &[],
        formula: "z = 0.6745 (r - median r) / MAD(r), r = residual of ln(loss) from a line over 100 steps",
        source: "Iglewicz, Hoaglin 1993; OLMo-core; PaLM, arXiv 2204.02311, section 5.1",
        signals: &[name::TRAIN, name::GRAD_NORM],
        thresholds: &[
            threshold("note_z", 6.0, (2.0, 1000.0), "robust standard deviations, for a note"),
            threshold("alert_z", 8.0, (2.0, 1000.0), "robust standard deviations, for an alert"),
            threshold("rise", 0.02, (0.0, 10.0), "smallest rise of ln(loss) above the trend"),
        ],
        unit: "standard deviations",
        min_steps: 200,
        calm_readings: 20,
        level: Level::Alert,
        levels: "A note above note_z; an alert above alert_z, or if the gradient norm of the step is also above note_z.",
        onset_steps: 100,
        explained_by: &["non_finite", "divergence"],
        remedies: &[
            Remedy::InspectBatch,
            Remedy::RollBackAndSkip { skip: 200 },
            Remedy::ScaleLearningRate { factor: 0.5 },
            Remedy::ScaleGradClip { factor: 0.3 },
        ],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        let positive = |value: Option<f64>| value.filter(|value| value.is_finite() && *value > 0.0);
        let norm = positive(sample.grad_norm).map(f64::ln);
        let loss = positive(sample.loss).and_then(|loss| self.losses.feed(sample.step, loss.ln(), LOSS_SCALE));
        // The trend of the norms is computed only at a spike; it costs as much as that of the losses.
        if let Some(residual) = loss {
            self.read(&residual, norm, sample.step, watch);
        }
        if let Some(norm) = norm {
            self.norms.push(sample.step, norm);
        }
    }
}

impl Spike {
    fn read(&self, residual: &Residual, norm: Option<f64>, step: u64, watch: &mut Watch) {
        let [note, alert, rise] = [NOTE_Z, ALERT_Z, RISE].map(|index| watch.threshold(index));
        let z = if residual.rise >= rise { residual.z } else { 0.0 };
        if z <= note.min(alert) {
            return watch.calm("");
        }
        let norm = norm.and_then(|norm| self.norms.residual(step, norm, NORM_SCALE));
        let is_confirmed = norm.is_some_and(|norm| norm.z > note);
        let (level, threshold) = if z > alert { (Level::Alert, alert) } else { (Level::Note, note) };
        let level = if is_confirmed { Level::Alert } else { level };
        watch.seen(Seen { level, first_step: residual.first_step, value: z, threshold, subject: "" });
    }
}
