//! A whole series in a bounded number of buckets: when they are full, neighbours are merged, so that buckets stay equally wide.

use serde::{Deserialize, Serialize};

/// Buckets of a full history. At least half as many are there once it has been full.
const CAPACITY: usize = 128;

/// The mean of consecutive points.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Bucket {
    pub(super) first_step: u64,
    pub(super) last_step: u64,
    /// Mean of x.
    pub(super) x: f64,
    /// Mean of y.
    pub(super) y: f64,
    /// Mean of a second value.
    pub(super) other: f64,
    count: u64,
}

impl Bucket {
    fn and(self, next: Self) -> Self {
        let (before, after) = (self.count as f64, next.count as f64);
        let mean = |a: f64, b: f64| (a * before + b * after) / (before + after);
        Self {
            first_step: if self.count == 0 { next.first_step } else { self.first_step },
            last_step: next.last_step,
            x: mean(self.x, next.x),
            y: mean(self.y, next.y),
            other: mean(self.other, next.other),
            count: self.count + next.count,
        }
    }
}

/// A series of (x, y, other) with its steps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct History {
    buckets: Vec<Bucket>,
    /// The bucket that is being filled.
    open: Bucket,
    /// Points in a bucket are 2 to the power of this.
    doublings: u32,
}

impl History {
    /// Adds a point. Returns whether a bucket is complete with it.
    pub(super) fn push(&mut self, step: u64, x: f64, y: f64, other: f64) -> bool {
        self.open = self.open.and(Bucket { first_step: step, last_step: step, x, y, other, count: 1 });
        if self.open.count < 1 << self.doublings {
            return false;
        }
        self.buckets.push(std::mem::take(&mut self.open));
        if self.buckets.len() == CAPACITY {
            self.buckets = self.buckets.chunks(2).map(|pair| pair[0].and(pair[1])).collect();
            self.doublings += 1;
        }
        true
    }

    /// The complete buckets, oldest first.
    pub(super) fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// The buckets of the newest fraction `share` of the steps, at least the newest `least`; all if there are fewer.
    pub(super) fn newest(&self, share: f64, least: usize) -> &[Bucket] {
        let (Some(first), Some(last)) = (self.buckets.first(), self.buckets.last()) else { return &[] };
        let from = last.last_step as f64 - share * (last.last_step - first.first_step + 1) as f64;
        let at = self.buckets.partition_point(|bucket| bucket.first_step as f64 <= from);
        &self.buckets[at.min(self.buckets.len().saturating_sub(least))..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_stay_bounded_and_keep_the_mean() {
        let mut history = History::default();
        for step in 0..100_000 {
            history.push(step, step as f64, 2.0 * step as f64, 1.0);
            assert!(history.buckets().len() < CAPACITY);
        }
        let buckets = history.buckets();
        assert!(buckets.len() >= CAPACITY / 2 && buckets.iter().all(|bucket| bucket.count == buckets[0].count));
        for bucket in buckets {
            let middle = (bucket.first_step + bucket.last_step) as f64 / 2.0;
            assert!((bucket.x - middle).abs() < 1e-6 && (bucket.y - 2.0 * middle).abs() < 1e-6, "{bucket:?}");
        }
        let newest = history.newest(0.2, 4);
        assert!((0.15..0.21).contains(&(newest.len() as f64 / buckets.len() as f64)));
        assert_eq!(History::default().newest(0.2, 4).len(), 0);
    }
}
