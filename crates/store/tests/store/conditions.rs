//! Conditions on metrics raise one alert for each crossing, by whatever way and however often the values are stored.

use std::fs;

use store::{Store, StoreError};
use wire::access::{Grants, Role};
use wire::alert::{ConditionView, NewCondition, Side};
use wire::task::TaskKind;
use wire::task::result::{TaskMetric, TaskResult};
use wire::transport::link::Item;
use wire::{CheckpointId, Event, RunId};

use crate::setup::{new_run, report, row, store_with_run};

const ACCURACY: &str = "eval/capitals/accuracy";

async fn state(store: &Store, run: Option<&RunId>, series: &str, side: Side, threshold: f64) -> ConditionView {
    let (run, series) = (run.cloned(), series.to_owned());
    let condition = NewCondition { run, project: None, series, side, threshold, is_urgent: false };
    store.add_condition(condition, "ada").await.unwrap()
}

async fn score(store: &Store, run: &RunId, step: u64, accuracy: f64) -> Result<(), StoreError> {
    let (task, metrics) = ("capitals".parse().unwrap(), vec![TaskMetric::new("accuracy", accuracy)]);
    let result = TaskResult { task, kind: TaskKind::MultipleChoice, items: 10, correct: Some(1), metrics };
    let checkpoint = CheckpointId { segment: 0, step };
    let event = Event::Scored { task: "capitals".into(), checkpoint, score: result.phrase() };
    store.put_task_result(run, checkpoint, &result, report(0, event, None)).await.map(drop)
}

/// The steps of all alerts, oldest first.
async fn alerts(store: &Store) -> Vec<u64> {
    let found = store.alerts(&Grants::of_lab(Role::View), 0, 100).await.unwrap();
    found.iter().rev().filter_map(|alert| alert.step).collect()
}

fn losses(from: u64, values: &[f64]) -> Vec<Item> {
    (from..).zip(values).map(|(step, value)| row(step, &[("loss.train", *value), ("tokens", 1.0)])).collect()
}

#[tokio::test]
async fn reports_raise_one_alert_per_crossing_also_when_they_are_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    store.ingest(&run, 1, losses(0, &[9.0, 9.0])).await.unwrap();
    let condition = state(&store, Some(&run), "loss.train", Side::Above, 5.0).await;
    assert_eq!(
        (condition.run_name.as_deref(), condition.project.as_deref()),
        (Some("amber-fox-7k2q"), Some("default"))
    );
    assert!(alerts(&store).await.is_empty(), "values from before the condition raise none");
    store.ingest(&run, 3, losses(2, &[4.0, 6.0, 7.0])).await.unwrap();
    store.ingest(&run, 3, losses(2, &[4.0, 6.0, 7.0])).await.unwrap();
    assert_eq!(alerts(&store).await, [3]);
    // Nine values that do not meet it are too few, ten are enough.
    let back = |count: usize| [vec![4.0; count], vec![6.0]].concat();
    store.ingest(&run, 6, losses(5, &back(9))).await.unwrap();
    assert_eq!(alerts(&store).await, [3]);
    store.close().await;
    let store = Store::open(dir.path()).await.unwrap();
    store.ingest(&run, 16, losses(15, &back(10))).await.unwrap();
    assert_eq!(alerts(&store).await, [3, 25], "also where the process was restarted in between");
    assert!(
        store.remove_condition(condition.id).await.unwrap() && !store.remove_condition(condition.id).await.unwrap()
    );
    store.ingest(&run, 27, losses(26, &back(20))).await.unwrap();
    assert_eq!(alerts(&store).await, [3, 25]);
}

#[tokio::test]
async fn a_condition_holds_for_a_run_a_project_or_the_lab() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    store.add_project("vision", &Default::default()).await.unwrap();
    let mut other = new_run("other", "cpu");
    other.spec.project = Some("vision".to_owned());
    store.create_run(&other).await.unwrap();
    let of_run = state(&store, Some(&run), "grad_norm", Side::Above, 1.0).await;
    let of_project = NewCondition {
        run: None,
        project: Some("vision".to_owned()),
        series: "grad_norm".to_owned(),
        side: Side::Above,
        threshold: 2.0,
        is_urgent: true,
    };
    let unknown = NewCondition { project: Some("speech".to_owned()), ..of_project.clone() };
    let refused = store.add_condition(unknown, "ada").await.unwrap_err();
    assert!(matches!(refused, StoreError::UnknownProject { .. }), "{refused}");
    let of_project = store.add_condition(of_project, "ada").await.unwrap();
    let of_lab = state(&store, None, "grad_norm", Side::Above, 3.0).await;
    let ids = async |run: &RunId| -> Vec<i64> {
        store.conditions_of(run).await.unwrap().iter().map(|condition| condition.id).collect()
    };
    assert_eq!(ids(&run).await, [of_run.id, of_lab.id]);
    assert_eq!(ids(&other.id).await, [of_project.id, of_lab.id]);
    for run in [&run, &other.id] {
        store.ingest(run, 1, vec![row(0, &[("grad_norm", 4.0)])]).await.unwrap();
    }
    let found = store.alerts(&Grants::of_lab(Role::View), 0, 100).await.unwrap();
    let mut titles: Vec<(&str, bool)> = found.iter().map(|alert| (alert.title.as_str(), alert.is_urgent)).collect();
    titles.sort_unstable();
    let expected = [
        ("amber-fox-7k2q: grad_norm above 1", false),
        ("amber-fox-7k2q: grad_norm above 3", false),
        ("other: grad_norm above 2", true),
        ("other: grad_norm above 3", false),
    ];
    assert_eq!(titles, expected);
}

#[tokio::test]
async fn a_score_raises_an_alert_and_an_earlier_checkpoint_none() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    state(&store, None, ACCURACY, Side::Below, 0.5).await;
    for (step, accuracy) in [(10, 0.75), (30, 0.25), (30, 0.25), (20, 0.25), (40, 0.25), (50, 0.75), (45, 0.25)] {
        score(&store, &run, step, accuracy).await.unwrap();
    }
    assert_eq!(alerts(&store).await, [29]);
    score(&store, &run, 60, 0.25).await.unwrap();
    assert_eq!(alerts(&store).await, [29, 59], "it had recovered at step 50");
}

#[tokio::test]
async fn a_score_that_is_written_at_the_next_start_raises_its_alert_then() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    state(&store, Some(&run), ACCURACY, Side::Above, 0.9).await;
    score(&store, &run, 10, 0.5).await.unwrap();
    let (folder, away) = (dir.path().join("series").join(run.as_str()), dir.path().join("away"));
    fs::rename(&folder, &away).unwrap();
    score(&store, &run, 20, 0.95).await.unwrap_err();
    assert!(alerts(&store).await.is_empty());
    store.close().await;
    fs::rename(&away, &folder).unwrap();
    for _ in 0..2 {
        let store = Store::open(dir.path()).await.unwrap();
        assert_eq!(alerts(&store).await, [19]);
        store.close().await;
    }
}
