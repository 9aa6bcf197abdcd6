//! What a sweep has found: the importance of its parameters, and the curves of its trials.

use research::importance;
use store::{SeriesQuery, Store, StoreError, TrialRecord};
use wire::RunId;
use wire::series::{Axis, Bucket};
use wire::sweep::record::{Sweep, Trial};
use wire::sweep::results::{SweepImportance, TrialCurve};

use super::sampler::outcomes;
use crate::error::ApiError;
use crate::lab::Lab;

/// Seed of the forest: equal results have equal importances.
const SEED: u64 = 1;

/// The importance of each parameter, computed on its own thread, once for each set of trials that have ended.
///
/// # Errors
/// The specification is invalid; an error of the store; the computation panicked.
pub async fn importance(lab: &Lab, sweep: &Sweep) -> Result<SweepImportance, ApiError> {
    let space = sweep.spec.check()?;
    // Read before the trials: if a trial ends in between, the importances are computed again.
    let decided = lab.store().decided_trials(sweep.id).await?;
    if let Some(known) = lab.sweep_results.known(sweep.id, decided) {
        return Ok(known);
    }
    let trials = outcomes(&sweep.spec, lab.store().trial_records(sweep.id, None).await?);
    lab.sweep_results.compute(sweep.id, decided, move || importance::importance(&space, &trials, SEED)).await
}

/// The metric of each trial by step, in at most about `points` points each. A trial without values has no curve, and neither has one whose
/// run was moved to another project, where other people see it.
///
/// # Errors
/// An error of the store.
pub async fn curves(lab: &Lab, sweep: &Sweep, points: usize) -> Result<Vec<TrialCurve>, ApiError> {
    let _place = lab.sweep_results.reading().await?;
    let mut curves = vec![];
    for record in lab.store().trial_records(sweep.id, None).await? {
        curves.extend(match sweep.spec.imported_from {
            Some(_) => imported_curve(sweep, &record),
            None => curve(lab, sweep, &record.trial, points).await?,
        });
    }
    Ok(curves)
}

/// The curve of a trial of an imported study: it has no run, and its values are stored with it.
fn imported_curve(sweep: &Sweep, record: &TrialRecord) -> Option<TrialCurve> {
    let value = |(step, value): &(u64, f64)| (*step, sweep.spec.metric.direction.as_lower_is_better(*value));
    let (steps, values): (Vec<u64>, Vec<f64>) = record.kept.iter().map(value).unzip();
    (!steps.is_empty()).then_some(TrialCurve { trial: record.trial.number, steps, values })
}

async fn curve(lab: &Lab, sweep: &Sweep, trial: &Trial, points: usize) -> Result<Option<TrialCurve>, ApiError> {
    let Some(run) = &trial.run else { return Ok(None) };
    let summary = lab.store().summary(run).await?;
    if summary.is_none_or(|summary| summary.project != sweep.project) {
        return Ok(None);
    }
    let buckets = match on_path(lab.store(), run, &sweep.spec.metric.name, points).await {
        Ok(buckets) => buckets,
        // It was deleted for good meanwhile.
        Err(StoreError::UnknownRun { .. } | StoreError::RunFolderMissing { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let (steps, values): (Vec<u64>, Vec<f64>) = buckets.iter().map(|bucket| (bucket.step, bucket.mean)).unzip();
    Ok((!steps.is_empty()).then_some(TrialCurve { trial: trial.number, steps, values }))
}

/// The finite values of a series on the path of a run, without those of abandoned segments, in about `points` buckets.
///
/// # Errors
/// An error of the store.
pub async fn on_path(store: &Store, run: &RunId, metric: &str, points: usize) -> Result<Vec<Bucket>, StoreError> {
    let spans = store.history(run).await?.spans();
    let points = points.div_ceil(spans.len().max(1));
    let mut path = vec![];
    for (segment, from, to) in spans {
        let (names, axis) = (vec![metric.to_owned()], Axis::Step);
        // The end of a query is included, the end of a span is not.
        let (from, to) = (Some(from as f64), to.map(|to| to.saturating_sub(1) as f64));
        let windows = store.series(run, SeriesQuery { names, axis, from, to, points }).await?;
        let of_segment = windows.into_iter().filter(|window| window.segment == segment);
        path.extend(of_segment.flat_map(|window| window.buckets).filter(|bucket| bucket.count > 0));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use wire::control::event::Event;
    use wire::series::Row;
    use wire::transport::link::Item;
    use wire::{CheckpointId, RunState};

    use super::*;
    use crate::live::diagnosis::tests::store_with_run;
    use crate::live::feed::report;

    fn values(segment: u32, values: &[(u64, f64)]) -> Vec<Item> {
        let row = |(step, value): &(u64, f64)| {
            Item::Row(Row { segment, step: *step, values: vec![("loss.valid".to_owned(), *value)] })
        };
        values.iter().map(row).collect()
    }

    #[tokio::test]
    async fn the_values_of_an_abandoned_segment_are_left_out_before_the_next_one_has_any() {
        let folder = tempfile::tempdir().unwrap();
        let (store, run) = store_with_run(folder.path()).await;
        store.set_state(&run, RunState::Running, None).await.unwrap();
        let rolled_back = Event::RolledBack {
            checkpoint: CheckpointId { segment: 0, step: 20 },
            from_segment: 0,
            from_step: 31,
            skip_batches: 0,
            best_valid: None,
        };
        let mut items = values(0, &[(9, 3.0), (19, 2.0), (29, 9.0)]);
        let report = report(wire::control::author::Author::System, 20, rolled_back, None);
        items.push(Item::Event(wire::transport::link::Report { segment: 1, ..report }));
        store.ingest(&run, 1, items).await.unwrap();
        let path = async || -> Vec<(u64, f64)> {
            let buckets = on_path(&store, &run, "loss.valid", 100).await.unwrap();
            buckets.iter().map(|bucket| (bucket.step, bucket.mean)).collect()
        };
        assert_eq!(path().await, [(9, 3.0), (19, 2.0)], "the run returned to step 20");
        store.ingest(&run, 5, values(1, &[(29, 2.5), (39, 1.5)])).await.unwrap();
        assert_eq!(path().await, [(9, 3.0), (19, 2.0), (29, 2.5), (39, 1.5)]);
    }
}
