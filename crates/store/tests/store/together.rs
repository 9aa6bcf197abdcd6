//! Reports of several runs that arrive at once: they are stored in shared transactions, each run as if it were alone.

use std::time::Duration;

use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use store::{ImportedRun, SeriesQuery, Store, StoreError};
use testing::Random;
use tokio::task::JoinSet;
use tokio::time::timeout;
use wire::series::{Axis, name};
use wire::transport::link::Item;
use wire::{Event, RunId, RunState};

use crate::setup::{new_run, report, row};

const RUNS: u64 = 12;

/// Report number `seq`: every fifth is an event, the rest are rows.
fn item(seq: u64) -> Item {
    match seq % 5 {
        0 => Item::Event(report(seq, Event::Annotated { text: seq.to_string() }, None)),
        _ => row(seq, &[(name::TRAIN, seq as f64), (name::SECS, seq as f64 / 10.0)]),
    }
}

fn items(from: u64, count: u64) -> Vec<Item> {
    (from..from + count).map(item).collect()
}

async fn store_with_runs(dir: &std::path::Path) -> (Store, Vec<RunId>) {
    let store = Store::open(dir).await.unwrap();
    let mut runs = vec![];
    for number in 0..RUNS {
        let run = new_run(&format!("run-{number}"), "cpu");
        store.create_run(&run).await.unwrap();
        store.set_state(&run.id, RunState::Running, None).await.unwrap();
        runs.push(run.id);
    }
    (store, runs)
}

/// Checks that every report of a run up to `seq` is stored once.
async fn check_whole(store: &Store, run: &RunId, seq: u64) {
    assert_eq!(store.stored_seq(run).await.unwrap(), seq, "{run}");
    let query = SeriesQuery { names: vec![name::TRAIN.into()], axis: Axis::Step, from: None, to: None, points: 5000 };
    let windows = store.series(run, query).await.unwrap();
    let steps: Vec<u64> = windows.iter().flat_map(|window| &window.buckets).map(|bucket| bucket.step).collect();
    assert_eq!(steps, (1..=seq).filter(|seq| seq % 5 != 0).collect::<Vec<_>>(), "{run}");
    let events = store.events(run, 1, 10_000).await.unwrap();
    let notes: Vec<String> = events.iter().map(|record| record.event.phrase()).collect();
    let expected: Vec<String> = (1..=seq).filter(|seq| seq % 5 == 0).map(|seq| seq.to_string()).collect();
    assert_eq!(notes, expected, "{run}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_imported_several_times_at_once_is_stored_once_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let points: Vec<u8> =
        (0..500u64).flat_map(|step| [step.to_le_bytes(), (step as f64).to_le_bytes()].concat()).collect();
    let mut tasks = JoinSet::new();
    for number in 0..4 {
        let folder = dir.path().join(format!("upload-{number}"));
        let (file, checkpoints) = (folder.join("points"), folder.join("checkpoints"));
        std::fs::create_dir_all(&checkpoints).unwrap();
        std::fs::write(&file, &points).unwrap();
        let run = ImportedRun {
            run: new_run("amber-fox-7k2q", "cpu"),
            events: vec![],
            state: RunState::Finished,
            message: None,
            curves: vec![(0, name::TRAIN.to_owned(), file)],
            checkpoints,
            pinned: vec![],
        };
        let store = store.clone();
        tasks.spawn(async move { store.import_run(run).await });
    }
    let (stored, refused): (Vec<_>, Vec<_>) = tasks.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!(stored.len(), 1);
    assert!(refused.iter().all(|error| matches!(error, Err(StoreError::RunExists { .. }))), "{refused:?}");
    let run = stored.into_iter().next().unwrap().unwrap().id;
    let query = SeriesQuery { names: vec![name::TRAIN.into()], axis: Axis::Step, from: None, to: None, points: 5000 };
    let windows = store.series(&run, query).await.unwrap();
    assert_eq!(windows.iter().map(|window| window.buckets.len()).sum::<usize>(), 500);
    assert!(dir.path().join("checkpoints").join(run.as_str()).is_dir());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_that_report_at_once_are_stored_as_if_each_were_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (store, runs) = store_with_runs(dir.path()).await;
    let mut tasks = JoinSet::new();
    for run in runs.clone() {
        let (store, mut random) = (store.clone(), Random::new(testing::seed(3)));
        tasks.spawn(async move {
            let mut next = 1;
            for _ in 0..30 {
                let count = 1 + random.below(20);
                let stored = store.ingest(&run, next, items(next, count)).await.unwrap();
                next += count;
                assert_eq!((stored.stored_seq, stored.summary.id), (next - 1, run.clone()));
            }
            (run, next - 1)
        });
    }
    // Reports of a run that does not exist are refused meanwhile.
    let nobody: RunId = "nobody".parse().unwrap();
    for _ in 0..20 {
        let refused = store.ingest(&nobody, 1, items(1, 1)).await;
        assert!(matches!(refused, Err(StoreError::UnknownRun { .. })), "{refused:?}");
    }
    for (run, last) in tasks.join_all().await {
        check_whole(&store, &run, last).await;
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_cannot_be_read_keeps_no_other_from_being_stored() {
    let dir = tempfile::tempdir().unwrap();
    let (store, runs) = store_with_runs(dir.path()).await;
    let options = SqliteConnectOptions::new().filename(dir.path().join("lab.db"));
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("UPDATE runs SET progress = '' WHERE id = 'run-0'").execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    let mut tasks = JoinSet::new();
    for run in runs {
        let store = store.clone();
        tasks.spawn(async move {
            let stored = store.ingest(&run, 1, items(1, 20)).await;
            (run, stored)
        });
    }
    for (run, stored) in tasks.join_all().await {
        match run.as_str() {
            "run-0" => assert!(matches!(stored, Err(StoreError::Unreadable { .. })), "{stored:?}"),
            _ => check_whole(&store, &run, stored.unwrap().stored_seq).await,
        }
    }
    store.close().await;
}

/// A server that stops drops the futures that store reports; the reports of each are then stored completely or not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_whose_sender_no_longer_waits_are_not_stored_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (store, runs) = store_with_runs(dir.path()).await;
    let mut tasks = JoinSet::new();
    for run in runs {
        let (store, mut random) = (store.clone(), Random::new(testing::seed(4)));
        tasks.spawn(async move {
            for _ in 0..40 {
                let first = store.stored_seq(&run).await.unwrap() + 1;
                let patience = Duration::from_micros(random.below(6000));
                let _ = timeout(patience, store.ingest(&run, first, items(first, 1 + random.below(9)))).await;
            }
            // The number that is read may be that before reports which are still being stored; these are dropped.
            let first = store.stored_seq(&run).await.unwrap() + 1;
            let last = store.ingest(&run, first, items(first, 20)).await.unwrap().stored_seq;
            check_whole(&store, &run, last).await;
        });
    }
    tasks.join_all().await;
    store.close().await;
}
