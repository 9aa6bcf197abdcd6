//! Scenarios of steered runs: retention of checkpoints, rollbacks and abandoned segments, forks, crashes, comparisons.

use store::{NewRun, SeriesQuery, Store, StoreError};
use wire::control::checkpoint::{Cause, CheckpointInfo, CheckpointRef};
use wire::run::plan::Origin;
use wire::run::spec::Parent;
use wire::series::{Axis, Row, name};
use wire::transport::link::Item;
use wire::{CheckpointId, Command, Event, EventRecord, LivePath, RunId, RunState, RunSummary, Slot};

use crate::setup::{new_run, report, row, store_with_run};

pub(crate) fn id(segment: u32, step: u64) -> CheckpointId {
    CheckpointId { segment, step }
}

pub(crate) fn info(id: CheckpointId, cause: Cause, loss_valid: Option<f64>, changes: u32) -> CheckpointInfo {
    let hash = String::new();
    CheckpointInfo {
        id,
        cause,
        at_ms: 0,
        bytes: 3,
        hash,
        changes,
        loss_train: Some(2.5),
        loss_valid,
        best_valid: loss_valid,
    }
}

/// A fake worker: numbers the reports of a run, and creates the folders of its checkpoints.
pub(crate) struct Worker<'a> {
    store: &'a Store,
    run: RunId,
    seq: u64,
    pub(crate) segment: u32,
}

impl<'a> Worker<'a> {
    pub(crate) async fn at(store: &'a Store, run: &RunId) -> Self {
        store.set_state(run, RunState::Starting, None).await.unwrap();
        let worker = Self { store, run: run.clone(), seq: store.stored_seq(run).await.unwrap(), segment: 0 };
        let mut worker = worker;
        worker.report_event(0, Event::Started { parameters: 1 }, Some(RunState::Running)).await;
        worker
    }

    pub(crate) async fn send(&mut self, items: Vec<Item>) -> store::Ingested {
        let first = self.seq + 1;
        self.seq += items.len() as u64;
        self.store.ingest(&self.run, first, items).await.unwrap()
    }

    pub(crate) async fn report_event(&mut self, step: u64, event: Event, state: Option<RunState>) -> store::Ingested {
        let report = wire::transport::link::Report { segment: self.segment, ..report(step, event, state) };
        self.send(vec![Item::Event(report)]).await
    }

    pub(crate) async fn train(&mut self, from: u64, to: u64) -> store::Ingested {
        let segment = self.segment;
        let values = |step: u64| vec![(name::TRAIN.into(), 4.0 - step as f64 / 1000.0 + f64::from(segment))];
        let rows = (from..to).map(|step| Item::Row(Row { segment, step, values: values(step) }));
        self.send(rows.collect()).await
    }

    pub(crate) async fn save(&mut self, info: CheckpointInfo) {
        let folder = self.store.checkpoint_dir(&self.run, info.id);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("state.safetensors"), "abc").unwrap();
        self.report_event(info.id.step, Event::Checkpointed { checkpoint: info }, None).await;
    }

    pub(crate) async fn roll_back(&mut self, to: CheckpointId, from_step: u64) -> store::Ingested {
        let from_segment = self.segment;
        self.segment += 1;
        let event =
            Event::RolledBack { checkpoint: to, from_segment, from_step, skip_batches: 7, best_valid: Some(2.9) };
        self.report_event(to.step, event, None).await
    }
}

async fn kept(store: &Store, run: &RunId) -> Vec<String> {
    let names: Vec<String> = store.checkpoint_ids(run).await.unwrap().iter().map(ToString::to_string).collect();
    let mut folders: Vec<String> = std::fs::read_dir(store.dir().join("checkpoints").join(run.as_str()))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let mut sorted = names.clone();
    sorted.sort();
    folders.sort();
    assert_eq!(folders, sorted, "the folders are those of the stored checkpoints");
    names
}

#[tokio::test]
async fn the_loss_of_a_checkpoint_is_that_of_the_evaluation_before_it_was_saved() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let mut worker = Worker::at(&store, &run).await;
    let evaluated = |loss_nats| Event::Evaluated { loss_nats, bits_per_byte: 1.0, windows: None };
    worker.train(0, 62).await;
    worker.report_event(40, evaluated(2.067), None).await;
    worker.save(info(id(0, 40), Cause::Interval, Some(2.067), 0)).await;
    // Saved before the evaluation of the same step; its files were written after it.
    worker.report_event(62, evaluated(11.61), None).await;
    worker.save(info(id(0, 62), Cause::BeforeChange, Some(2.067), 0)).await;
    let views = store.checkpoints(&run).await.unwrap();
    assert_eq!(views.iter().map(|view| view.evaluated).collect::<Vec<_>>(), [Some(40), Some(40)]);
}

#[tokio::test]
async fn old_checkpoints_are_pruned_and_the_best_the_pinned_and_the_newest_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let mut worker = Worker::at(&store, &run).await;
    for step in 1..=6 {
        worker.train((step - 1) * 10, step * 10).await;
        let loss = if step == 2 { 1.0 } else { 3.0 };
        worker.save(info(id(0, step * 10), Cause::Interval, Some(loss), 0)).await;
        if step == 1 {
            assert!(store.pin_checkpoint(&run, id(0, 10), true).await.unwrap().is_pinned);
        }
    }
    assert_eq!(kept(&store, &run).await, ["0-10", "0-20", "0-40", "0-50", "0-60"]);
    worker.report_event(55, Event::Sampled { prompt: "On".into(), text: "ce".into(), temperature: 0.0 }, None).await;
    let views = store.checkpoints(&run).await.unwrap();
    let best: Vec<_> = views.iter().filter(|view| view.is_best).map(|view| view.info.id).collect();
    assert_eq!((best, views[4].sample.as_deref(), views[3].sample.as_deref()), (vec![id(0, 20)], Some("Once"), None));
    store.pin_checkpoint(&run, id(0, 10), false).await.unwrap();
    store.prune_checkpoints(&run).await.unwrap();
    // A checkpoint that is being read is deleted by its last reader.
    let held = store.open_checkpoint(&run, id(0, 20)).await.unwrap().unwrap();
    store.delete_checkpoint(&run, id(0, 20)).await.unwrap();
    assert!(
        store.checkpoint_dir(&run, id(0, 20)).exists()
            && !store.checkpoint_ids(&run).await.unwrap().contains(&id(0, 20))
    );
    drop(held);
    assert_eq!(kept(&store, &run).await, ["0-40", "0-50", "0-60"]);
    assert!(store.open_checkpoint(&run, id(0, 20)).await.unwrap().is_none());
    for gone in [id(0, 40), id(0, 50)] {
        store.delete_checkpoint(&run, gone).await.unwrap();
    }
    let error = store.delete_checkpoint(&run, id(0, 60)).await.unwrap_err();
    assert!(matches!(error, StoreError::CheckpointNeeded { .. }) && error.to_string().contains("only one"), "{error}");
    assert!(matches!(
        store.delete_checkpoint(&run, id(0, 61)).await.unwrap_err(),
        StoreError::UnknownCheckpoint { .. }
    ));
}

#[tokio::test]
async fn folders_left_by_a_crash_are_swept_and_unreported_ones_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let mut worker = Worker::at(&store, &run).await;
    for step in [10, 20, 30, 40] {
        worker.save(info(id(0, step), Cause::Interval, None, 0)).await;
    }
    let folder = |name: &str| dir.path().join("checkpoints").join(run.as_str()).join(name);
    for name in ["0-10", "0-99", ".0-100.partial"] {
        std::fs::create_dir_all(folder(name)).unwrap();
    }
    std::fs::create_dir_all(dir.path().join("checkpoints/nobody/0-1")).unwrap();
    store.close().await;
    let store = Store::open(dir.path()).await.unwrap();
    let there = |names: &[&str]| names.iter().map(|name| folder(name).exists()).collect::<Vec<_>>();
    assert_eq!(
        there(&["0-10", "0-20", "0-99", ".0-100.partial"]),
        [false, true, true, true],
        "its worker may still report it"
    );
    assert!(!dir.path().join("checkpoints/nobody").exists());
    store.set_state(&run, RunState::Stopped, None).await.unwrap();
    store.close().await;
    let _store = Store::open(dir.path()).await.unwrap();
    assert_eq!(there(&["0-20", "0-99", ".0-100.partial"]), [true, false, false]);
}

#[tokio::test]
async fn a_rollback_restores_the_summary_and_leaves_an_abandoned_segment() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let mut worker = Worker::at(&store, &run).await;
    worker.train(0, 50).await;
    worker.save(info(id(0, 50), Cause::Interval, Some(2.9), 0)).await;
    worker.report_event(50, Event::Changed { path: LivePath::GRAD_CLIP, old: 1.0, new: 2.0 }, None).await;
    worker.train(50, 80).await;
    worker.report_event(80, Event::Evaluated { loss_nats: 2.0, bits_per_byte: 1.0, windows: None }, None).await;
    worker.save(info(id(0, 80), Cause::BeforeChange, Some(2.0), 1)).await;
    let line = worker.roll_back(id(0, 50), 80).await.summary;
    assert_eq!(
        (line.step, line.best_valid, line.loss_valid, line.loss_train, line.sparkline.len()),
        (50, Some(2.9), Some(2.9), Some(2.5), 50 / 2)
    );
    let view = store.run(&run).await.unwrap().unwrap();
    assert_eq!(
        (view.hyperparameters.optimizer.grad_clip, view.hyperparameters.skipped, view.segments.len()),
        (view.plan.recipe.optimizer.grad_clip, 7, 2)
    );
    let spans: Vec<_> = view.lineage.iter().map(|span| (span.segment, span.from_step, span.to_step)).collect();
    assert_eq!(spans, [(0, 0, Some(50)), (1, 50, None)]);
    let past = store.past(&run).await.unwrap();
    let checkpoints: Vec<_> = past.checkpoints.iter().map(|found| found.at.checkpoint).collect();
    assert_eq!(
        (checkpoints, past.changes.len(), past.last_segment, past.recorded),
        (vec![id(0, 50)], 1, 1, 50),
        "changes of the abandoned segment are not on the path"
    );
    let line = worker.train(50, 60).await.summary;
    assert_eq!((line.step, line.sparkline.len()), (60, 60 / 2));
    let query = SeriesQuery { names: vec![name::TRAIN.into()], axis: Axis::Step, from: None, to: None, points: 5000 };
    let windows = store.series(&run, query).await.unwrap();
    assert_eq!(windows.iter().map(|window| (window.segment, window.total)).collect::<Vec<_>>(), [(0, 80), (1, 10)]);
    assert!(kept(&store, &run).await.contains(&"0-80".to_owned()), "undoing the rollback returns to it");
    // Events of the server belong to the newest segment, not to the abandoned one.
    let (note, _) = store.append(&run, report(60, Event::Annotated { text: "here".into() }, None)).await.unwrap();
    assert_eq!(note.segment, 1);
}

#[tokio::test]
async fn a_changed_number_of_steps_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let mut worker = Worker::at(&store, &run).await;
    worker.save(info(id(0, 10), Cause::Interval, None, 0)).await;
    let view = store.run(&run).await.unwrap().unwrap();
    let command = serde_json::from_str::<Command>(
        r#"{"kind":"set_schedule","schedule":{"learning_rate":{"curve":{"points":[[500,1e-4]]},"steps":77777}}}"#,
    );
    let event = view.hyperparameters.change(&command.unwrap(), 20).unwrap().unwrap();
    assert_eq!(worker.report_event(20, event, None).await.summary.steps, 77_777);
    assert_eq!(worker.roll_back(id(0, 10), 20).await.summary.steps, view.plan.steps);
}

#[tokio::test]
async fn steps_repeated_after_a_crash_count_once() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let mut worker = Worker::at(&store, &run).await;
    worker.train(0, 40).await;
    worker.report_event(40, Event::Evaluated { loss_nats: 2.0, bits_per_byte: 1.0, windows: None }, None).await;
    worker.send(vec![row(39, &[(name::VALID, 2.0)])]).await;
    worker.report_event(40, Event::Paused, Some(RunState::Paused)).await;
    let lost = report(40, Event::Lost { message: "it starts again".into() }, None);
    let (_, line) = store.restart_run(&run, lost).await.unwrap();
    assert_eq!((line.state, line.restarts, line.queue_place), (RunState::Queued, 1, Some(1)));
    // Late reports of the dead worker do not set the run running.
    let before = worker.report_event(40, Event::Resumed, Some(RunState::Running)).await.summary;
    assert_eq!(before.state, RunState::Queued);
    assert!(!store.past(&run).await.unwrap().is_paused, "it had been resumed");
    store.set_state(&run, RunState::Starting, None).await.unwrap();
    let again = worker.train(20, 45).await;
    assert_eq!((again.rows.len(), again.summary.step, again.summary.sparkline.len()), (5, 45, 45));
    worker.send(vec![row(39, &[(name::VALID, 1.0)])]).await;
    assert_eq!(store.summary(&run).await.unwrap().unwrap().best_valid, Some(2.0), "measured before");
    let stopped = worker.report_event(45, Event::Stopped, Some(RunState::Stopped)).await.summary;
    assert!(stopped.ended_ms.is_some());
    let (record, line) = resume(&store, &run, Some(RunState::Stopped)).await.unwrap();
    assert_eq!((record.event, line.restarts, line.ended_ms), (Event::Resumed, 0, None));
    assert_eq!(resume(&store, &run, Some(RunState::Stopped)).await, None, "it is queued by now");
    let lost = report(45, Event::Lost { message: "late".into() }, None);
    assert!(matches!(store.restart_run(&run, lost.clone()).await, Err(StoreError::NotLive { .. })));
    assert_eq!(store.append_if(&run, |run| run.state.is_live(), lost).await.unwrap(), None);
}

async fn resume(store: &Store, run: &RunId, from: Option<RunState>) -> Option<(EventRecord, RunSummary)> {
    store.resume_run(run, from, report(45, Event::Resumed, None)).await.unwrap()
}

pub(crate) fn fork_of(parent: &NewRun, origin: Origin, name: &str) -> NewRun {
    let mut fork = NewRun { id: name.parse().unwrap(), ..parent.clone() };
    let (run, checkpoint) = (origin.from.run.clone(), Some(origin.from.checkpoint));
    fork.spec.parent =
        Some(Parent { run, step: None, checkpoint, changes: vec![], refit_schedule: false, control_of: Some(4) });
    fork.spec.priority = Some(3);
    fork.plan.origin = Some(origin);
    fork
}

#[tokio::test]
async fn a_fork_begins_with_its_parents_state_and_keeps_that_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let mut worker = Worker::at(&store, &run).await;
    worker.train(0, 30).await;
    worker.save(info(id(0, 30), Cause::Interval, Some(2.7), 0)).await;
    let origin = store.origin(&run, id(0, 30)).await.unwrap().unwrap();
    let fork = fork_of(&new_run(run.as_str(), "cpu"), origin.clone(), "child");
    let change = Command::Set { path: LivePath::GRAD_CLIP, value: 9.0, reason: Some("bolder".into()) };
    let event = origin.hyperparameters.change(&change, 30).unwrap().unwrap();
    let line = store.create_fork(&fork, &[(change, event)]).await.unwrap();
    assert_eq!((line.step, line.best_valid, line.priority), (30, Some(2.7), 3));
    let parent = line.parent.unwrap();
    assert_eq!((parent.run, parent.checkpoint, parent.control_of), (run.clone(), id(0, 30), Some(4)));
    let journal = store.events(&fork.id, 0, 9).await.unwrap();
    let phrases: Vec<_> = journal.iter().map(|record| (record.event.phrase(), record.step)).collect();
    assert_eq!(
        phrases,
        [("queued".into(), 30), (format!("forked from {run} at step 30"), 30), ("gradient clipping 1 → 9".into(), 30)]
    );
    let past = store.past(&fork.id).await.unwrap();
    let from = CheckpointRef { run: run.clone(), checkpoint: id(0, 30) };
    assert_eq!((&past.checkpoints[0].at, past.changes.len(), past.recorded), (&from, 1, 30));
    let view = store.run(&fork.id).await.unwrap().unwrap();
    let spans: Vec<_> = view.lineage.iter().map(|span| (span.run.as_str(), span.from_step, span.to_step)).collect();
    assert_eq!(
        (view.hyperparameters.optimizer.grad_clip, spans),
        (9.0, vec![(run.as_str(), 0, Some(30)), ("child", 30, None)])
    );

    // The parent trains on, and would have pruned it.
    for step in [40, 50, 60, 70] {
        worker.save(info(id(0, step), Cause::Interval, Some(2.0), 0)).await;
    }
    assert!(kept(&store, &run).await.contains(&"0-30".to_owned()));
    let error = store.delete_checkpoint(&run, id(0, 30)).await.unwrap_err();
    assert!(error.to_string().contains("child"), "{error}");
    store.set_state(&run, RunState::Stopped, None).await.unwrap();
    store.delete_run(&run, 1).await.unwrap();
    assert!(store.purge_deleted(2).await.unwrap().is_empty(), "a fork begins with it");
    let mut child = Worker::at(&store, &fork.id).await;
    child.train(30, 35).await;
    child.save(info(id(0, 35), Cause::Requested, None, 1)).await;
    assert!(!store.checkpoint_ids(&run).await.unwrap().contains(&id(0, 30)), "the fork has one of its own");
    assert_eq!(store.purge_deleted(2).await.unwrap(), std::slice::from_ref(&run));
    assert!(!dir.path().join("checkpoints").join(run.as_str()).exists());
    let view = store.run(&fork.id).await.unwrap().unwrap();
    assert_eq!(
        (view.lineage.len(), view.summary.parent.unwrap().run),
        (1, run.clone()),
        "a purged parent is still named"
    );
    let refused = store.create_fork(&fork_of(&new_run("x", "cpu"), origin, "late"), &[]).await.unwrap_err();
    assert!(matches!(refused, StoreError::UnknownCheckpoint { .. }), "{refused}");
    assert!(store.summary(&"late".parse().unwrap()).await.unwrap().is_none(), "nothing is created");
}

#[tokio::test]
async fn the_way_to_a_step_of_a_fork_begins_in_its_parent() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let mut worker = Worker::at(&store, &run).await;
    worker.train(0, 30).await;
    worker.save(info(id(0, 10), Cause::Interval, Some(2.9), 0)).await;
    worker.save(info(id(0, 30), Cause::Interval, Some(2.7), 0)).await;
    let origin = store.origin(&run, id(0, 30)).await.unwrap().unwrap();
    let fork = fork_of(&new_run(run.as_str(), "cpu"), origin.clone(), "child");
    let change = Command::Set { path: LivePath::GRAD_CLIP, value: 9.0, reason: None };
    let event = origin.hyperparameters.change(&change, 30).unwrap().unwrap();
    store.create_fork(&fork, &[(change, event)]).await.unwrap();
    // The parent is changed after the fork, and continues.
    worker.report_event(40, Event::Changed { path: LivePath::GRAD_CLIP, old: 1.0, new: 0.5 }, None).await;
    let towards = async |step: u64| {
        let found = store.checkpoint_towards(&fork.id, id(0, step)).await.unwrap();
        found.map(|found| (found.at.run, found.at.checkpoint, found.hyperparameters.optimizer.grad_clip))
    };
    assert_eq!(towards(9).await, None);
    assert_eq!(towards(29).await, Some((run.clone(), id(0, 10), 1.0)));
    // Steps of the fork, which has no checkpoint of its own.
    assert_eq!(towards(35).await, Some((run.clone(), id(0, 30), 9.0)));
    let mut child = Worker::at(&store, &fork.id).await;
    child.train(30, 50).await;
    child.save(info(id(0, 45), Cause::Requested, None, 1)).await;
    assert_eq!(towards(44).await, Some((run.clone(), id(0, 30), 9.0)));
    assert_eq!(towards(49).await, Some((fork.id.clone(), id(0, 45), 9.0)));
}

#[tokio::test]
async fn two_runs_are_compared_from_their_first_unshared_step() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let mut worker = Worker::at(&store, &run).await;
    worker.train(0, 50).await;
    worker.save(info(id(0, 50), Cause::Requested, None, 0)).await;
    worker.train(50, 200).await;
    let origin = store.origin(&run, id(0, 50)).await.unwrap().unwrap();
    let fork = fork_of(&new_run(run.as_str(), "cpu"), origin, "child");
    store.create_fork(&fork, &[]).await.unwrap();
    let mut child = Worker::at(&store, &fork.id).await;
    child.train(50, 120).await;
    let same = store.compare(&fork.id, &run, 10).await.unwrap();
    assert_eq!((same.common_from, same.identical_steps, same.first_difference), (Some(50), 70, None));
    assert_eq!((same.difference.len(), same.difference[0].low, same.difference[9].last_step), (10, 0.0, 119));
    let rows =
        (120..160).map(|step| row(step, &[(name::TRAIN, 4.0 - step as f64 / 1000.0 + f64::from(step as u32 % 2))]));
    child.send(rows.collect()).await;
    let apart = store.compare(&fork.id, &run, 1).await.unwrap();
    assert_eq!((apart.identical_steps, apart.first_difference, apart.difference.len()), (71, Some(121), 1));
    let all = apart.difference[0];
    assert!(
        (all.mean - 20.0 / 110.0).abs() < 1e-9 && all.low < all.mean && all.high > all.mean && all.low > 0.0,
        "{all:?}"
    );
    let other = new_run("other", "cpu");
    store.create_run(&other).await.unwrap();
    assert_eq!(store.compare(&other.id, &run, 10).await.unwrap().common_from, None);
    Worker::at(&store, &other.id).await.train(0, 5).await;
    assert_eq!(store.compare(&other.id, &fork.id, 10).await.unwrap().identical_steps, 5, "through the fork's parent");
}

#[tokio::test]
async fn higher_priority_goes_first_and_a_run_for_any_device_of_a_kind_waits_for_the_first_free_one() {
    use wire::device::DeviceKind::{Cpu, Gpu};
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let make = |id: &str, device: &str, wanted: Option<&str>, priority: i32| {
        let mut run = new_run(id, device);
        run.spec.device = wanted.map(|wanted| wanted.parse().unwrap());
        run.spec.priority = Some(priority);
        run
    };
    for run in [
        make("a", "vulkan-0", None, 0),
        make("b", "vulkan-0", Some("gpu"), 5),
        make("c", "vulkan-1", Some("vulkan-1"), 0),
        make("d", "vulkan-0", None, 5),
    ] {
        store.create_run(&run).await.unwrap();
    }
    let device = |id: &str| id.parse::<wire::DeviceId>().unwrap();
    let ids = |queue: Vec<(RunId, wire::RunPlan)>| queue.into_iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(store.queue(&device("vulkan-0"), Gpu, "local", &[], 9).await.unwrap()), ["b", "d", "a"]);
    assert_eq!(ids(store.queue(&device("vulkan-1"), Gpu, "local", &[], 9).await.unwrap()), ["b", "c"]);
    assert!(store.queue(&device("cpu"), Cpu, "local", &[], 9).await.unwrap().is_empty());
    assert_eq!(store.queue_length(&device("vulkan-0"), None, None).await.unwrap(), 3);
    let place = async |id: &str| store.summary(&id.parse().unwrap()).await.unwrap().unwrap().queue_place;
    assert_eq!((place("b").await, place("d").await, place("a").await), (Some(1), Some(2), Some(3)));
    let moved = store.move_in_queue(&"a".parse().unwrap(), 1).await.unwrap();
    assert_eq!((moved.queue_place, moved.priority), (Some(1), 5), "a place among those of priority 5");
    assert_eq!(store.set_priority(&"d".parse().unwrap(), 9).await.unwrap().queue_place, Some(1));
    let b: RunId = "b".parse().unwrap();
    let plan = store.set_device(&b, &Slot::first(device("vulkan-1")), "the other card").await.unwrap();
    assert_eq!(plan.device, device("vulkan-1"));
    assert_eq!(
        ids(store.queue(&device("vulkan-0"), Gpu, "local", &[], 9).await.unwrap()),
        ["d", "a"],
        "it stays on its device"
    );
    assert_eq!(store.run(&b).await.unwrap().unwrap().device_name, "the other card");
}
