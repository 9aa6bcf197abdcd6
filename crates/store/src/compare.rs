//! Comparison of two runs: the difference of their training losses at equal steps, along both paths.

use wire::RunId;
use wire::run::history::Span;
use wire::series::{Comparison, Difference, name};

use crate::error::StoreError;
use crate::series::{PathPoints, PathSegment};
use crate::store::Store;

/// Maximum number of buckets in one comparison.
const MAX_BUCKETS: u64 = 5000;

impl Store {
    /// Compares the training losses of two runs at equal steps, in about `points` buckets at most.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`].
    pub async fn compare(&self, run: &RunId, with: &RunId, points: u64) -> Result<Comparison, StoreError> {
        let (own, other) = (self.lineage(run).await?, self.lineage(with).await?);
        let series_files = self.series_files().clone();
        let dir = self.dir().to_owned();
        self.blocking(move || {
            let from = first_unshared_step(&own, &other);
            let walk = |path: &[Span]| series_files.path_points(&after(path, from), name::TRAIN);
            let (own, other) = (walk(&own)?, walk(&other)?);
            difference(own, other, points.clamp(1, MAX_BUCKETS)).map_err(|source| StoreError::file(&dir, source))
        })
        .await
    }

    async fn lineage(&self, run: &RunId) -> Result<Vec<Span>, StoreError> {
        let mut connection = self.database().read().await?;
        let history = self.history_in(&mut connection, run).await?;
        self.lineage_in(&mut connection, run, &history).await
    }
}

/// The first step after the shared past of two paths.
fn first_unshared_step(own: &[Span], other: &[Span]) -> u64 {
    let mut shared_to = 0;
    for (a, b) in own.iter().zip(other) {
        if (&a.run, a.segment, a.from_step) != (&b.run, b.segment, b.from_step) {
            break;
        }
        match (a.to_step, b.to_step) {
            (Some(to), None) | (None, Some(to)) => return to,
            (Some(to), Some(others)) if to != others => return to.min(others),
            (to, _) => shared_to = to.unwrap_or(shared_to),
        }
    }
    shared_to
}

/// The part of a path from step `from` on.
fn after(path: &[Span], from: u64) -> Vec<PathSegment> {
    path.iter()
        .filter(|span| span.to_step.is_none_or(|to| to > from))
        .map(|span| PathSegment {
            run: span.run.clone(),
            segment: span.segment,
            from_step: span.from_step.max(from),
            to_step: span.to_step,
        })
        .collect()
}

/// Mean and variance over the steps of one bucket (Welford's algorithm).
#[derive(Default)]
struct Sum {
    ends: Option<(u64, u64)>,
    count: f64,
    mean: f64,
    squares: f64,
}

impl Sum {
    fn add(&mut self, step: u64, difference: f64) {
        self.ends = Some((self.ends.map_or(step, |ends| ends.0), step));
        if difference.is_finite() {
            self.count += 1.0;
            let away = difference - self.mean;
            self.mean += away / self.count;
            self.squares += away * (difference - self.mean);
        }
    }

    fn end(self) -> Option<Difference> {
        let (step, last_step) = self.ends.filter(|_| self.count > 0.0)?;
        let variance = if self.count > 1.0 { self.squares / (self.count - 1.0) } else { 0.0 };
        let band = 2.0 * (variance / self.count).sqrt();
        Some(Difference { step, last_step, mean: self.mean, low: self.mean - band, high: self.mean + band })
    }
}

fn difference(mut own: PathPoints, mut other: PathPoints, points: u64) -> std::io::Result<Comparison> {
    let last = own.last_step()?.into_iter().chain(other.last_step()?).min();
    let mut found = Comparison { common_from: None, identical_steps: 0, first_difference: None, difference: vec![] };
    let (mut a, mut b) = (own.next()?, other.next()?);
    let (mut sum, mut bucket) = (Sum::default(), 0);
    while let (Some((step, loss)), Some((other_step, other_loss))) = (a, b) {
        if step != other_step {
            if step < other_step {
                a = own.next()?
            } else {
                b = other.next()?
            }
            continue;
        }
        let first = *found.common_from.get_or_insert(step);
        match (loss.to_bits() == other_loss.to_bits(), found.first_difference) {
            (true, None) => found.identical_steps += 1,
            (false, None) => found.first_difference = Some(step),
            _ => {}
        }
        let width = (last.unwrap_or(step).saturating_sub(first) + 1).div_ceil(points).max(1);
        if (step - first) / width != bucket {
            bucket = (step - first) / width;
            found.difference.extend(std::mem::take(&mut sum).end());
        }
        sum.add(step, loss - other_loss);
        (a, b) = (own.next()?, other.next()?);
    }
    found.difference.extend(sum.end());
    Ok(found)
}
