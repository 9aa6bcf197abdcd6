//! Failures: a process killed at any moment, a full disk, a power cut, a removed folder, a second process on one folder. Nothing that was
//! acknowledged is lost, nothing is stored twice, and the message says what to do.

use std::time::Duration;

use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use store::{SeriesQuery, Store, StoreError};
use testing::Random;
use wire::series::{Axis, name};
use wire::transport::link::Item;
use wire::{Event, RunId, RunState};

use crate::killed::{ingest_until_killed, start_and_kill};
use crate::setup::{new_run, report, row, store_with_run};

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

/// Checks that every report up to `seq` is stored once.
async fn check_whole(store: &Store, run: &RunId, seq: u64) {
    let expected: Vec<u64> = (1..=seq).filter(|seq| seq % 10 != 0).collect();
    assert_eq!(train_curve(store, run).await, expected);
    let notes: Vec<String> =
        store.events(run, 1, 10_000).await.unwrap().iter().map(|record| record.event.phrase()).collect();
    let expected: Vec<String> = (1..=seq).filter(|seq| seq % 10 == 0).map(|seq| seq.to_string()).collect();
    assert_eq!(notes, expected);
}

/// The process that [`a_killed_server_loses_nothing_and_stores_nothing_twice`] kills; without its folder it does nothing.
#[tokio::test]
async fn killed() {
    ingest_until_killed(40, items).await;
}

#[tokio::test]
async fn a_killed_server_loses_nothing_and_stores_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    store.close().await;
    let mut random = Random::new(testing::seed(7));
    for _ in 0..10 {
        let last = start_and_kill("faults::killed", dir.path(), Duration::from_millis(30), &mut random);
        let store = Store::open(dir.path()).await.unwrap();
        let stored = store.stored_seq(&run).await.unwrap();
        assert!(stored >= last, "{last} was acknowledged, {stored} is stored");
        let done = store.ingest(&run, stored + 1, items(stored + 1, 60)).await.unwrap();
        assert_eq!(done.stored_seq, stored + 60);
        check_whole(&store, &run, stored + 60).await;
        // Points of a run that trains stay in memory and in the database; those of another one are synced after each batch.
        let state = if random.below(2) == 0 { RunState::Running } else { RunState::Queued };
        store.set_state(&run, state, None).await.unwrap();
        store.close().await;
    }
}

/// A crash between series and database: the database file is replaced by an earlier copy, the series are ahead.
#[tokio::test]
async fn points_ahead_of_the_database_are_not_stored_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
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
    assert_eq!(new, [36, 37], "only these were not in the series");
    check_whole(&store, &run, 37).await;
}

#[tokio::test]
async fn repeated_reports_are_dropped_and_gaps_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
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

/// `/dev/full`, the full disk of the system, in place of one level of a series.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_acknowledges_nothing_and_ingestion_continues_once_there_is_space() {
    for level in [0, 1, 2] {
        let dir = tempfile::tempdir().unwrap();
        let (store, run) = store_with_run(dir.path()).await;
        store.ingest(&run, 1, items(1, 100)).await.unwrap();
        let file = dir.path().join(format!("series/{run}/0/{}.l{level}", name::TRAIN));
        let kept = std::fs::read(&file).ok();
        let _ = std::fs::remove_file(&file);
        std::os::unix::fs::symlink("/dev/full", &file).unwrap();
        for _ in 0..2 {
            let error = store.ingest(&run, 101, items(101, 400)).await.unwrap_err();
            assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
            assert!(error.to_string().contains("free some space"));
            assert_eq!(store.stored_seq(&run).await.unwrap(), 100);
        }
        std::fs::remove_file(&file).unwrap();
        if let Some(bytes) = kept {
            std::fs::write(&file, bytes).unwrap();
        }
        assert_eq!(store.ingest(&run, 101, items(101, 400)).await.unwrap().stored_seq, 500);
        check_whole(&store, &run, 500).await;
    }
}

/// The points of one series are written, those of the next one are not. Those of the first come again, and are not new then.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn points_that_a_full_disk_left_in_one_series_are_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    store.set_state(&run, RunState::Running, None).await.unwrap();
    store.ingest(&run, 1, items(1, 100)).await.unwrap();
    let file = dir.path().join(format!("series/{run}/0/{}.l0", name::SECS));
    let kept = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/dev/full", &file).unwrap();
    let error = store.ingest(&run, 101, items(101, 400)).await.unwrap_err();
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, kept).unwrap();
    store.ingest(&run, 101, items(101, 400)).await.unwrap();
    store.close().await;
    let store = Store::open(dir.path()).await.unwrap();
    check_whole(&store, &run, 500).await;
}

/// A disk that is mounted late: the few points of a series that only the database has are written once the folder is there.
#[tokio::test]
async fn a_run_folder_that_is_missing_at_the_start_gets_its_points_with_the_next_report() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    store.set_state(&run, RunState::Running, None).await.unwrap();
    store.ingest(&run, 1, items(1, 15)).await.unwrap();
    store.close().await;
    let (folder, away) = (dir.path().join(format!("series/{run}")), dir.path().join("away"));
    std::fs::rename(&folder, &away).unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    std::fs::rename(&away, &folder).unwrap();
    store.ingest(&run, 16, items(16, 5)).await.unwrap();
    check_whole(&store, &run, 20).await;
}

#[tokio::test]
async fn a_removed_run_folder_is_reported_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
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
    assert_eq!(store.runs(false).await.unwrap().len(), 1, "the lab continues");
    std::fs::rename(&away, &folder).unwrap();
    store.ingest(&run, 51, items(51, 20)).await.unwrap();
    check_whole(&store, &run, 70).await;
}

#[tokio::test]
async fn a_folder_is_used_by_one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = store_with_run(dir.path()).await;
    let Err(error) = Store::open(dir.path()).await else { panic!("two processes in one folder") };
    assert!(matches!(error, StoreError::Locked { pid, .. } if pid == std::process::id()), "{error}");
    store.close().await;
    let store = Store::open(dir.path()).await.unwrap();
    assert!(matches!(store.create_run(&new_run("amber-fox-7k2q", "cpu")).await, Err(StoreError::RunExists { .. })));
}

async fn losses(store: &Store, run: &RunId) -> Vec<(u64, f64)> {
    let query = SeriesQuery { names: vec![name::TRAIN.into()], axis: Axis::Step, from: None, to: None, points: 5000 };
    let windows = store.series(run, query).await.unwrap();
    windows.iter().flat_map(|window| &window.buckets).map(|bucket| (bucket.step, bucket.mean)).collect()
}

/// The database is synced before anything is acknowledged; the files of the series may lose anything in a power cut.
#[tokio::test]
async fn a_power_cut_that_damages_curves_loses_nothing_acknowledged() {
    for damage in ["cut", "zeroed", "half", "gone", "nonsense"] {
        let dir = tempfile::tempdir().unwrap();
        let (store, run) = store_with_run(dir.path()).await;
        store.set_state(&run, RunState::Running, None).await.unwrap();
        for batch in 0..10u64 {
            let rows = (batch * 40..batch * 40 + 40).map(|step| row(step, &[(name::TRAIN, step as f64 / 7.0)]));
            store.ingest(&run, batch * 40 + 1, rows.collect()).await.unwrap();
        }
        let before = losses(&store, &run).await;
        store.close().await;
        for level in 0..3 {
            let file = dir.path().join(format!("series/{run}/0/loss.train.l{level}"));
            let Ok(bytes) = std::fs::read(&file) else { continue };
            let half = bytes.len() / 2 - bytes.len() / 2 % 16;
            match damage {
                "cut" => std::fs::write(&file, &bytes[..half + 3]).unwrap(),
                "zeroed" => std::fs::write(&file, [&bytes[..half], &vec![0; bytes.len() - half]].concat()).unwrap(),
                // Pages reach the disk in any order: the end may be there without the middle.
                "half" => {
                    let mut torn = bytes.clone();
                    torn[half / 2..half].fill(0);
                    std::fs::write(&file, torn).unwrap();
                }
                "gone" => std::fs::remove_file(&file).unwrap(),
                _ => std::fs::write(&file, vec![0xAB; bytes.len()]).unwrap(),
            }
        }
        let store = Store::open(dir.path()).await.unwrap();
        assert_eq!(losses(&store, &run).await, before, "{damage}");
        let next = store.ingest(&run, 401, vec![row(400, &[(name::TRAIN, 0.0)])]).await.unwrap();
        assert_eq!((next.stored_seq, next.rows.len(), losses(&store, &run).await.len()), (401, 1, 401), "{damage}");
        // Once a run has released its device, its files are synced and the copies deleted.
        let ended = Item::Event(report(401, Event::Finished, Some(RunState::Finished)));
        store.ingest(&run, 402, vec![ended]).await.unwrap();
        store.close().await;
        let options = SqliteConnectOptions::new().filename(dir.path().join("lab.db"));
        let mut database = SqliteConnection::connect_with(&options).await.unwrap();
        let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM unsynced").fetch_one(&mut database).await.unwrap();
        assert_eq!(left, 0, "{damage}");
    }
}
