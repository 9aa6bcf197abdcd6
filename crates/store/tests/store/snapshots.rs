//! Snapshots: each stored once, within the size limit, read along the path, deleted with their run.

use std::path::Path;
use std::time::Duration;

use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use store::{NewRun, Store, StoreError};
use testing::Random;
use wire::control::checkpoint::Cause;
use wire::inspect::request::{Inspection, InspectionText, is_snapshot_step};
use wire::inspect::result::{HeatMap, InspectionResult};
use wire::inspect::update::{InspectionOverhead, InspectionUpdate};
use wire::transport::link::Item;
use wire::{Event, RunId, RunState};

use crate::killed::{ingest_until_killed, start_and_kill};
use crate::setup::{new_run, report, row, store_with_run};
use crate::steering::{Worker, fork_of, id, info};

pub(crate) fn attention(layer: u32) -> Inspection {
    Inspection::Attention { text: InspectionText::default(), layer }
}

/// A snapshot of about `bytes` bytes that contains its segment and step.
pub(crate) fn snapshot(segment: u32, step: u64, layer: u32, bytes: usize) -> InspectionUpdate {
    let cells = vec![(step % 251) as u8; bytes];
    let pattern = HeatMap { rows: 1, columns: bytes as u32, low: segment as f32, high: step as f32, cells };
    let result = InspectionResult::Attention { tokens: vec![], patterns: vec![pattern], heads: vec![] };
    InspectionUpdate::Result {
        step,
        segment,
        inspection: attention(layer),
        result,
        overhead: InspectionOverhead::default(),
    }
}

fn item_of(update: InspectionUpdate) -> Item {
    Item::Snapshot(Box::new(update))
}

async fn steps_of(store: &Store, run: &RunId, layer: u32) -> Vec<u64> {
    let found = store.snapshots(run, &attention(layer), (0, u64::MAX), u64::MAX).await.unwrap();
    found.iter().map(InspectionUpdate::step).collect()
}

async fn with_budget(dir: &Path, snapshots_mb: u32) -> (Store, RunId) {
    let store = Store::open(dir).await.unwrap();
    let mut run = new_run("amber-fox-7k2q", "cpu");
    run.plan.recipe.retention.snapshots_mb = snapshots_mb;
    store.create_run(&run).await.unwrap();
    (store, run.id)
}

fn files(dir: &Path, run: &RunId) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir.join("snapshots").join(run.as_str())) else { return vec![] };
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// The step in a file's name: `segment-step-row`.
fn step_of(file: &str) -> u64 {
    file.split('-').nth(1).unwrap().parse().unwrap()
}

/// All snapshots of a run, with their steps.
async fn all(store: &Store, run: &RunId) -> (Vec<u64>, Vec<InspectionUpdate>) {
    let mut found = vec![];
    for layer in 0..3 {
        found.extend(store.snapshots(run, &attention(layer), (0, u64::MAX), u64::MAX).await.unwrap());
    }
    (store.snapshot_steps(run).await.unwrap(), found)
}

/// Rows, events and snapshots, as a worker reports them.
fn reports() -> Vec<Item> {
    let mut items = vec![];
    for step in 0..300 {
        items.push(row(step, &[("loss.train", 1.0)]));
        if is_snapshot_step(step) {
            items.extend((0..3).map(|layer| item_of(snapshot(0, step, layer, 4000 + (step * 977 % 9000) as usize))));
        }
        if step % 50 == 0 {
            items.push(Item::Event(report(step, Event::Annotated { text: step.to_string() }, None)));
        }
    }
    items
}

/// For any batches, repetitions and restarts the stored snapshots are the same, and never exceed the limit.
#[tokio::test]
async fn snapshots_are_stored_once_and_within_their_limit() {
    let items = reports();
    let expected = {
        let dir = tempfile::tempdir().unwrap();
        let (store, run) = with_budget(dir.path(), 1).await;
        assert_eq!(store.ingest(&run, 1, items.clone()).await.unwrap().stored_seq, items.len() as u64);
        all(&store, &run).await
    };
    assert!(expected.0.len() > 10 && expected.0.starts_with(&[0]) && expected.0.ends_with(&[288]), "{:?}", expected.0);
    for seed in testing::seeds(0..4) {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, run) = with_budget(dir.path(), 1).await;
        let (mut random, mut done) = (Random::new(seed), 0);
        while done < items.len() {
            let first = done.saturating_sub(random.below(30) as usize);
            let last = (first + 1 + random.below(60) as usize).min(items.len());
            let stored = store.ingest(&run, first as u64 + 1, items[first..last].to_vec()).await.unwrap().stored_seq;
            assert_eq!(stored, done.max(last) as u64);
            done = stored as usize;
            assert!(store.snapshot_bytes(&run).await.unwrap() <= 1_000_000);
            if random.below(8) == 0 {
                store.close().await;
                store = Store::open(dir.path()).await.unwrap();
            }
        }
        assert_eq!(all(&store, &run).await, expected, "seed {seed}");
        store.close().await;
        let store = Store::open(dir.path()).await.unwrap();
        assert_eq!(all(&store, &run).await, expected, "seed {seed}, from files alone");
        // A step whose snapshots were moved at two times has two files.
        let mut steps: Vec<u64> = files(dir.path(), &run).iter().map(|file| step_of(file)).collect();
        steps.sort_unstable();
        steps.dedup();
        assert_eq!(steps, expected.0, "files of the steps that are kept, and no other");
    }
}

#[tokio::test]
async fn a_run_with_a_limit_of_0_stores_no_snapshots_and_every_other_report() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = with_budget(dir.path(), 0).await;
    let tensors = InspectionUpdate::ParameterStats { step: 1, tensors: vec![], cost_ms: 0.0 };
    let items = vec![row(0, &[("a", 1.0)]), item_of(snapshot(0, 0, 0, 100)), item_of(tensors), row(1, &[("a", 1.0)])];
    let done = store.ingest(&run, 1, items).await.unwrap();
    assert_eq!((done.stored_seq, done.rows.len(), store.snapshot_steps(&run).await.unwrap().len()), (4, 2, 0));
    let nobody = "nobody".parse().unwrap();
    assert!(matches!(store.snapshot_steps(&nobody).await, Err(StoreError::UnknownRun { .. })));
    assert!(matches!(store.snapshots(&nobody, &attention(0), (0, 9), 9).await, Err(StoreError::UnknownRun { .. })));
}

#[tokio::test]
async fn an_answer_has_bounded_bytes_and_at_least_one_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = with_budget(dir.path(), 10).await;
    let items: Vec<Item> = (0..10).map(|step| item_of(snapshot(0, step, 0, 1000))).collect();
    store.ingest(&run, 1, items).await.unwrap();
    let steps = async |range, bytes| {
        let found = store.snapshots(&run, &attention(0), range, bytes).await.unwrap();
        found.iter().map(InspectionUpdate::step).collect::<Vec<_>>()
    };
    assert_eq!(steps((3, 5), u64::MAX).await, [3, 4, 5]);
    assert_eq!(steps((2, u64::MAX), 3200).await, [2, 3, 4]);
    assert_eq!(steps((9, 20), 1).await, [9]);
    assert!(steps((10, 20), 1).await.is_empty() && steps((5, 4), 9).await.is_empty());
    assert!(steps_of(&store, &run, 1).await.is_empty(), "an inspection without snapshots");
}

/// After a rollback the snapshots of the abandoned segment are not on the path; a fork has those of its parent up to its first step.
#[tokio::test]
async fn snapshots_are_read_along_the_path_of_segments() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let mut worker = Worker::at(&store, &run).await;
    let inspection = |segment, step| item_of(snapshot(segment, step, 0, 500));
    worker.send((0..=40).step_by(8).map(|step| inspection(0, step)).collect()).await;
    worker.save(info(id(0, 16), Cause::Interval, None, 0)).await;
    worker.roll_back(id(0, 16), 40).await;
    worker.send(vec![inspection(1, 16), inspection(1, 20), inspection(1, 32)]).await;
    assert_eq!(store.snapshot_steps(&run).await.unwrap(), [0, 8, 16, 20, 32]);
    let found = store.snapshots(&run, &attention(0), (0, u64::MAX), u64::MAX).await.unwrap();
    let segments: Vec<u32> = found
        .iter()
        .map(|update| if let InspectionUpdate::Result { segment, .. } = update { *segment } else { 9 })
        .collect();
    assert_eq!(segments, [0, 0, 1, 1, 1]);

    worker.save(info(id(1, 20), Cause::Requested, None, 0)).await;
    let origin = store.origin(&run, id(1, 20)).await.unwrap().unwrap();
    let fork = NewRun { created_ms: 2000, ..fork_of(&new_run(run.as_str(), "cpu"), origin, "child") };
    store.create_fork(&fork, &[]).await.unwrap();
    let mut child = Worker::at(&store, &fork.id).await;
    child.send(vec![inspection(0, 24), inspection(0, 28)]).await;
    assert_eq!(store.snapshot_steps(&fork.id).await.unwrap(), [0, 8, 16, 20, 24, 28]);
    assert_eq!(steps_of(&store, &fork.id, 0).await, [0, 8, 16, 20, 24, 28]);
    assert_eq!(store.snapshot_steps(&run).await.unwrap(), [0, 8, 16, 20, 32], "a fork adds nothing to its parent");
}

#[tokio::test]
async fn snapshots_move_to_files_when_a_run_ends_and_are_deleted_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let mut worker = Worker::at(&store, &run).await;
    worker
        .send((0..20).flat_map(|step| (0..2).map(move |layer| item_of(snapshot(0, step, layer, 700)))).collect())
        .await;
    let before = all(&store, &run).await;
    assert!(files(dir.path(), &run).is_empty(), "they are in the database");
    worker.report_event(20, Event::Stopped, Some(RunState::Stopped)).await;
    store.close().await;
    assert_eq!(files(dir.path(), &run).len(), 20, "closing waits for them");
    let folder = dir.path().join("snapshots");
    std::fs::write(folder.join(run.as_str()).join("0-99-1234"), "left by a kill").unwrap();
    std::fs::create_dir_all(folder.join("red-owl-1111")).unwrap();
    std::fs::create_dir_all(folder.join("Not Ours")).unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    assert_eq!(all(&store, &run).await, before);
    assert_eq!((files(dir.path(), &run).len(), folder.join("red-owl-1111").exists()), (20, false), "swept");
    assert!(folder.join("Not Ours").exists());
    // A removed file is left out; the rest is read.
    let gone = files(dir.path(), &run).into_iter().find(|file| file.starts_with("0-7-")).unwrap();
    std::fs::remove_file(folder.join(run.as_str()).join(gone)).unwrap();
    let left: Vec<u64> = (0..20).filter(|step| *step != 7).collect();
    assert_eq!(steps_of(&store, &run, 1).await, left);
    store.delete_run(&run, 1).await.unwrap();
    assert_eq!(store.purge_deleted(2).await.unwrap(), std::slice::from_ref(&run));
    assert!(!folder.join(run.as_str()).exists());
    store.close().await;
    let options = SqliteConnectOptions::new().filename(dir.path().join("lab.db"));
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    let rows: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM snapshots").fetch_one(&mut database).await.unwrap();
    assert_eq!(rows, 0);
}

/// Results of requested inspections are not stored in the database.
#[tokio::test]
async fn results_of_requested_inspections_are_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    store.put_update(&run, &snapshot(0, 3, 0, 10)).await.unwrap();
    store
        .put_update(&run, &InspectionUpdate::Failed { step: 1, inspection: attention(9), message: "no".into() })
        .await
        .unwrap();
    assert!(store.updates(&run, None).await.unwrap().is_empty());
}

/// Report number `seq` of the killed process: snapshots of 30 kB, so that they move to files repeatedly.
fn item(seq: u64) -> Item {
    if seq.is_multiple_of(3) { row(seq, &[("loss.train", seq as f64)]) } else { item_of(snapshot(0, seq, 0, 30_000)) }
}

/// The process that [`a_killed_server_stores_each_snapshot_once`] kills; without its folder it does nothing.
#[tokio::test]
async fn killed() {
    ingest_until_killed(30, |first, count| (first..first + count).map(item).collect()).await;
}

#[tokio::test]
async fn a_killed_server_stores_each_snapshot_once() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = with_budget(dir.path(), 100_000).await;
    store.close().await;
    let mut random = Random::new(testing::seed(11));
    for _ in 0..4 {
        let last = start_and_kill("snapshots::killed", dir.path(), Duration::from_millis(300), &mut random);
        let store = Store::open(dir.path()).await.unwrap();
        let stored = store.stored_seq(&run).await.unwrap();
        assert!(stored >= last, "{last} was acknowledged, {stored} is stored");
        let found = store.snapshots(&run, &attention(0), (0, u64::MAX), u64::MAX).await.unwrap();
        let expected: Vec<InspectionUpdate> =
            (1..=stored).filter(|seq| !seq.is_multiple_of(3)).map(|seq| snapshot(0, seq, 0, 30_000)).collect();
        assert!(found == expected, "{} of {} snapshots", found.len(), expected.len());
        assert_eq!(files(dir.path(), &run).len(), expected.len(), "each in its file, and nothing left over");
        store.close().await;
    }
}
