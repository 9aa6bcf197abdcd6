//! Scores of evaluation tasks: stored with their events, in the series whatever the order in which they come, and written after a kill.

use std::fs;

use store::{Scored, SeriesQuery, Store, StoreError};
use testing::Random;
use wire::control::checkpoint::{Cause, CheckpointInfo};
use wire::series::Axis;
use wire::task::TaskKind;
use wire::task::lab::TaskSchedule;
use wire::task::result::{TaskMetric, TaskResult};
use wire::transport::link::Item;
use wire::{CheckpointId, Event, RunId, RunState};

use crate::setup::{report, store_with_run};

const ACCURACY: &str = "eval/capitals/accuracy";

fn result(accuracy: f64) -> TaskResult {
    let metrics = vec![TaskMetric::new("accuracy", accuracy), TaskMetric::new("answer_nats_per_token", f64::NAN)];
    let task = "capitals".parse().unwrap();
    TaskResult { task, kind: TaskKind::MultipleChoice, items: 10, correct: Some(1), metrics }
}

async fn score(store: &Store, run: &RunId, step: u64, accuracy: f64) -> Result<Scored, StoreError> {
    let (checkpoint, result) = (CheckpointId { segment: 0, step }, result(accuracy));
    let event = Event::Scored { task: "capitals".into(), checkpoint, score: result.phrase() };
    store.put_task_result(run, checkpoint, &result, report(0, event, None)).await
}

/// The points of the series, from the steps whose updates gave the checkpoints.
async fn points(store: &Store, run: &RunId) -> Vec<(u64, f64)> {
    let query = SeriesQuery { names: vec![ACCURACY.into()], axis: Axis::Step, from: None, to: None, points: 1000 };
    let windows = store.series(run, query).await.unwrap();
    windows.iter().flat_map(|window| &window.buckets).map(|bucket| (bucket.step, bucket.mean)).collect()
}

#[tokio::test]
async fn scores_in_any_order_are_one_series() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let mut random = Random::new(testing::seed(5));
    // Enough for a level of buckets above the points; most steps come several times.
    let mut known = std::collections::BTreeMap::new();
    for value in 0..150 {
        let step = 10 * (1 + random.below(60));
        let is_last = known.keys().next_back().is_none_or(|last| *last < step);
        let scored = score(&store, &run, step, f64::from(value)).await.unwrap();
        let is_newest = is_last || known.keys().next_back() == Some(&step);
        let expected = if is_newest { vec![(ACCURACY.to_owned(), f64::from(value))] } else { vec![] };
        assert_eq!(scored.row.values, expected, "a value that is not finite is left out");
        known.insert(step, f64::from(value));
    }
    let expected: Vec<(u64, f64)> = known.iter().map(|(step, value)| (step - 1, *value)).collect();
    assert_eq!(points(&store, &run).await, expected);
    assert_eq!(store.task_results(&run).await.unwrap().len(), expected.len());
    assert!(store.series_names(&run).await.unwrap().contains(&ACCURACY.to_owned()));
    let events = store.events(&run, 0, 5000).await.unwrap();
    let scored = events.iter().filter(|record| matches!(record.event, Event::Scored { .. })).count();
    assert_eq!(scored, 150);
    store.close().await;
    let store = Store::open(dir.path()).await.unwrap();
    assert_eq!(points(&store, &run).await, expected);
    let overview = SeriesQuery { names: vec![ACCURACY.into()], axis: Axis::Step, from: None, to: None, points: 4 };
    let buckets = store.series(&run, overview).await.unwrap().remove(0).buckets;
    let mean = buckets.iter().map(|bucket| bucket.mean * bucket.count as f64).sum::<f64>() / expected.len() as f64;
    let of_all = expected.iter().map(|(_, value)| value).sum::<f64>() / expected.len() as f64;
    assert!((mean - of_all).abs() < 1e-9, "the levels are computed again: {mean} {of_all}");
}

#[tokio::test]
async fn a_score_that_was_stored_and_not_written_is_written_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    score(&store, &run, 20, 0.5).await.unwrap();
    let (folder, away) = (dir.path().join("series").join(run.as_str()), dir.path().join("away"));
    fs::rename(&folder, &away).unwrap();
    let missing = score(&store, &run, 10, 0.25).await.unwrap_err();
    assert!(matches!(missing, StoreError::RunFolderMissing { .. }), "{missing}");
    store.close().await;
    let store = Store::open(dir.path()).await.unwrap();
    assert_eq!(store.task_results(&run).await.unwrap().len(), 2, "it is stored");
    store.close().await;
    fs::rename(&away, &folder).unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    assert_eq!(points(&store, &run).await, [(9, 0.25), (19, 0.5)]);
}

#[tokio::test]
async fn a_schedule_asks_for_each_checkpoint_at_its_interval_once() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let saved = |step: u64, cause: Cause| {
        let id = CheckpointId { segment: 0, step };
        let (at_ms, hash) = (1, String::new());
        let (loss_train, loss_valid, best_valid) = (None, None, None);
        let checkpoint =
            CheckpointInfo { id, cause, at_ms, bytes: 1, hash, changes: 0, loss_train, loss_valid, best_valid };
        Item::Event(report(step, Event::Checkpointed { checkpoint }, None))
    };
    let items = vec![
        saved(10, Cause::Interval),
        saved(15, Cause::Requested),
        saved(20, Cause::Interval),
        saved(23, Cause::End),
    ];
    store.ingest(&run, 1, items).await.unwrap();
    let due = async || -> Vec<u64> {
        store.due_scores().await.unwrap().into_iter().map(|(_, _, checkpoint)| checkpoint.step).collect()
    };
    assert!(due().await.is_empty());
    let schedule = TaskSchedule { task: "capitals".parse().unwrap(), every: 10 };
    store.set_task_schedules(&run, std::slice::from_ref(&schedule)).await.unwrap();
    assert_eq!(due().await, [10, 20, 23]);
    score(&store, &run, 20, 0.5).await.unwrap();
    assert_eq!(due().await, [10, 23]);
    assert_eq!(store.task_schedules(&run).await.unwrap(), [schedule]);
    store.set_state(&run, RunState::Stopped, None).await.unwrap();
    store.delete_run(&run, 1).await.unwrap();
    assert!(due().await.is_empty(), "a deleted run is not scored");
}

#[tokio::test]
async fn a_task_is_added_once_and_its_deletion_ends_its_schedules() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let task: wire::task::Task =
        serde_json::from_str(r#"{"name":"capitals","kind":"perplexity","items":[{"text":"a"},{"text":"b"}]}"#).unwrap();
    store.add_task(&task).await.unwrap();
    assert!(matches!(store.add_task(&task).await.unwrap_err(), StoreError::TaskExists { .. }));
    assert_eq!(store.task(&task.name).await.unwrap(), Some(task.clone()));
    let listed = store.tasks().await.unwrap();
    assert_eq!((listed.len(), listed[0].items, listed[0].kind), (1, 2, TaskKind::Perplexity));
    store.set_task_schedules(&run, &[TaskSchedule { task: task.name.clone(), every: 1 }]).await.unwrap();
    assert!(store.remove_task(&task.name).await.unwrap() && !store.remove_task(&task.name).await.unwrap());
    assert!(store.task_schedules(&run).await.unwrap().is_empty() && store.tasks().await.unwrap().is_empty());
}
