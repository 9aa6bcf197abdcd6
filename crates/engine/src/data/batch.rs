//! The windows of text that a step reads: pure functions of (seed, step, micro-batch, sequence), so that no cursor has to be saved and any
//! batch of the past can be read again.

use wire::evaluation::place_of;

use crate::kernels::random::{Counter, key};

/// Sequences of tokens, with the next token of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Sequences.
    pub size: usize,
    /// Tokens of a sequence.
    pub seq: usize,
    /// `[size, seq]`, sequence by sequence.
    pub inputs: Vec<i32>,
    /// `[size, seq]`: the token after each of `inputs`.
    pub targets: Vec<i32>,
}

/// Start of a sequence: the dataset of the mix, and the token in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Index of the dataset in the mix.
    pub dataset: usize,
    /// First token.
    pub start: usize,
}

/// Windows of a micro-batch of training: the dataset by its weight, the start uniform over its stream.
///
/// `lens`: tokens of each dataset; `weights`: per dataset; they need not sum to 1. Datasets without weight or tokens are never drawn.
pub fn train_windows(
    seed: u64,
    step: u64,
    micro_batch: u64,
    size: usize,
    seq: usize,
    lens: &[usize],
    weights: &[f64],
) -> Vec<Window> {
    let cumulative = cumulative(lens, weights);
    let draw = |row: usize| {
        let mut random = Counter::at(&[key(&[seed, 0x0ba7_c4e5]), step, micro_batch, row as u64]);
        let dataset = choose(&cumulative, random.uniform());
        let starts = lens.get(dataset).copied().unwrap_or(0).saturating_sub(seq).max(1);
        Window { dataset, start: random.below(starts as u64) as usize }
    };
    (0..size).map(draw).collect()
}

/// Windows of validation batch `index`: the same every time, spread evenly over the validation split from the first batch on,
/// without repetition. `None` after the last full batch. Only a split smaller than one batch gives fewer than `size` windows.
pub fn valid_windows(index: u64, size: usize, seq: usize, lens: &[usize], weights: &[f64]) -> Option<Vec<Window>> {
    let cumulative = cumulative(lens, weights);
    let slots: Vec<usize> = lens.iter().map(|len| len.saturating_sub(1) / seq.max(1)).collect();
    let all: usize = slots
        .iter()
        .enumerate()
        .filter(|(dataset, _)| weight_of(&cumulative, *dataset) > 0.0)
        .map(|(_, slots)| slots)
        .sum();
    let first = usize::try_from(index).ok()?.checked_mul(size)?;
    let size = if index == 0 { size.min(all) } else { size };
    if size == 0 || first + size > all {
        return None;
    }
    let mut used = vec![0usize; lens.len()];
    let mut windows = vec![];
    for row in 0..first + size {
        // Multiples of the golden ratio distribute the sequences over the datasets by weight, at every length of the list.
        let dataset = choose(&cumulative, (row as f64 + 0.5) * 0.618_033_988_749_895 % 1.0);
        let start = place_of(used[dataset] as u64, slots[dataset] as u64) as usize * seq;
        used[dataset] += 1;
        if row >= first {
            windows.push(Window { dataset, start });
        }
    }
    Some(windows)
}

/// Values of the first windows of the fixed order, given in the order of the text, in the fixed order. `split`: whole windows of the split.
pub fn in_fixed_order<T: Clone>(values: &[T], split: usize) -> Vec<T> {
    let mut places: Vec<(u64, usize)> = (0..values.len()).map(|k| (place_of(k as u64, split as u64), k)).collect();
    places.sort_unstable();
    let mut ordered: Vec<(usize, &T)> = places.into_iter().map(|(_, k)| k).zip(values).collect();
    ordered.sort_unstable_by_key(|(k, _)| *k);
    ordered.into_iter().map(|(_, value)| value.clone()).collect()
}

/// Normalized cumulative weights. Datasets of weight 0 or with fewer than two tokens have an empty interval.
fn cumulative(lens: &[usize], weights: &[f64]) -> Vec<f64> {
    let weight = |dataset: usize| {
        weights
            .get(dataset)
            .copied()
            .filter(|weight| weight.is_finite() && *weight > 0.0 && lens[dataset] > 1)
            .unwrap_or(0.0)
    };
    let total: f64 = (0..lens.len()).map(weight).sum();
    let mut sum = 0.0;
    let add = |dataset| {
        sum += weight(dataset) / total.max(f64::MIN_POSITIVE);
        sum
    };
    (0..lens.len()).map(add).collect()
}

fn weight_of(cumulative: &[f64], dataset: usize) -> f64 {
    cumulative[dataset] - dataset.checked_sub(1).map_or(0.0, |before| cumulative[before])
}

/// The dataset whose cumulative interval contains `uniform`, a number in [0, 1). Datasets of weight 0 are chosen only if all weights are 0.
fn choose(cumulative: &[f64], uniform: f64) -> usize {
    let top = cumulative.last().copied().unwrap_or(0.0);
    let position = uniform * top;
    cumulative.iter().position(|end| position < *end).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn windows_are_uniform_follow_the_weights_and_are_reproducible() {
        let lens = [1000, 5, 200, 0];
        let weights = [0.7, 0.0, 0.3, 5.0];
        let draw = |step| train_windows(4, step, 0, 64, 32, &lens, &weights);
        assert_eq!(draw(9), draw(9));
        assert_ne!(draw(9), draw(10));
        assert_ne!(draw(9), train_windows(4, 9, 1, 64, 32, &lens, &weights));
        let all: Vec<Window> = (0..500).flat_map(draw).collect();
        let fraction =
            |dataset| all.iter().filter(|window| window.dataset == dataset).count() as f64 / all.len() as f64;
        assert!((fraction(0) - 0.7).abs() < 0.01 && (fraction(2) - 0.3).abs() < 0.01, "{}", fraction(0));
        let starts: HashSet<usize> =
            all.iter().filter(|window| window.dataset == 2).map(|window| window.start).collect();
        assert_eq!(starts, (0..168).collect(), "every start, and none whose last target is past the end");
    }

    #[test]
    fn validation_reads_each_window_once_and_spreads_from_the_start() {
        let lens = [10_001];
        let batches: Vec<Vec<Window>> = (0..).map_while(|index| valid_windows(index, 8, 100, &lens, &[1.0])).collect();
        assert_eq!(batches.len(), 12);
        let starts: HashSet<usize> = batches.iter().flatten().map(|window| window.start).collect();
        assert_eq!(starts.len(), 96);
        let quarter = |start: usize| start / 2500;
        assert!(
            (0..4).all(|q| batches[0].iter().any(|window| quarter(window.start) == q)),
            "the first batch is spread over the whole split"
        );
        assert_eq!(
            valid_windows(0, 8, 100, &[301], &[1.0]).unwrap().len(),
            3,
            "a short split gives the windows that it has"
        );
        assert!(
            valid_windows(1, 8, 100, &[301], &[1.0]).is_none() && valid_windows(0, 8, 100, &[50], &[1.0]).is_none()
        );
    }

    #[test]
    fn datasets_without_weight_or_text_are_left_out() {
        let of = |lens: &[usize], weights: &[f64]| {
            valid_windows(0, 10, 10, lens, weights).unwrap().iter().map(|window| window.dataset).collect::<HashSet<_>>()
        };
        assert_eq!(of(&[1000, 1000], &[0.0, 1.0]), HashSet::from([1]));
        assert_eq!(of(&[1000, 0, 1000], &[1.0, 9.0, f64::NAN]), HashSet::from([0]));
        assert_eq!(of(&[1000, 1000], &[0.5, 0.5]), HashSet::from([0, 1]));
    }
}
