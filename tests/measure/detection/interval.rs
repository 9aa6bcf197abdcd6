//! 95 % intervals of a share and of a median.
//!
//! - A share: Wilson 1927, (p + z²/2n ± z sqrt(p (1 - p) / n + z²/4n²)) / (1 + z²/n), which stays within 0 and 1 also for 0 of n.
//! - A median: the order statistics whose ranks a binomial distribution with p = 1/2 leaves out with at most 2.5 % on each side; it assumes
//!   nothing about the distribution of the values.

use research::statistics::distribution::normal_quantile;
use research::statistics::sample::median;

/// `count` of `of`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Share {
    pub(crate) count: usize,
    pub(crate) of: usize,
}

impl Share {
    /// How many values fulfil a condition.
    pub(crate) fn counting<T>(values: impl IntoIterator<Item = T>, is_counted: impl Fn(&T) -> bool) -> Self {
        values.into_iter().fold(Self { count: 0, of: 0 }, |share, value| Self {
            count: share.count + usize::from(is_counted(&value)),
            of: share.of + 1,
        })
    }

    pub(crate) fn value(self) -> f64 {
        self.count as f64 / self.of as f64
    }

    /// Wilson's interval.
    pub(crate) fn interval(self) -> (f64, f64) {
        let (p, n, z) = (self.value(), self.of as f64, normal_quantile(0.975));
        let middle = p + z * z / (2.0 * n);
        let margin = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + z * z / n;
        (((middle - margin) / scale).max(0.0), ((middle + margin) / scale).min(1.0))
    }

    /// `45 of 50, 0.90 (0.79 to 0.96)`.
    pub(crate) fn text(self) -> String {
        let (low, high) = self.interval();
        format!("{} of {}, {:.3} ({low:.3} to {high:.3})", self.count, self.of, self.value())
    }
}

/// Median of steps with its interval, as text: `120 (80 to 200)`.
pub(crate) fn median_text(steps: &[u64]) -> String {
    let mut sorted: Vec<f64> = steps.iter().map(|step| *step as f64).collect();
    if sorted.is_empty() {
        return "none".into();
    }
    let middle = median(&mut sorted);
    sorted.sort_by(f64::total_cmp);
    match left_out(sorted.len()).checked_sub(1) {
        Some(rank) => format!("{middle} ({} to {})", sorted[rank], sorted[sorted.len() - 1 - rank]),
        None => format!("{middle} ({} to {}, all)", sorted[0], sorted[sorted.len() - 1]),
    }
}

/// The largest k for which fewer than k of n values are below the median with a probability of at most 2.5 %; 0 if there is none.
fn left_out(n: usize) -> usize {
    // Probability of exactly 0 values below the median, and its sum.
    let (mut exact, mut sum, mut k) = (0.5_f64.powi(n as i32), 0.0, 0);
    while sum + exact <= 0.025 {
        sum += exact;
        exact *= (n - k) as f64 / (k + 1) as f64;
        k += 1;
    }
    k
}
