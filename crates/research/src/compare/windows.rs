//! Comparison of two runs by their losses on the same validation windows: is this model better than that one, on other text of this kind?
//!
//! Difference Σ (nats of change - nats of baseline) / Σ size, with a BCa bootstrap interval. Windows of one document are correlated, so
//! whole documents are resampled. The interval contains no variation over seeds: another seed of the same change may be worse.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::number::counted;

use super::bootstrap::bca_ratio;
use super::conditions::Reason;
use super::difference::{Difference, Method, Variation};
use super::verdict::{Comparison, Unit, Verdict};

/// Independent parts from which on a bootstrap interval is near its level.
const ENOUGH: usize = 20;

/// The loss of a run on a validation window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WindowLoss {
    /// Position of the window in the validation text.
    pub window: u64,
    /// Document of the window; a number of its own if windows are independent.
    pub document: u64,
    /// Sum of the losses of its tokens, nats.
    pub nats: f64,
    /// UTF-8 bytes, or predicted tokens, of the window.
    pub size: f64,
}

/// The mean over the runs of a group of the loss of each window, for a comparison of groups by windows. Windows that a run does not have
/// are left out.
pub fn mean_of_runs(runs: &[Vec<WindowLoss>]) -> Vec<WindowLoss> {
    let mut by_window = BTreeMap::<u64, (WindowLoss, usize)>::new();
    for loss in runs.iter().flatten() {
        let entry = by_window.entry(loss.window).or_insert((WindowLoss { nats: 0.0, ..*loss }, 0));
        (entry.0.nats, entry.1) = (entry.0.nats + loss.nats, entry.1 + 1);
    }
    let complete = by_window.into_values().filter(|(_, count)| *count == runs.len());
    complete.map(|(sum, count)| WindowLoss { nats: sum.nats / count as f64, ..sum }).collect()
}

/// Compares two runs on the windows of one validation text. `sizes` is the unit of [`WindowLoss::size`]: bytes give bits per byte, tokens
/// nats per token. `seed` decides the resamples. Windows must be the same in both; their order does not matter.
pub fn compare_windows(
    baseline: &[WindowLoss],
    change: &[WindowLoss],
    sizes: Unit,
    level: f64,
    seed: u64,
) -> Comparison {
    let scale = if sizes == Unit::BitsPerByte { std::f64::consts::LN_2 } else { 1.0 };
    let loss = |losses: &[WindowLoss]| {
        let (nats, size) = losses.iter().fold((0.0, 0.0), |(nats, size), loss| (nats + loss.nats, size + loss.size));
        Some(nats / (size * scale)).filter(|loss: &f64| loss.is_finite())
    };
    let found = difference(baseline, change, scale, level, seed);
    let (difference, verdict) = match found {
        Ok(difference) if difference.is_significant() => (Some(difference), Verdict::Different),
        Ok(difference) => {
            // As for t: what would be found in 80 % of cases is 1.96 + 0.84 standard errors.
            let detectable = Some(2.8 * difference.standard_error);
            (Some(difference), Verdict::NoDetectableDifference { detectable })
        }
        Err(reason) => (None, Verdict::NotComparable { reasons: vec![reason] }),
    };
    Comparison {
        unit: sizes,
        baseline: loss(baseline),
        change: loss(change),
        counts: (baseline.len(), change.len()),
        difference,
        sequential: None,
        permutation_p: None,
        verdict,
    }
}

fn difference(
    baseline: &[WindowLoss],
    change: &[WindowLoss],
    scale: f64,
    level: f64,
    seed: u64,
) -> Result<Difference, Reason> {
    let parts = parts(baseline, change, scale)?;
    if parts.len() < ENOUGH {
        return Err(Reason::TooFewWindows { count: parts.len(), needed: ENOUGH });
    }
    let interval = bca_ratio(&parts, level, seed).ok_or(Reason::NoVariation)?;
    Ok(Difference {
        estimate: interval.estimate,
        standard_error: interval.standard_error,
        low: interval.low,
        high: interval.high,
        level,
        variation: Variation::ValidationWindows,
        method: Method::BcaBootstrap,
        p_value: None,
        freedom: None,
    })
}

/// Difference of the losses and size of each document, in the order of their numbers.
fn parts(baseline: &[WindowLoss], change: &[WindowLoss], scale: f64) -> Result<Vec<(f64, f64)>, Reason> {
    let of_window: BTreeMap<u64, &WindowLoss> = change.iter().map(|loss| (loss.window, loss)).collect();
    let other_text = || Reason::ValidationText {
        baseline: counted(baseline.len() as u64, "window"),
        change: counted(change.len() as u64, "window"),
    };
    let mut documents = BTreeMap::<u64, (f64, f64)>::new();
    let mut count = 0;
    for loss in baseline {
        let other = of_window.get(&loss.window).ok_or_else(other_text)?;
        let is_same = other.document == loss.document && (other.size - loss.size).abs() <= 1e-9 * loss.size.abs();
        if !is_same || !(loss.size > 0.0) {
            return Err(other_text());
        }
        if !(loss.nats.is_finite() && other.nats.is_finite()) {
            return Err(Reason::NotFinite { run: format!("(window {})", loss.window) });
        }
        let part = documents.entry(loss.document).or_default();
        (part.0, part.1) = (part.0 + other.nats - loss.nats, part.1 + loss.size * scale);
        count += 1;
    }
    if count == of_window.len() && count == change.len() {
        Ok(documents.into_values().collect())
    } else {
        Err(other_text())
    }
}
