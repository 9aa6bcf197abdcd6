//! What a sweep has found: the importance of its parameters, and the curves of its trials.

use research::importance;
use store::{SeriesQuery, StoreError};
use wire::series::{Axis, Bucket, SeriesWindow};
use wire::sweep::record::{Sweep, Trial};
use wire::sweep::results::{SweepImportance, TrialCurve};

use super::sampler::outcomes;
use crate::error::ApiError;
use crate::lab::Lab;

/// Seed of the forest: equal results have equal importances.
const SEED: u64 = 1;

/// The importance of each parameter, computed on a thread of its own.
///
/// # Errors
/// The specification is invalid; an error of the store; the computation panicked.
pub async fn importance(lab: &Lab, sweep: &Sweep) -> Result<SweepImportance, ApiError> {
    let space = sweep.spec.check()?;
    let trials = outcomes(&sweep.spec, lab.store().trial_records(sweep.id, None).await?);
    lab.samplers.compute(move || importance::importance(&space, &trials, SEED)).await
}

/// The metric of each trial by step, in at most about `points` points each. A trial without values has no curve, and neither has one whose
/// run was moved to another project, where other people see it.
///
/// # Errors
/// An error of the store.
pub async fn curves(lab: &Lab, sweep: &Sweep, points: usize) -> Result<Vec<TrialCurve>, ApiError> {
    let mut curves = vec![];
    for trial in lab.store().trials(sweep.id, None).await? {
        curves.extend(curve(lab, sweep, &trial, points).await?);
    }
    Ok(curves)
}

async fn curve(lab: &Lab, sweep: &Sweep, trial: &Trial, points: usize) -> Result<Option<TrialCurve>, ApiError> {
    let Some(run) = &trial.run else { return Ok(None) };
    let summary = lab.store().summary(run).await?;
    if summary.is_none_or(|summary| summary.project != sweep.project) {
        return Ok(None);
    }
    let names = vec![sweep.spec.metric.name.clone()];
    let query = SeriesQuery { names, axis: Axis::Step, from: None, to: None, points };
    let windows = match lab.store().series(run, query).await {
        Ok(windows) => windows,
        // It was deleted for good meanwhile.
        Err(StoreError::UnknownRun { .. } | StoreError::RunFolderMissing { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let buckets = newest_path(windows);
    let (steps, values): (Vec<u64>, Vec<f64>) = buckets.iter().map(|bucket| (bucket.step, bucket.mean)).unzip();
    Ok((!steps.is_empty()).then_some(TrialCurve { trial: trial.number, steps, values }))
}

/// The finite values of the windows of a series: from the first step of a later segment on, the values of that segment count.
fn newest_path(windows: Vec<SeriesWindow>) -> Vec<Bucket> {
    let mut path: Vec<Bucket> = vec![];
    for window in windows {
        if let Some(first) = window.buckets.first() {
            path.retain(|bucket| bucket.step < first.step);
        }
        path.extend(window.buckets.into_iter().filter(|bucket| bucket.count > 0));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(segment: u32, values: &[(u64, f64, u64)]) -> SeriesWindow {
        let bucket = |(step, mean, count): &(u64, f64, u64)| {
            let x = *step as f64;
            Bucket { step: *step, last_step: *step, x, last_x: x, min: *mean, max: *mean, mean: *mean, count: *count }
        };
        let buckets: Vec<Bucket> = values.iter().map(bucket).collect();
        SeriesWindow { name: "loss.valid".into(), segment, total: buckets.len() as u64, buckets, is_exact: true }
    }

    #[test]
    fn a_later_segment_replaces_the_values_from_its_first_step_on() {
        let path = newest_path(vec![
            window(0, &[(10, 3.0, 1), (20, 2.0, 1), (30, 9.0, 1)]),
            window(1, &[(20, 2.5, 1), (30, 0.0, 0), (40, 1.5, 1)]),
        ]);
        let values: Vec<(u64, f64)> = path.iter().map(|bucket| (bucket.step, bucket.mean)).collect();
        assert_eq!(values, [(10, 3.0), (20, 2.5), (40, 1.5)], "a value that was not finite is left out");
    }
}
