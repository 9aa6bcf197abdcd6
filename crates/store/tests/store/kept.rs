//! Looks kept along a run's way: each once, within their budget, on the path and not beside it, gone with their run.

use std::path::Path;
use std::time::Duration;

use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use store::{NewRun, Store, StoreError};
use wire::checkpoint::Cause;
use wire::frame::{Frame, Pace};
use wire::link::Item;
use wire::look::{Look, Passage, is_kept};
use wire::sight::{Field, Sight};
use wire::{Event, RunId, RunState};

use crate::doomed::{ingest_for_ever, kill_soon};
use crate::lab::{Random, new_run, open_with_run, report, row};
use crate::steering::{Worker, fork_of, id, info};

fn attention(layer: u32) -> Look {
    Look::Attention { passage: Passage::default(), layer }
}

/// A look of about `bytes` bytes that tells where it was taken.
fn seen(segment: u32, step: u64, layer: u32, bytes: usize) -> Frame {
    let cells = vec![(step % 251) as u8; bytes];
    let pattern = Field { rows: 1, columns: bytes as u32, low: segment as f32, high: step as f32, cells };
    let sight = Sight::Attention { tokens: vec![], patterns: vec![pattern], heads: vec![] };
    Frame::Seen { step, segment, look: attention(layer), sight, pace: Pace::default() }
}

fn kept(frame: Frame) -> Item {
    Item::Kept(Box::new(frame))
}

async fn steps_of(store: &Store, run: &RunId, layer: u32) -> Vec<u64> {
    let frames = store.kept_frames(run, &attention(layer), (0, u64::MAX), u64::MAX).await.unwrap();
    frames.iter().map(Frame::step).collect()
}

async fn with_budget(dir: &Path, frames_mb: u32) -> (Store, RunId) {
    let store = Store::open(dir).await.unwrap();
    let mut run = new_run("amber-fox-7k2q", "cpu");
    run.plan.recipe.keep.frames_mb = frames_mb;
    store.create_run(&run).await.unwrap();
    (store, run.id)
}

fn files(dir: &Path, run: &RunId) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir.join("frames").join(run.as_str())) else { return vec![] };
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// The step in a file's name: `segment-step-row`.
fn step_of(file: &str) -> u64 {
    file.split('-').nth(1).unwrap().parse().unwrap()
}

/// Everything that can be read of a run's looks, with the steps.
async fn all(store: &Store, run: &RunId) -> (Vec<u64>, Vec<Frame>) {
    let mut frames = vec![];
    for layer in 0..3 {
        frames.extend(store.kept_frames(run, &attention(layer), (0, u64::MAX), u64::MAX).await.unwrap());
    }
    (store.kept_steps(run).await.unwrap(), frames)
}

/// Values, happenings and looks, as a worker's reports bring them.
fn reports() -> Vec<Item> {
    let mut items = vec![];
    for step in 0..300 {
        items.push(row(step, &[("loss.train", 1.0)]));
        if is_kept(step) {
            items.extend((0..3).map(|layer| kept(seen(0, step, layer, 4000 + (step * 977 % 9000) as usize))));
        }
        if step % 50 == 0 {
            items.push(Item::Event(report(step, Event::Annotated { text: step.to_string() }, None)));
        }
    }
    items
}

/// However reports are parcelled, repeated and cut off, what is kept of them is the same, and never more than the budget.
#[tokio::test]
async fn looks_come_in_once_and_within_their_budget() {
    let items = reports();
    let expected = {
        let dir = tempfile::tempdir().unwrap();
        let (store, run) = with_budget(dir.path(), 1).await;
        assert_eq!(store.ingest(&run, 1, items.clone()).await.unwrap().stored_seq, items.len() as u64);
        all(&store, &run).await
    };
    assert!(expected.0.len() > 10 && expected.0.starts_with(&[0]) && expected.0.ends_with(&[288]), "{:?}", expected.0);
    for seed in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, run) = with_budget(dir.path(), 1).await;
        let (mut random, mut done) = (Random(seed), 0);
        while done < items.len() {
            let first = done.saturating_sub(random.below(30) as usize);
            let last = (first + 1 + random.below(60) as usize).min(items.len());
            let stored = store.ingest(&run, first as u64 + 1, items[first..last].to_vec()).await.unwrap().stored_seq;
            assert_eq!(stored, done.max(last) as u64);
            done = stored as usize;
            assert!(store.kept_bytes(&run).await.unwrap() <= 1_000_000);
            if random.below(8) == 0 {
                store.close().await;
                store = Store::open(dir.path()).await.unwrap();
            }
        }
        assert_eq!(all(&store, &run).await, expected, "seed {seed}");
        store.close().await;
        let store = Store::open(dir.path()).await.unwrap();
        assert_eq!(all(&store, &run).await, expected, "seed {seed}, from files alone");
        // A step whose looks came in two lives has two files.
        let mut steps: Vec<u64> = files(dir.path(), &run).iter().map(|file| step_of(file)).collect();
        steps.sort_unstable();
        steps.dedup();
        assert_eq!(steps, expected.0, "files of the steps that are kept, and no other");
    }
}

#[tokio::test]
async fn a_run_without_a_budget_keeps_no_looks_and_loses_no_number() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = with_budget(dir.path(), 0).await;
    let tensors = Frame::Tensors { step: 1, tensors: vec![], cost_ms: 0.0 };
    let items = vec![row(0, &[("a", 1.0)]), kept(seen(0, 0, 0, 100)), kept(tensors), row(1, &[("a", 1.0)])];
    let done = store.ingest(&run, 1, items).await.unwrap();
    assert_eq!((done.stored_seq, done.rows.len(), store.kept_steps(&run).await.unwrap().len()), (4, 2, 0));
    let nobody = "nobody".parse().unwrap();
    assert!(matches!(store.kept_steps(&nobody).await, Err(StoreError::UnknownRun { .. })));
    assert!(matches!(store.kept_frames(&nobody, &attention(0), (0, 9), 9).await, Err(StoreError::UnknownRun { .. })));
}

#[tokio::test]
async fn an_answer_holds_so_many_bytes_and_one_look_at_least() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = with_budget(dir.path(), 10).await;
    let items: Vec<Item> = (0..10).map(|step| kept(seen(0, step, 0, 1000))).collect();
    store.ingest(&run, 1, items).await.unwrap();
    let steps = async |range, bytes| {
        let frames = store.kept_frames(&run, &attention(0), range, bytes).await.unwrap();
        frames.iter().map(Frame::step).collect::<Vec<_>>()
    };
    assert_eq!(steps((3, 5), u64::MAX).await, [3, 4, 5]);
    assert_eq!(steps((2, u64::MAX), 3200).await, [2, 3, 4]);
    assert_eq!(steps((9, 20), 1).await, [9]);
    assert!(steps((10, 20), 1).await.is_empty() && steps((5, 4), 9).await.is_empty());
    assert!(steps_of(&store, &run, 1).await.is_empty(), "a look that was not kept");
}

/// After a rollback the looks of the stretch that was left are beside the path; a fork has its parent's up to where it begins.
#[tokio::test]
async fn looks_follow_the_path_of_segments() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = open_with_run(dir.path()).await;
    let mut worker = Worker::at(&store, &run).await;
    let look = |segment, step| kept(seen(segment, step, 0, 500));
    worker.send((0..=40).step_by(8).map(|step| look(0, step)).collect()).await;
    worker.save(info(id(0, 16), Cause::Cadence, None, 0)).await;
    worker.roll_back(id(0, 16), 40).await;
    worker.send(vec![look(1, 16), look(1, 20), look(1, 32)]).await;
    assert_eq!(store.kept_steps(&run).await.unwrap(), [0, 8, 16, 20, 32]);
    let frames = store.kept_frames(&run, &attention(0), (0, u64::MAX), u64::MAX).await.unwrap();
    let segments: Vec<u32> =
        frames.iter().map(|frame| if let Frame::Seen { segment, .. } = frame { *segment } else { 9 }).collect();
    assert_eq!(segments, [0, 0, 1, 1, 1]);

    worker.save(info(id(1, 20), Cause::Asked, None, 0)).await;
    let origin = store.origin(&run, id(1, 20)).await.unwrap().unwrap();
    let fork = NewRun { created_ms: 2000, ..fork_of(&new_run(run.as_str(), "cpu"), origin, "child") };
    store.create_fork(&fork, &[]).await.unwrap();
    let mut child = Worker::at(&store, &fork.id).await;
    child.send(vec![look(0, 24), look(0, 28)]).await;
    assert_eq!(store.kept_steps(&fork.id).await.unwrap(), [0, 8, 16, 20, 24, 28]);
    assert_eq!(steps_of(&store, &fork.id, 0).await, [0, 8, 16, 20, 24, 28]);
    assert_eq!(store.kept_steps(&run).await.unwrap(), [0, 8, 16, 20, 32], "a fork adds nothing to its parent");
}

#[tokio::test]
async fn looks_move_to_files_when_a_run_ends_and_go_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = open_with_run(dir.path()).await;
    let mut worker = Worker::at(&store, &run).await;
    worker.send((0..20).flat_map(|step| (0..2).map(move |layer| kept(seen(0, step, layer, 700)))).collect()).await;
    let before = all(&store, &run).await;
    assert!(files(dir.path(), &run).is_empty(), "they wait in the database");
    worker.say(20, Event::Stopped, Some(RunState::Stopped)).await;
    store.close().await;
    assert_eq!(files(dir.path(), &run).len(), 20, "closing waits for them");
    let folder = dir.path().join("frames");
    std::fs::write(folder.join(run.as_str()).join("0-99-1234"), "left by a kill").unwrap();
    std::fs::create_dir_all(folder.join("red-owl-1111")).unwrap();
    std::fs::create_dir_all(folder.join("Not Ours")).unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    assert_eq!(all(&store, &run).await, before);
    assert_eq!((files(dir.path(), &run).len(), folder.join("red-owl-1111").exists()), (20, false), "swept");
    assert!(folder.join("Not Ours").exists());
    // One that someone took away is missed, and the rest is there.
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
    let rows: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM kept").fetch_one(&mut database).await.unwrap();
    assert_eq!(rows, 0);
}

/// Of the looks that somebody asked for none stays in the database.
#[tokio::test]
async fn what_is_only_watched_is_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = open_with_run(dir.path()).await;
    store.put_frame(&run, &seen(0, 3, 0, 10)).await.unwrap();
    store.put_frame(&run, &Frame::Unseen { step: 1, look: attention(9), message: "no".into() }).await.unwrap();
    assert!(store.frames(&run, None).await.unwrap().is_empty());
}

/// Report number `seq` of the run that is killed: looks of 30 kB, so that they move to files again and again.
fn item(seq: u64) -> Item {
    if seq.is_multiple_of(3) { row(seq, &[("loss.train", seq as f64)]) } else { kept(seen(0, seq, 0, 30_000)) }
}

/// The process that [`a_killed_lab_keeps_each_look_once`] kills; by itself it does nothing.
#[tokio::test]
async fn doomed() {
    ingest_for_ever(30, |first, count| (first..first + count).map(item).collect()).await;
}

#[tokio::test]
async fn a_killed_lab_keeps_each_look_once() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = with_budget(dir.path(), 100_000).await;
    store.close().await;
    let mut random = Random(11);
    for _ in 0..4 {
        let last = kill_soon("kept::doomed", dir.path(), Duration::from_millis(300), &mut random);
        let store = Store::open(dir.path()).await.unwrap();
        let stored = store.stored_seq(&run).await.unwrap();
        assert!(stored >= last, "{last} was acknowledged, {stored} is stored");
        let frames = store.kept_frames(&run, &attention(0), (0, u64::MAX), u64::MAX).await.unwrap();
        let expected: Vec<Frame> =
            (1..=stored).filter(|seq| !seq.is_multiple_of(3)).map(|seq| seen(0, seq, 0, 30_000)).collect();
        assert!(frames == expected, "{} of {} looks", frames.len(), expected.len());
        assert_eq!(files(dir.path(), &run).len(), expected.len(), "each in its file, and nothing left over");
        store.close().await;
    }
}
