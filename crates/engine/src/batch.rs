//! Which windows of text a step reads: pure functions of (seed, step, pass, row), so that no cursor needs saving and any batch of
//! the past can be read again.

use crate::random::{Counter, key};

/// Rows of tokens, and for each token the one that follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Rows.
    pub rows: usize,
    /// Tokens in a row.
    pub seq: usize,
    /// `[rows, seq]`, row by row.
    pub inputs: Vec<i32>,
    /// `[rows, seq]`: the token after each of `inputs`.
    pub targets: Vec<i32>,
}

/// Where a row starts: the part of the mix, and the token in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Place of the text in the mix.
    pub part: usize,
    /// First token.
    pub start: usize,
}

/// Windows of a training step: the part by its weight, the start evenly over the part's stream.
///
/// `lens`: tokens of each part; `weights`: one for each, of any sum. Parts without weight or tokens are never drawn.
pub fn train_windows(
    seed: u64,
    step: u64,
    pass: u64,
    rows: usize,
    seq: usize,
    lens: &[usize],
    weights: &[f64],
) -> Vec<Window> {
    let stairs = stairs(lens, weights);
    let draw = |row: usize| {
        let mut random = Counter::at(&[key(&[seed, 0x0ba7_c4e5]), step, pass, row as u64]);
        let part = on_stairs(&stairs, random.share());
        let places = lens.get(part).copied().unwrap_or(0).saturating_sub(seq).max(1);
        Window { part, start: random.below(places as u64) as usize }
    };
    (0..rows).map(draw).collect()
}

/// Windows of validation batch `index`: the same every time, spread evenly over the held-out text from the first batch on, none
/// twice before all were read. `None` once all were read; only a text of less than one batch gives fewer rows than asked.
pub fn valid_windows(index: u64, rows: usize, seq: usize, lens: &[usize], weights: &[f64]) -> Option<Vec<Window>> {
    let stairs = stairs(lens, weights);
    let slots: Vec<usize> = lens.iter().map(|len| len.saturating_sub(1) / seq.max(1)).collect();
    let all: usize =
        slots.iter().enumerate().filter(|(part, _)| weight_of(&stairs, *part) > 0.0).map(|(_, slots)| slots).sum();
    let first = usize::try_from(index).ok()?.checked_mul(rows)?;
    let rows = if index == 0 { rows.min(all) } else { rows };
    if rows == 0 || first + rows > all {
        return None;
    }
    let mut used = vec![0usize; lens.len()];
    let mut windows = vec![];
    for row in 0..first + rows {
        // The golden ratio's multiples deal the rows to the parts by weight, at every length of the list.
        let part = on_stairs(&stairs, (row as f64 + 0.5) * 0.618_033_988_749_895 % 1.0);
        let start = spread(used[part], slots[part]) * seq;
        used[part] += 1;
        if row >= first {
            windows.push(Window { part, start });
        }
    }
    Some(windows)
}

/// Place `k` of a fixed tour over `0..n` which visits each once and is even from the start: strides of n / golden ratio.
fn spread(k: usize, n: usize) -> usize {
    let n = n.max(1);
    let mut stride = ((n as f64 * 0.618_033_988_749_895) as usize).max(1);
    while gcd(stride, n) != 1 {
        stride += 1;
    }
    ((k % n) as u128 * stride as u128 % n as u128) as usize
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Cumulative shares of the parts; those without weight or without a window's worth of tokens take none.
fn stairs(lens: &[usize], weights: &[f64]) -> Vec<f64> {
    let weight = |part: usize| {
        weights.get(part).copied().filter(|weight| weight.is_finite() && *weight > 0.0 && lens[part] > 1).unwrap_or(0.0)
    };
    let total: f64 = (0..lens.len()).map(weight).sum();
    let mut sum = 0.0;
    let climb = |part| {
        sum += weight(part) / total.max(f64::MIN_POSITIVE);
        sum
    };
    (0..lens.len()).map(climb).collect()
}

fn weight_of(stairs: &[f64], part: usize) -> f64 {
    stairs[part] - part.checked_sub(1).map_or(0.0, |before| stairs[before])
}

/// The part in whose share a number of 0..1 falls; never one without a share, unless none has any.
fn on_stairs(stairs: &[f64], share: f64) -> usize {
    let top = stairs.last().copied().unwrap_or(0.0);
    let share = share * top;
    stairs.iter().position(|stair| share < *stair).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn windows_are_even_follow_the_weights_and_can_be_drawn_again() {
        let lens = [1000, 5, 200, 0];
        let weights = [0.7, 0.0, 0.3, 5.0];
        let draw = |step| train_windows(4, step, 0, 64, 32, &lens, &weights);
        assert_eq!(draw(9), draw(9));
        assert_ne!(draw(9), draw(10));
        assert_ne!(draw(9), train_windows(4, 9, 1, 64, 32, &lens, &weights));
        let all: Vec<Window> = (0..500).flat_map(draw).collect();
        let share = |part| all.iter().filter(|window| window.part == part).count() as f64 / all.len() as f64;
        assert!((share(0) - 0.7).abs() < 0.01 && (share(2) - 0.3).abs() < 0.01, "{}", share(0));
        let starts: HashSet<usize> = all.iter().filter(|window| window.part == 2).map(|window| window.start).collect();
        assert_eq!(starts, (0..168).collect(), "every place, and none from which a target would lie past the end");
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
            "the first batch is from all over"
        );
        assert_eq!(valid_windows(0, 8, 100, &[301], &[1.0]).unwrap().len(), 3, "a short text gives what it has");
        assert!(
            valid_windows(1, 8, 100, &[301], &[1.0]).is_none() && valid_windows(0, 8, 100, &[50], &[1.0]).is_none()
        );
    }

    #[test]
    fn parts_without_weight_or_text_are_left_out() {
        let of = |lens: &[usize], weights: &[f64]| {
            valid_windows(0, 10, 10, lens, weights).unwrap().iter().map(|window| window.part).collect::<HashSet<_>>()
        };
        assert_eq!(of(&[1000, 1000], &[0.0, 1.0]), HashSet::from([1]));
        assert_eq!(of(&[1000, 0, 1000], &[1.0, 9.0, f64::NAN]), HashSet::from([0]));
        assert_eq!(of(&[1000, 1000], &[0.5, 0.5]), HashSet::from([0, 1]));
    }
}
