//! Runs on other machines: checkpoints whose files arrive later or never, and a run that continues on another device.

use store::{Store, StoreError, Successor};
use wire::control::checkpoint::Cause;
use wire::device::DeviceKind;
use wire::transport::transfer::{SavedCheckpoint, UploadVerdict};
use wire::{CheckpointId, DeviceId, Event, RunId, RunState, Slot};

use crate::setup::{report, row, store_with_run};
use crate::steering::{Worker, id, info};

fn kept(views: &[wire::control::checkpoint::CheckpointView]) -> Vec<(u64, bool)> {
    views.iter().map(|view| (view.info.id.step, view.is_available)).collect()
}

/// Reports a checkpoint whose files are on the machine of the worker.
async fn save_far(worker: &mut Worker<'_>, step: u64) {
    let checkpoint = info(id(0, step), Cause::Interval, None, 0);
    worker.report_event(step, Event::Checkpointed { checkpoint }, None).await;
}

/// Puts the files of a checkpoint into its folder, as an upload does.
async fn arrive(store: &Store, run: &RunId, checkpoint: CheckpointId) -> bool {
    let folder = store.checkpoint_dir(run, checkpoint);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("state.safetensors"), "abc").unwrap();
    store.checkpoint_arrived(run, &info(checkpoint, Cause::Interval, None, 0)).await.unwrap().is_some()
}

#[tokio::test]
async fn the_newest_checkpoint_with_files_here_is_kept_until_a_newer_one_arrives() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let mut worker = Worker::at(&store, &run).await;
    save_far(&mut worker, 100).await;
    assert!(arrive(&store, &run, id(0, 100)).await);
    for step in [200, 300, 400, 500] {
        save_far(&mut worker, step).await;
    }
    let list = || async { kept(&store.checkpoints(&run).await.unwrap()) };
    assert_eq!(list().await, [(100, true), (300, false), (400, false), (500, false)]);
    // One that is being uploaded is kept too.
    let upload = store.upload_dir(&run, id(0, 300));
    std::fs::create_dir_all(&upload).unwrap();
    std::fs::write(upload.join("state.safetensors"), "ab").unwrap();
    save_far(&mut worker, 600).await;
    assert_eq!(list().await, [(100, true), (300, false), (400, false), (500, false), (600, false)]);
    assert_eq!(store.checkpoints(&run).await.unwrap()[1].uploaded_bytes, 2);
    assert!(arrive(&store, &run, id(0, 500)).await);
    assert_eq!(list().await, [(300, false), (400, false), (500, true), (600, false)]);
    assert!(!store.checkpoint_dir(&run, id(0, 100)).exists());
    assert!(!arrive(&store, &run, id(0, 200)).await, "retention has dropped it");
    assert!(!store.checkpoint_dir(&run, id(0, 200)).exists());

    let saved = |step, hash: &str| SavedCheckpoint { id: id(0, step), hash: hash.into() };
    let asked = [saved(200, ""), saved(400, ""), saved(500, ""), saved(500, "other"), saved(700, "")];
    let verdicts = store.upload_verdicts(&run, &asked).await.unwrap();
    use UploadVerdict::{Dropped, Send, Stored, Unreported};
    assert_eq!(verdicts, [Dropped, Send, Stored, Send, Unreported]);

    let steps = |past: wire::run::history::Past| {
        past.checkpoints.iter().map(|found| found.at.checkpoint.step).collect::<Vec<_>>()
    };
    assert_eq!(steps(store.past(&run).await.unwrap()), [600, 500, 400, 300]);
    assert_eq!(steps(store.past_elsewhere(&run).await.unwrap()), [500], "what another machine can fetch");
}

#[tokio::test]
async fn a_worker_that_comes_back_adds_nothing_to_a_run_that_continued_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let [before, after] = ["cpu", "far-cpu"].map(|id| Slot::first(id.parse().unwrap()));
    let rows = |from: u64, to: u64, loss: f64| (from..to).map(|step| row(step, &[("loss.train", loss)])).collect();
    store.set_state(&run, RunState::Running, None).await.unwrap();
    store.ingest_from(&run, &before, 1, rows(0, 10, 1.0)).await.unwrap();
    let lost = report(10, Event::Lost { message: "gone".into() }, None);
    let (_, summary) = store.restart_elsewhere(&run, lost, &Successor::Pool("local".into())).await.unwrap();
    assert_eq!((summary.state, summary.restarts), (RunState::Queued, 1));
    let queue = store.queue(&after.device, DeviceKind::Cpu, "local", &[], 9).await.unwrap();
    assert_eq!(queue.len(), 1, "any device of its pool may continue it");

    store.set_device(&run, &after, "far").await.unwrap();
    let from = store.stored_seq(&run).await.unwrap();
    assert!(from > 1_000_000_000);
    // The worker before comes back: with a connection that says it trains the run, and with reports on its disk.
    let refused = store.ingest_from(&run, &before, 11, rows(10, 15, 9.0)).await;
    assert!(matches!(refused, Err(StoreError::OtherDevice { .. })), "{refused:?}");
    let late = store.ingest(&run, 11, rows(10, 15, 9.0)).await.unwrap();
    assert_eq!((late.stored_seq, late.rows.len()), (from, 0), "acknowledged and dropped");
    let new = store.ingest_from(&run, &after, from + 1, rows(10, 20, 1.0)).await.unwrap();
    assert_eq!((new.stored_seq, new.rows.len(), new.summary.step), (from + 10, 10, 20));
    assert!(store.ingest(&run, 16, rows(15, 30, 9.0)).await.unwrap().rows.is_empty());
    // The device that it has keeps its numbers.
    store.set_device(&run, &after, "far").await.unwrap();
    assert_eq!(store.stored_seq(&run).await.unwrap(), from + 10);
    store.close().await;
    let store = Store::open(dir.path()).await.unwrap();
    assert_eq!(store.stored_seq(&run).await.unwrap(), from + 10);
}

#[tokio::test]
async fn the_processes_of_one_device_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let cpu: DeviceId = "cpu".parse().unwrap();
    let [first, second] = [1, 2].map(|number| Slot { device: cpu.clone(), number });
    let rows = |from: u64, to: u64, loss: f64| (from..to).map(|step| row(step, &[("loss.train", loss)])).collect();
    store.set_device(&run, &second, "a cpu").await.unwrap();
    let summary = store.set_state(&run, RunState::Running, None).await.unwrap();
    assert_eq!((summary.device.as_str(), summary.trained_by()), ("cpu", second.clone()));
    assert_eq!(store.run(&run).await.unwrap().unwrap().plan.device, cpu, "the plan names the device");
    store.ingest_from(&run, &second, 1, rows(0, 10, 1.0)).await.unwrap();
    let refused = store.ingest_from(&run, &first, 11, rows(10, 15, 9.0)).await;
    assert!(matches!(refused, Err(StoreError::OtherDevice { .. })), "{refused:?}");
    // The second process has died, and the first continues the run.
    let lost = report(10, Event::Lost { message: "gone".into() }, None);
    store.restart_run(&run, lost).await.unwrap();
    assert_eq!(store.queue(&cpu, DeviceKind::Cpu, "local", &[], 9).await.unwrap().len(), 1, "it waits for the device");
    store.set_device(&run, &first, "a cpu").await.unwrap();
    let from = store.stored_seq(&run).await.unwrap();
    assert!(from > 1_000_000_000, "what the second process had not sent is trained again");
    let late = store.ingest(&run, 11, rows(10, 15, 9.0)).await.unwrap();
    assert_eq!((late.stored_seq, late.rows.len()), (from, 0), "acknowledged and dropped");
    assert_eq!(store.ingest_from(&run, &first, from + 1, rows(10, 20, 1.0)).await.unwrap().summary.step, 20);
}
