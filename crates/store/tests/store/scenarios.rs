//! Scenarios: the life of a run, the queue, deletion, tokens and sign-in.

use store::{EventSelection, NewRun, Store, StoreError};
use wire::access::{Role, TokenKind};
use wire::device::DeviceKind::Cpu;
use wire::inspect::update::InspectionUpdate;
use wire::series::name;
use wire::{Event, LivePath, RunState};

use crate::setup::{new_run, report, row, store_with_run};

#[tokio::test]
async fn events_are_selected_by_number_and_kind_from_either_end() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    for at in 0..4 {
        let sample = Event::Sampled { prompt: String::new(), text: format!("text {at}"), temperature: 1.0 };
        store.append(&run, report(at, sample, None)).await.unwrap();
        store.append(&run, report(at, Event::Annotated { text: "a".into() }, None)).await.unwrap();
    }
    let selected = async |since: u64, kinds: &[&str], limit: u32, is_newest: bool| {
        let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let selection = EventSelection { since, kinds, limit, is_newest };
        let (events, last) = store.select_events(&run, &selection).await.unwrap();
        assert_eq!(last, 9);
        events.iter().map(|record| record.number).collect::<Vec<u64>>()
    };
    assert_eq!(selected(0, &[], 3, false).await, [1, 2, 3]);
    assert_eq!(selected(0, &[], 3, true).await, [7, 8, 9]);
    assert_eq!(selected(7, &[], 9, true).await, [8, 9]);
    assert_eq!(selected(0, &["sampled"], 2, true).await, [6, 8]);
    assert_eq!(selected(2, &["sampled", "queued"], 2, false).await, [4, 6]);
    assert_eq!(selected(0, &["paused"], 9, false).await, [0_u64; 0]);
}

async fn ids(store: &Store) -> Vec<String> {
    store.runs(false).await.unwrap().into_iter().map(|run| run.id.into()).collect()
}

#[tokio::test]
async fn a_run_from_queue_to_finish_is_the_same_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    assert_eq!(store.summary(&run).await.unwrap().unwrap().queue_place, Some(1));
    store.set_state(&run, RunState::Starting, Some("loading".into())).await.unwrap();
    let started =
        wire::transport::link::Item::Event(report(0, Event::Started { parameters: 9 }, Some(RunState::Running)));
    let mut items = vec![started];
    items.extend((0..100).map(|step| {
        row(step, &[(name::TRAIN, 4.0 - step as f64 / 100.0), (name::SECS, step as f64), (name::TOKENS_PER_SEC, 500.0)])
    }));
    items.push(wire::transport::link::Item::Event(report(
        100,
        Event::Evaluated { loss_nats: 3.5, bits_per_byte: 2.0, windows: None },
        None,
    )));
    items.push(wire::transport::link::Item::Event(report(
        100,
        Event::Evaluated { loss_nats: 3.6, bits_per_byte: 2.1, windows: None },
        None,
    )));
    let done = store.ingest(&run, 1, items).await.unwrap();
    assert_eq!(
        done.events.iter().map(|event| event.number).collect::<Vec<_>>(),
        [2, 3, 4],
        "the first event is queued"
    );
    let line = &done.summary;
    assert_eq!(
        (line.state, line.step, line.loss_train, line.loss_valid, line.best_valid),
        (RunState::Running, 100, Some(3.01), Some(3.6), Some(3.5))
    );
    assert_eq!(
        (line.tokens_per_sec, line.elapsed_secs, line.started_ms, line.ended_ms, line.message.clone()),
        (Some(500.0), 99.0, Some(2000), None, None)
    );
    assert!(line.sparkline.len() > 30 && line.sparkline.len() <= 60);
    let (record, line) = store
        .append(&run, report(100, Event::Failed { message: "the disk failed".into() }, Some(RunState::Failed)))
        .await
        .unwrap();
    assert_eq!(
        (record.number, line.state, line.ended_ms, line.message.as_deref()),
        (5, RunState::Failed, Some(2100), Some("the disk failed"))
    );
    let before = (store.run(&run).await.unwrap(), store.events(&run, 0, 100).await.unwrap());
    store.close().await;

    let store = Store::open(dir.path()).await.unwrap();
    assert_eq!((store.run(&run).await.unwrap(), store.events(&run, 0, 100).await.unwrap()), before);
    assert_eq!(store.events(&run, 3, 1).await.unwrap()[0].number, 4);
}

#[tokio::test]
async fn live_hyperparameters_are_replayed_from_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let change_to = |step, path, new| report(step, Event::Changed { path, old: 0.0, new }, None);
    for change in [
        change_to(10, LivePath::LEARNING_RATE, 5e-4),
        change_to(20, LivePath::GRAD_CLIP, 0.5),
        change_to(30, LivePath::LEARNING_RATE, 1e-4),
        change_to(30, LivePath::EVAL_EVERY, 7.0),
    ] {
        store.append(&run, change).await.unwrap();
    }
    let hyperparameters = store.run(&run).await.unwrap().unwrap().hyperparameters;
    assert_eq!(
        (
            hyperparameters.get(LivePath::LEARNING_RATE, 10),
            hyperparameters.get(LivePath::LEARNING_RATE, 30),
            hyperparameters.optimizer.grad_clip,
            hyperparameters.intervals.eval_every
        ),
        (5e-4, 1e-4, 0.5, 7)
    );
}

#[tokio::test]
async fn each_device_has_a_queue_that_users_can_reorder() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    for (id, device) in [("a", "cpu"), ("x", "gpu-0"), ("b", "cpu"), ("c", "cpu"), ("y", "gpu-0")] {
        store.create_run(&new_run(id, device)).await.unwrap();
    }
    let [a, b, c, y] = ["a", "b", "c", "y"].map(|id| id.parse().unwrap());
    let (cpu, gpu) = ("cpu".parse().unwrap(), "gpu-0".parse().unwrap());
    assert_eq!(store.move_in_queue(&c, 1).await.unwrap().queue_place, Some(1));
    assert_eq!(store.move_in_queue(&a, 99).await.unwrap().queue_place, Some(3));
    let first = async |device| store.queue(device, Cpu, "local", &[], 1).await.unwrap().pop().map(|(id, _)| id);
    assert_eq!(first(&cpu).await, Some(c.clone()));
    assert_eq!(first(&gpu).await.unwrap().as_str(), "x");
    store.set_state(&c, RunState::Starting, None).await.unwrap();
    assert_eq!(first(&cpu).await, Some(b.clone()));
    assert!(matches!(store.move_in_queue(&c, 1).await, Err(StoreError::NotQueued { .. })));
    let is_queued = |run: &wire::RunSummary| run.state == RunState::Queued;
    assert_eq!(store.set_state_if(&c, is_queued, RunState::Queued, None).await.unwrap(), None, "it has started");
    assert!(store.set_state_if(&b, is_queued, RunState::Queued, Some("why".into())).await.unwrap().is_some());
    store.delete_run(&b, 1).await.unwrap();
    assert_eq!(store.summary(&a).await.unwrap().unwrap().queue_place, Some(1), "a deleted run has no place");
    store.restore_run(&b).await.unwrap();
    assert_eq!(store.summary(&a).await.unwrap().unwrap().queue_place, Some(2));
    assert_eq!(store.move_in_queue(&y, 0).await.unwrap().queue_place, Some(1));
    assert_eq!(first(&"tpu".parse().unwrap()).await, None);
}

#[tokio::test]
async fn a_deletion_can_be_undone_until_it_is_purged() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    store.create_run(&NewRun { created_ms: 2000, ..new_run("b", "cpu") }).await.unwrap();
    store.ingest(&run, 1, vec![row(0, &[("a", 1.0)])]).await.unwrap();
    assert_eq!(ids(&store).await, ["b", "amber-fox-7k2q"], "newest first");
    store.set_state(&run, RunState::Running, None).await.unwrap();
    assert!(matches!(store.delete_run(&run, 500).await, Err(StoreError::RunIsLive { .. })));
    store.set_state(&run, RunState::Stopped, None).await.unwrap();
    assert_eq!(store.delete_run(&run, 500).await.unwrap().deleted_ms, Some(500));
    assert_eq!((ids(&store).await, store.runs(true).await.unwrap().len()), (vec!["b".into()], 2));
    store.restore_run(&run).await.unwrap();
    assert_eq!(store.purge_deleted(1000).await.unwrap(), []);
    store.delete_run(&run, 500).await.unwrap();
    assert_eq!(store.purge_deleted(500).await.unwrap(), []);
    assert_eq!(store.purge_deleted(501).await.unwrap(), std::slice::from_ref(&run));
    assert!(store.run(&run).await.unwrap().is_none() && !dir.path().join(format!("series/{run}")).exists());
    assert!(matches!(store.series_names(&run).await, Err(StoreError::UnknownRun { .. })));
    let again = store.create_run(&new_run(run.as_str(), "cpu")).await.unwrap();
    assert_eq!(
        (again.step, store.series_names(&run).await.unwrap().len(), store.events(&run, 0, 9).await.unwrap().len()),
        (0, 0, 1)
    );
}

#[tokio::test]
async fn names_archive_flags_and_updates_are_stored() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    assert_eq!(
        store.rename(&run, "it's \"mine\"; DROP TABLE runs").await.unwrap().name,
        "it's \"mine\"; DROP TABLE runs"
    );
    assert!(store.set_archived(&run, true).await.unwrap().is_archived);
    let inspection = |step| InspectionUpdate::ParameterStats { step, tensors: vec![], cost_ms: 1.0 };
    store.put_update(&run, &inspection(1)).await.unwrap();
    store.put_update(&run, &inspection(2)).await.unwrap();
    assert_eq!(store.updates(&run, None).await.unwrap(), [inspection(2)]);
    assert_eq!(
        (
            store.updates(&run, Some("parameter_stats")).await.unwrap().len(),
            store.updates(&run, Some("other")).await.unwrap().len()
        ),
        (1, 0)
    );
    let nobody = "nobody".parse().unwrap();
    assert!(matches!(store.rename(&nobody, "x").await, Err(StoreError::UnknownRun { .. })));
    assert!(matches!(store.put_update(&nobody, &inspection(1)).await, Err(StoreError::UnknownRun { .. })));
}

#[tokio::test]
async fn a_sign_in_link_works_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let link = store.add_token("ada", Role::Steer, TokenKind::SignIn, None).await.unwrap();
    assert_eq!(store.identify(&link).await.unwrap(), None, "it must be exchanged first");
    let racers: Vec<_> = (0..16)
        .map(|_| {
            let (store, link) = (store.clone(), link.clone());
            tokio::spawn(async move { store.sign_in(&link).await.unwrap() })
        })
        .collect();
    let mut sessions = vec![];
    for racer in racers {
        sessions.extend(racer.await.unwrap());
    }
    assert_eq!(sessions.len(), 1);
    let (session, identity) = sessions.remove(0);
    assert_eq!((identity.name.as_str(), identity.role), ("ada", Role::Steer));
    assert_eq!(store.identify(&session).await.unwrap(), Some(identity.clone()));
    assert_eq!(store.sign_in(&session).await.unwrap(), None, "a session token is not a sign-in link");
    assert!(store.revoke(identity.token_id).await.unwrap() && !store.revoke(identity.token_id).await.unwrap());
    assert_eq!(store.identify(&session).await.unwrap(), None);
}

#[tokio::test]
async fn tokens_expire_and_are_never_stored_as_text() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let old = store.add_token("old", Role::Admin, TokenKind::Api, Some(1)).await.unwrap();
    let old_link = store.add_token("old", Role::Admin, TokenKind::SignIn, Some(1)).await.unwrap();
    let api = store.add_token("robot", Role::View, TokenKind::Api, None).await.unwrap();
    assert_eq!((store.identify(&old).await.unwrap(), store.sign_in(&old_link).await.unwrap()), (None, None));
    assert_eq!(store.identify(&api).await.unwrap().unwrap().role, Role::View);
    for wrong in ["", "0", &api[..63], &api.to_uppercase(), "' OR 1=1 --"] {
        assert_eq!(store.identify(wrong).await.unwrap(), None, "{wrong}");
    }
    assert_eq!(store.tokens().await.unwrap().iter().map(|token| token.name.as_str()).collect::<Vec<_>>(), ["robot"]);
    store.close().await;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = if path.is_file() { std::fs::read(path).unwrap() } else { vec![] };
        assert!(!bytes.windows(64).any(|window| window == api.as_bytes()));
    }
}

#[test]
fn roles_include_lower_ones_and_workers_are_separate() {
    use Role::{Admin, Steer, View, Worker};
    let included = |role: Role| [View, Steer, Admin, Worker].map(|needed| role.includes(needed));
    assert_eq!(included(View), [true, false, false, false]);
    assert_eq!(included(Steer), [true, true, false, false]);
    assert_eq!(included(Admin), [true, true, true, false]);
    assert_eq!(included(Worker), [false, false, false, true]);
}
