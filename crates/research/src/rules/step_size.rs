//! How large the updates of a run are, for the rules on the learning rate: update-to-weight ratios, clipping, the slope of the loss, and
//! the learning rate as a fraction of its largest.

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::facts::Facts;
use super::sample::Sample;
use super::window::{Share, Window};
use crate::statistics::line::Line;
use crate::statistics::sample::median;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct StepSize {
    /// Medians over matrices, of the newest reports.
    ratios: Window<5>,
    losses: Window<100>,
    clipped: Share<100>,
    largest_rate: f64,
    newest_rate: f64,
}

/// The state at a report of update-to-weight ratios, after warm-up and with full windows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct StepSizeReading {
    /// Median of 5 reports of the median over matrices.
    pub(super) ratio: f64,
    /// Fraction of 100 steps that were clipped; `None` without clipping.
    pub(super) clipped: Option<f64>,
    /// The 95 % interval of the slope of ln(loss) over 100 steps.
    pub(super) slope: Option<(f64, f64)>,
    /// Learning rate divided by the largest so far.
    pub(super) rate_fraction: f64,
    /// First step of the windows.
    pub(super) first_step: u64,
}

impl StepSize {
    pub(super) fn feed(&mut self, sample: &Sample, facts: &Facts) -> Option<StepSizeReading> {
        let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
        if let Some(rate) = finite(sample.learning_rate) {
            (self.newest_rate, self.largest_rate) = (rate, self.largest_rate.max(rate));
        }
        if sample.step < facts.warmup_steps {
            return None;
        }
        if let Some(loss) = finite(sample.loss).filter(|loss| *loss > 0.0) {
            self.losses.push(sample.step, loss.ln());
        }
        if let (Some(norm), Some(clip)) = (finite(sample.grad_norm), facts.grad_clip) {
            self.clipped.push(sample.step, norm > clip);
        }
        let mut ratios: Vec<f64> =
            sample.matrices(name::UPDATE_RATIO).map(|(_, ratio)| ratio).filter(|ratio| ratio.is_finite()).collect();
        if ratios.is_empty() {
            return None;
        }
        self.ratios.push(sample.step, median(&mut ratios));
        self.reading()
    }

    fn reading(&self) -> Option<StepSizeReading> {
        if !(self.ratios.is_full() && self.losses.is_full()) {
            return None;
        }
        let first = self.losses.first_step()?;
        let line = Line::fit(self.losses.points().map(|(step, loss)| (step - first as f64, loss)));
        Some(StepSizeReading {
            ratio: median(&mut self.ratios.values().collect::<Vec<_>>()),
            clipped: self.clipped.of_full(),
            slope: line.map(|line| line.slope_interval(0.95)),
            rate_fraction: if self.largest_rate > 0.0 { self.newest_rate / self.largest_rate } else { 1.0 },
            first_step: first,
        })
    }
}
