//! What goes wrong: killed at any instant, a full disk, a removed folder, a second lab on one folder. Nothing acknowledged is
//! lost, nothing is there twice, and the message says what to do.

use std::time::Duration;

use store::{SeriesQuery, Store, StoreError};
use wire::link::Item;
use wire::series::{Axis, name};
use wire::{Event, RunId};

use crate::doomed::{ingest_for_ever, kill_soon};
use crate::lab::{Random, new_run, open_with_run, report, row};

/// Report number `seq`: every tenth is an event, the rest are rows, one step each.
fn item(seq: u64) -> Item {
    if seq % 10 == 0 {
        return Item::Event(report(seq, Event::Annotated { text: seq.to_string() }, None));
    }
    row(seq, &[(name::TRAIN, seq as f64), (name::SECS, seq as f64 / 10.0)])
}

fn items(from: u64, count: u64) -> Vec<Item> {
    (from..from + count).map(item).collect()
}

async fn train_curve(store: &Store, run: &RunId) -> Vec<u64> {
    let query = SeriesQuery { names: vec![name::TRAIN.into()], axis: Axis::Step, from: None, to: None, points: 5000 };
    let windows = store.series(run, query).await.unwrap();
    let Some(window) = windows.first() else { return vec![] };
    assert!(window.is_exact);
    window.buckets.iter().map(|bucket| bucket.step).collect()
}

/// Everything up to `seq` is there, once.
async fn check_whole(store: &Store, run: &RunId, seq: u64) {
    let expected: Vec<u64> = (1..=seq).filter(|seq| seq % 10 != 0).collect();
    assert_eq!(train_curve(store, run).await, expected);
    let notes: Vec<String> =
        store.events(run, 1, 10_000).await.unwrap().iter().map(|record| record.event.phrase()).collect();
    let expected: Vec<String> = (1..=seq).filter(|seq| seq % 10 == 0).map(|seq| seq.to_string()).collect();
    assert_eq!(notes, expected);
}

/// The process that [`a_killed_lab_loses_and_doubles_nothing`] kills; by itself it does nothing.
#[tokio::test]
async fn doomed() {
    ingest_for_ever(40, items).await;
}

#[tokio::test]
async fn a_killed_lab_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = open_with_run(dir.path()).await;
    store.close().await;
    let mut random = Random(7);
    for _ in 0..10 {
        let last = kill_soon("faults::doomed", dir.path(), Duration::from_millis(30), &mut random);
        let store = Store::open(dir.path()).await.unwrap();
        let stored = store.stored_seq(&run).await.unwrap();
        assert!(stored >= last, "{last} was acknowledged, {stored} is stored");
        let done = store.ingest(&run, stored + 1, items(stored + 1, 60)).await.unwrap();
        assert_eq!(done.stored_seq, stored + 60);
        check_whole(&store, &run, stored + 60).await;
        store.close().await;
    }
}

/// The instant between curves and database, made certain: the database is put back to before, the curves stay ahead.
#[tokio::test]
async fn curves_ahead_of_the_database_are_not_doubled() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = open_with_run(dir.path()).await;
    store.ingest(&run, 1, items(1, 25)).await.unwrap();
    store.close().await;
    let before = std::fs::read(dir.path().join("lab.db")).unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    store.ingest(&run, 26, items(26, 10)).await.unwrap();
    store.close().await;
    std::fs::write(dir.path().join("lab.db"), before).unwrap();

    let store = Store::open(dir.path()).await.unwrap();
    assert_eq!(store.stored_seq(&run).await.unwrap(), 25);
    let done = store.ingest(&run, 26, items(26, 12)).await.unwrap();
    let new: Vec<u64> = done.rows.iter().map(|row| row.step).collect();
    assert_eq!((done.stored_seq, done.events.len(), done.summary.step), (37, 1, 38));
    assert_eq!(new, [36, 37], "only these were not on the curves");
    check_whole(&store, &run, 37).await;
}

#[tokio::test]
async fn numbers_already_stored_are_dropped_and_gaps_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = open_with_run(dir.path()).await;
    store.ingest(&run, 1, items(1, 30)).await.unwrap();
    let again = store.ingest(&run, 1, items(1, 30)).await.unwrap();
    assert!(again.rows.is_empty() && again.events.is_empty() && again.stored_seq == 30);
    let older = store.ingest(&run, 1, items(1, 5)).await.unwrap();
    assert_eq!(older.stored_seq, 30);
    let error = store.ingest(&run, 33, items(33, 1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Gap { expected: 31, got: 33, .. }), "{error}");
    store.ingest(&run, 25, items(25, 10)).await.unwrap();
    check_whole(&store, &run, 34).await;
    let nobody = "nobody".parse().unwrap();
    assert!(matches!(store.ingest(&nobody, 1, items(1, 1)).await, Err(StoreError::UnknownRun { .. })));
}

/// The system's own full disk, `/dev/full`, in place of one level of one curve.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_acknowledges_nothing_and_goes_on_when_there_is_space() {
    for level in [0, 1, 2] {
        let dir = tempfile::tempdir().unwrap();
        let (store, run) = open_with_run(dir.path()).await;
        store.ingest(&run, 1, items(1, 5)).await.unwrap();
        let file = dir.path().join(format!("series/{run}/0/{}.l{level}", name::TRAIN));
        let kept = std::fs::read(&file).ok();
        let _ = std::fs::remove_file(&file);
        std::os::unix::fs::symlink("/dev/full", &file).unwrap();
        for _ in 0..2 {
            let error = store.ingest(&run, 6, items(6, 400)).await.unwrap_err();
            assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
            assert!(error.to_string().contains("free some space"));
            assert_eq!(store.stored_seq(&run).await.unwrap(), 5);
        }
        std::fs::remove_file(&file).unwrap();
        if let Some(bytes) = kept {
            std::fs::write(&file, bytes).unwrap();
        }
        assert_eq!(store.ingest(&run, 6, items(6, 400)).await.unwrap().stored_seq, 405);
        check_whole(&store, &run, 405).await;
    }
}

#[tokio::test]
async fn a_removed_run_folder_is_named_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = open_with_run(dir.path()).await;
    store.ingest(&run, 1, items(1, 50)).await.unwrap();
    let (folder, away) = (dir.path().join(format!("series/{run}")), dir.path().join("away"));
    std::fs::rename(&folder, &away).unwrap();
    let query = SeriesQuery { names: vec![name::TRAIN.into()], axis: Axis::Step, from: None, to: None, points: 100 };
    let errors = [
        store.series(&run, query).await.unwrap_err(),
        store.series_names(&run).await.unwrap_err(),
        store.ingest(&run, 51, items(51, 20)).await.unwrap_err(),
    ];
    for error in errors {
        assert!(
            matches!(error, StoreError::RunFolderMissing { .. }) && error.to_string().contains("backup"),
            "{error}"
        );
    }
    assert_eq!(store.runs(false).await.unwrap().len(), 1, "the lab goes on");
    std::fs::rename(&away, &folder).unwrap();
    store.ingest(&run, 51, items(51, 20)).await.unwrap();
    check_whole(&store, &run, 70).await;
}

#[tokio::test]
async fn a_folder_serves_one_lab_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_with_run(dir.path()).await;
    let Err(error) = Store::open(dir.path()).await else { panic!("two labs in one folder") };
    assert!(matches!(error, StoreError::Locked { pid, .. } if pid == std::process::id()), "{error}");
    store.close().await;
    let store = Store::open(dir.path()).await.unwrap();
    assert!(matches!(store.create_run(&new_run("amber-fox-7k2q", "cpu")).await, Err(StoreError::RunExists { .. })));
}
