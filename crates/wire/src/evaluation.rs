//! The losses of an evaluation by validation window, which a fair comparison of runs needs.

use serde::{Deserialize, Serialize};

/// The losses of one evaluation. Each dataset has one fixed order of its validation windows, spread evenly over the validation split from the
/// first on, and every evaluation reads windows from the beginning of that order. So two evaluations share all windows of the smaller one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowLosses {
    /// Tokens of a window.
    pub seq: u32,
    /// Whether it is the last evaluation of the run, which reads more windows.
    pub is_last: bool,
    /// One entry for each dataset of the plan, in its order.
    pub datasets: Vec<DatasetLosses>,
}

/// The losses on the validation split of one dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetLosses {
    /// Whole windows of the split.
    pub split: u64,
    /// Mean loss over the tokens of each window that was read, in the fixed order, nats per token.
    pub nats: Vec<f32>,
    /// Mean loss over all tokens of the split, nats per token, if the evaluation read all of them.
    pub whole: Option<f64>,
}

impl WindowLosses {
    /// Number of windows that were read.
    pub fn count(&self) -> usize {
        self.datasets.iter().map(|dataset| dataset.nats.len()).sum()
    }
}

/// The window losses of an evaluation of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredLosses {
    /// Segment of the run's history.
    pub segment: u32,
    /// Steps done before the evaluation.
    pub step: u64,
    pub losses: WindowLosses,
}

/// Number of windows of the last evaluation: the whole validation splits of small datasets, a part of large ones. It reads more where the other
/// evaluations do. Also about the most window losses that an evaluation reports.
const LAST_WINDOWS: usize = 4096;

/// The most windows of each dataset that the last evaluation reads and an evaluation reports, for the windows of each validation split; so that
/// the event of a mix of many large datasets does not grow with their number.
pub fn most_windows(splits: &[usize]) -> usize {
    let total = splits.iter().copied().fold(0, usize::saturating_add);
    if total <= LAST_WINDOWS { LAST_WINDOWS } else { LAST_WINDOWS.div_ceil(splits.len()) }
}

/// Place in the validation split of element `k` of the fixed order of its `split` windows: multiples of a stride near the golden ratio, so that
/// every beginning of the order is spread evenly.
pub fn place_of(k: u64, split: u64) -> u64 {
    let split = split.max(1);
    let mut stride = ((split as f64 * 0.618_033_988_749_895) as u64).max(1);
    while gcd(stride, split) != 1 {
        stride += 1;
    }
    (u128::from(k % split) * u128::from(stride) % u128::from(split)) as u64
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_window_losses_of_a_mix_are_bounded_together() {
        for (splits, expected) in [
            (vec![100], 4096),
            (vec![1_000_000], 4096),
            (vec![4000, 96], 4096),
            (vec![1_000_000, 96], 2048),
            (vec![5000; 10], 410),
        ] {
            assert_eq!(most_windows(&splits), expected, "{splits:?}");
        }
    }

    #[test]
    fn the_fixed_order_has_each_window_once_and_is_spread_from_its_beginning() {
        for split in [1, 2, 3, 10, 97, 1000, 4096] {
            let places: BTreeSet<u64> = (0..split).map(|k| place_of(k, split)).collect();
            assert_eq!(places.len() as u64, split);
        }
        let quarters: BTreeSet<u64> = (0..8).map(|k| place_of(k, 1000) / 250).collect();
        assert_eq!(quarters.len(), 4, "the first windows are of every quarter of the split");
    }
}
