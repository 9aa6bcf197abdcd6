//! Points and buckets: their bytes in files, little-endian, and how buckets merge.

use serde::{Deserialize, Serialize};

/// One value of a series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Point {
    pub(super) step: u64,
    pub(super) value: f64,
}

/// A bucket: many points aggregated. Non-finite values extend its steps and are left out of the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct StoredBucket {
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) mean: f64,
    /// Number of finite values.
    pub(super) count: u64,
    pub(super) first_step: u64,
    pub(super) last_step: u64,
}

/// A record of fixed size in a file, which can be aggregated.
pub(super) trait Record: Copy {
    /// Size in a file.
    const BYTES: usize;
    /// Appends its bytes.
    fn write(&self, bytes: &mut Vec<u8>);
    /// Reads it from exactly [`Self::BYTES`] bytes.
    fn read(bytes: &[u8]) -> Self;
    /// The bucket of this record alone.
    fn bucket(&self) -> StoredBucket;
}

impl Record for Point {
    const BYTES: usize = 16;

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.step.to_le_bytes());
        bytes.extend_from_slice(&self.value.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Self {
        Self { step: word(bytes, 0), value: f64::from_bits(word(bytes, 1)) }
    }

    fn bucket(&self) -> StoredBucket {
        let (min, max, mean, count) = if self.value.is_finite() {
            (self.value, self.value, self.value, 1)
        } else {
            (f64::INFINITY, f64::NEG_INFINITY, 0.0, 0)
        };
        StoredBucket { min, max, mean, count, first_step: self.step, last_step: self.step }
    }
}

impl Record for StoredBucket {
    const BYTES: usize = 48;

    fn write(&self, bytes: &mut Vec<u8>) {
        for word in
            [self.min.to_bits(), self.max.to_bits(), self.mean.to_bits(), self.count, self.first_step, self.last_step]
        {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
    }

    fn read(bytes: &[u8]) -> Self {
        let number = |at| f64::from_bits(word(bytes, at));
        Self {
            min: number(0),
            max: number(1),
            mean: number(2),
            count: word(bytes, 3),
            first_step: word(bytes, 4),
            last_step: word(bytes, 5),
        }
    }

    fn bucket(&self) -> StoredBucket {
        *self
    }
}

impl StoredBucket {
    /// Merges the bucket that follows.
    pub(super) fn merge(&mut self, next: &StoredBucket) {
        let count = self.count + next.count;
        if next.count > 0 {
            // Weights instead of sums: the sum of two very large numbers overflows, their mean does not.
            let fraction = next.count as f64 / count as f64;
            self.mean = if self.count == 0 { next.mean } else { self.mean * (1.0 - fraction) + next.mean * fraction };
        }
        self.min = self.min.min(next.min);
        self.max = self.max.max(next.max);
        self.count = count;
        self.last_step = next.last_step;
    }
}

/// Aggregates records; `None` for none.
pub(super) fn aggregate<R: Record>(records: impl IntoIterator<Item = R>) -> Option<StoredBucket> {
    let mut records = records.into_iter();
    let mut whole = records.next()?.bucket();
    records.for_each(|record| whole.merge(&record.bucket()));
    Some(whole)
}

/// Little-endian word number `at`.
fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at * 8..at * 8 + 8]);
    u64::from_le_bytes(word)
}
