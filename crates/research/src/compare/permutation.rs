//! Permutation test of two groups: a p-value that assumes no distribution, only that labels are exchangeable.
//!
//! p = share of the divisions of all values into groups of these sizes whose |difference of means| is at least the one found. Sources:
//! Fisher 1935; Phipson, Smyth 2010 for the + 1 of random divisions; `scipy.stats.permutation_test`. With 3 values a side it cannot fall
//! below 0.1, so it confirms a verdict and does not decide it.

use crate::statistics::sample::mean;

/// Divisions that are all counted; above, as many random ones are.
const EXACT: u64 = 20_000;
/// Relative difference below which two statistics are equal but for rounding (as in SciPy).
const ROUNDING: f64 = 1e-14;

/// The two-sided p-value of the difference of means. `seed` decides the random divisions of large groups. NaN if a group is empty.
pub fn permutation_p(baseline: &[f64], change: &[f64], seed: u64) -> f64 {
    if baseline.is_empty() || change.is_empty() {
        return f64::NAN;
    }
    let all: Vec<f64> = baseline.iter().chain(change).copied().collect();
    let (total, size) = (all.iter().sum::<f64>(), baseline.len());
    let found = (mean(change) - mean(baseline)).abs();
    let statistic = |sum: f64| ((total - sum) / (all.len() - size) as f64 - sum / size as f64).abs();
    let is_extreme = |sum: f64| statistic(sum) >= found - ROUNDING * found.max(total.abs() / all.len() as f64);
    if divisions(all.len() as u64, size as u64).is_some_and(|count| count <= EXACT) {
        let (mut extreme, mut count) = (0u64, 0u64);
        for_each_division(size, all.len(), |chosen| {
            count += 1;
            extreme += u64::from(is_extreme(chosen.iter().map(|index| all[*index]).sum()));
        });
        return extreme as f64 / count as f64;
    }
    let (mut random, mut order) = (fastrand::Rng::with_seed(seed), all.clone());
    let extreme = (0..EXACT).filter(|_| {
        random.shuffle(&mut order);
        is_extreme(order[..size].iter().sum())
    });
    (extreme.count() as f64 + 1.0) / (EXACT as f64 + 1.0)
}

/// The number of ways to choose `size` of `all`; `None` if it exceeds 64 bits.
fn divisions(all: u64, size: u64) -> Option<u64> {
    (0..size.min(all - size)).try_fold(1u64, |count, index| Some(count.checked_mul(all - index)? / (index + 1)))
}

/// Calls `visit` with each choice of `size` indices below `all`, in lexicographic order.
fn for_each_division(size: usize, all: usize, mut visit: impl FnMut(&[usize])) {
    let mut chosen: Vec<usize> = (0..size).collect();
    loop {
        visit(&chosen);
        let Some(at) = (0..size).rev().find(|at| chosen[*at] < all - size + at) else { return };
        let next = chosen[at] + 1;
        chosen[at..].iter_mut().enumerate().for_each(|(offset, index)| *index = next + offset);
    }
}
