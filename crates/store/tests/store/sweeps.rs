//! Sweeps: a trial and its run are created together or not at all, nothing is decided twice, and commands are for one revision.

use std::path::Path;

use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};
use store::{
    Creator, DecidedTrials, NewDecision, NewPerson, NewSweep, NewTrial, Store, StoreError, TrialChange, TrialCreation,
    TrialValues,
};
use wire::access::{Role, Visible};
use wire::run::RunChange;
use wire::series::{Row, name};
use wire::sweep::command::SweepCommand;
use wire::sweep::record::{DecisionKind, Sweep, SweepState, TrialState};
use wire::sweep::space::Point;
use wire::sweep::spec::{Direction, SweepSpec};
use wire::sweep::stopping::StoppingRule;
use wire::task::lab::TaskSchedule;
use wire::transport::link::Item;
use wire::{Event, RunId, RunState};

use crate::setup::{new_run, report};

fn new_sweep(trials: u64, at_once: u32) -> NewSweep {
    let spec: SweepSpec = serde_json::from_value(json!({
        "name": "rates", "trials": trials, "at_once": at_once, "base": { "corpus": "tales" },
        "space": { "parameters": { "optimizer.learning_rate": { "log": [1e-4, 1e-2] } } },
    }))
    .unwrap();
    spec.check().unwrap();
    NewSweep {
        spec,
        project: "default".into(),
        trials,
        creator: "ada".into(),
        person: None,
        token: None,
        created_ms: 1000,
    }
}

fn point(rate: f64) -> Point {
    Point { values: [("optimizer.learning_rate".to_owned(), rate.into())].into(), seed: None }
}

async fn get(store: &Store, id: i64) -> Sweep {
    store.sweep(id).await.unwrap().unwrap()
}

async fn create(store: &Store, id: i64, number: u64, run: &str) -> TrialCreation {
    let (point, mut run, revision) = (point(1e-3), new_run(run, "cpu"), get(store, id).await.revision);
    run.spec.tasks = vec![TaskSchedule { task: "capitals".parse().unwrap(), every: 1 }];
    let new = NewTrial { sweep: id, revision, number, point: &point, run: &run };
    store.create_trial(&new).await.unwrap()
}

fn is_created(creation: &TrialCreation) -> bool {
    matches!(creation, TrialCreation::Created(_))
}

async fn set_trial(store: &Store, id: i64, number: u64, state: TrialState) {
    let change = TrialChange { state: Some((state, None)), ..TrialChange::default() };
    store.change_trial(id, number, 1, &change).await.unwrap().unwrap();
}

fn stop(trial: u64, step: u64) -> (NewDecision, TrialState) {
    let decision = NewDecision {
        kind: DecisionKind::Stopped,
        by: "ASHA, eta 4".into(),
        trial: Some(trial),
        step: Some(step),
        rung: Some(step),
        sentence: "Its value 3 is not among the best.".into(),
        value: Some(3.0),
        threshold: Some(2.0),
    };
    (decision, TrialState::Stopped)
}

async fn reopened(store: Store, dir: &Path) -> Store {
    store.close().await;
    Store::open(dir).await.unwrap()
}

#[tokio::test]
async fn a_trial_and_its_queued_run_are_created_together_and_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let id = store.create_sweep(&new_sweep(2, 2)).await.unwrap().id;
    assert!(is_created(&create(&store, id, 0, "a").await));
    assert_eq!(create(&store, id, 0, "b").await, TrialCreation::NotNow, "the number is taken");
    assert_eq!(create(&store, id, 1, "b").await, TrialCreation::NotNow, "trial 0 waits in the queue");
    let store = reopened(store, dir.path()).await;
    let run: RunId = "a".parse().unwrap();
    let summary = store.summary(&run).await.unwrap().unwrap();
    assert_eq!((summary.state, summary.tags.as_slice()), (RunState::Queued, [format!("sweep:{id}")].as_slice()));
    assert_eq!(store.task_schedules(&run).await.unwrap().len(), 1);
    assert_eq!(store.trial_of_run(&run).await.unwrap(), Some((id, 0)));
    assert_eq!(store.runs(true).await.unwrap().len(), 1, "refused trials leave no run");
    set_trial(&store, id, 0, TrialState::Running).await;
    // An id that is taken: neither run nor trial.
    let (point, taken, revision) = (point(1e-3), new_run("a", "cpu"), get(&store, id).await.revision);
    let new = NewTrial { sweep: id, revision, number: 1, point: &point, run: &taken };
    assert!(matches!(store.create_trial(&new).await, Err(StoreError::RunExists { .. })));
    assert_eq!(store.trials(id, None).await.unwrap().len(), 1);
    assert!(is_created(&create(&store, id, 1, "b").await));
    set_trial(&store, id, 1, TrialState::Running).await;
    assert_eq!(create(&store, id, 2, "c").await, TrialCreation::NotNow, "two trials are planned");
    let counts = get(&store, id).await.counts;
    assert_eq!((counts.created(), counts.unfinished(), counts.running), (2, 2, 2));
    assert_eq!(store.active_sweeps().await.unwrap(), [id]);
}

#[tokio::test]
async fn a_decision_is_stored_once_and_values_only_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let id = store.create_sweep(&new_sweep(5, 2)).await.unwrap().id;
    create(&store, id, 0, "a").await;
    let values = |last: f64, step: u64| TrialValues { last, last_step: step, best: 2.0, kept: vec![(step, last)] };
    let change = TrialChange {
        values: Some(values(3.0, 40)),
        stop: Some(stop(0, 40)),
        state: Some((TrialState::Running, None)),
        run_state: None,
        // One value passes two rungs.
        continued: [10, 20]
            .map(|rung| NewDecision { kind: DecisionKind::Continued, rung: Some(rung), ..stop(0, 40).0 })
            .into(),
    };
    let first = store.change_trial(id, 0, 1, &change).await.unwrap().unwrap();
    assert_eq!((first.stop_as, first.kept.as_slice()), (Some(TrialState::Stopped), [(40, 3.0)].as_slice()));
    let store = reopened(store, dir.path()).await;
    // The same report, and an older one, after a kill.
    let older = TrialChange { values: Some(values(9.0, 20)), ..change.clone() };
    for change in [&change, &older] {
        let again = store.change_trial(id, 0, 1, change).await.unwrap().unwrap();
        assert_eq!((again.trial.last, again.trial.last_step), (Some(3.0), Some(40)));
    }
    let decisions = store.sweep_decisions(id, 0, 100).await.unwrap();
    let kinds: Vec<_> = decisions.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [DecisionKind::Continued, DecisionKind::Continued, DecisionKind::Stopped]);
    let decision = &decisions[2];
    assert_eq!((decision.number, decision.trial, decision.step, decision.value), (3, Some(0), Some(40), Some(3.0)));
    let trial = store.trial(id, 0).await.unwrap().unwrap();
    assert_eq!(trial.reason.as_deref(), Some("Its value 3 is not among the best."));
    assert_eq!(store.change_trial(id, 0, 2, &change).await.unwrap(), None, "of another attempt");
    set_trial(&store, id, 0, TrialState::Stopped).await;
    assert_eq!(store.change_trial(id, 0, 1, &change).await.unwrap(), None, "it has ended");
    assert!(store.trial(id, 0).await.unwrap().unwrap().ended_ms.is_some());
}

#[tokio::test]
async fn a_stopped_trial_continues_when_its_run_is_resumed_and_rules_do_not_stop_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let id = store.create_sweep(&new_sweep(1, 1)).await.unwrap().id;
    create(&store, id, 0, "a").await;
    let run: RunId = "a".parse().unwrap();
    let stopped =
        TrialChange { stop: Some(stop(0, 40)), state: Some((TrialState::Stopped, None)), ..TrialChange::default() };
    store.change_trial(id, 0, 1, &stopped).await.unwrap();
    store.set_state(&run, RunState::Stopped, None).await.unwrap();
    assert!(store.finish_sweep(id).await.unwrap());
    assert!(!store.finish_sweep(id).await.unwrap(), "it has ended before");
    let finished = get(&store, id).await;
    assert_eq!((finished.state, finished.ended_ms.is_some(), finished.best), (SweepState::Finished, true, None));
    assert!(store.active_sweeps().await.unwrap().is_empty());

    store.resume_run(&run, Some(RunState::Stopped), report(40, Event::Resumed, None)).await.unwrap().unwrap();
    let running = get(&store, id).await;
    assert_eq!((running.state, running.ended_ms, running.counts.queued), (SweepState::Running, None, 1));
    let changed = store.trials(id, Some(finished.changes)).await.unwrap();
    assert_eq!(changed.len(), 1, "pages that ask for changes get it");
    assert_eq!((changed[0].state, changed[0].is_exempt, changed[0].reason.clone()), (TrialState::Queued, true, None));
    let later = TrialChange { stop: Some(stop(0, 80)), ..TrialChange::default() };
    let after = store.change_trial(id, 0, 1, &later).await.unwrap().unwrap();
    assert_eq!(after.stop_as, None);
    let kinds: Vec<_> = store.sweep_decisions(id, 0, 100).await.unwrap().iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [DecisionKind::Stopped], "the decision stays, and no other one is stored");
}

#[tokio::test]
async fn what_was_seen_of_a_run_before_it_was_resumed_does_not_end_its_trial() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let id = store.create_sweep(&new_sweep(1, 1)).await.unwrap().id;
    create(&store, id, 0, "a").await;
    let run: RunId = "a".parse().unwrap();
    set_trial(&store, id, 0, TrialState::Running).await;
    store.set_state(&run, RunState::Stopped, None).await.unwrap();
    // The server has seen that it was stopped, and somebody resumes it before this is stored.
    let seen = TrialChange {
        run_state: Some(RunState::Stopped),
        state: Some((TrialState::Stopped, None)),
        ..TrialChange::default()
    };
    store.resume_run(&run, Some(RunState::Stopped), report(40, Event::Resumed, None)).await.unwrap().unwrap();
    assert_eq!(store.change_trial(id, 0, 1, &seen).await.unwrap(), None);
    let trial = store.trial(id, 0).await.unwrap().unwrap();
    assert_eq!((trial.state, trial.is_exempt), (TrialState::Queued, true), "a rule does not stop it again");
    // Seen again, it is as it is.
    store.set_state(&run, RunState::Stopped, None).await.unwrap();
    let ended = store.change_trial(id, 0, 1, &seen).await.unwrap().unwrap();
    assert_eq!(ended.trial.state, TrialState::Stopped);
}

#[tokio::test]
async fn a_trial_that_failed_with_its_lost_worker_continues_when_the_worker_reconnects() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let id = store.create_sweep(&new_sweep(1, 1)).await.unwrap().id;
    create(&store, id, 0, "a").await;
    let run: RunId = "a".parse().unwrap();
    assert_eq!(store.continue_lost_trial(&run).await.unwrap(), None, "it has not ended");
    set_trial(&store, id, 0, TrialState::Failed).await;
    assert!(store.finish_sweep(id).await.unwrap());
    assert_eq!(store.continue_lost_trial(&run).await.unwrap(), Some(id));
    let trial = store.trial(id, 0).await.unwrap().unwrap();
    assert_eq!((trial.state, trial.ended_ms, trial.is_exempt), (TrialState::Running, None, false));
    assert_eq!(get(&store, id).await.state, SweepState::Running);
    // A decision to stop it counts.
    let diverged = TrialChange {
        stop: Some((NewDecision { kind: DecisionKind::Diverged, ..stop(0, 40).0 }, TrialState::Failed)),
        state: Some((TrialState::Failed, None)),
        ..TrialChange::default()
    };
    store.change_trial(id, 0, 1, &diverged).await.unwrap().unwrap();
    assert_eq!(store.continue_lost_trial(&run).await.unwrap(), None);
}

#[tokio::test]
async fn a_run_of_another_project_is_resumed_without_its_trial() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    store.add_project("beta", &Default::default()).await.unwrap();
    let id = store.create_sweep(&new_sweep(1, 1)).await.unwrap().id;
    create(&store, id, 0, "a").await;
    let run: RunId = "a".parse().unwrap();
    set_trial(&store, id, 0, TrialState::Stopped).await;
    store.set_state(&run, RunState::Stopped, None).await.unwrap();
    let moved = RunChange { project: Some("beta".into()), ..RunChange::default() };
    store.change_run(&run, &moved).await.unwrap();
    store.resume_run(&run, Some(RunState::Stopped), report(40, Event::Resumed, None)).await.unwrap().unwrap();
    assert_eq!(store.trial(id, 0).await.unwrap().unwrap().state, TrialState::Stopped);
}

#[tokio::test]
async fn a_command_for_another_revision_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let first = store.create_sweep(&new_sweep(10, 1)).await.unwrap();
    let id = first.id;
    let command =
        async |revision: u64, command: SweepCommand| store.command_sweep(id, revision, command, "ada", None).await;
    let paused = command(first.revision, SweepCommand::Pause).await.unwrap();
    assert_eq!((paused.state, paused.revision), (SweepState::Paused, first.revision + 1));
    let late = command(first.revision, SweepCommand::Extend { trials: 5 }).await.unwrap_err();
    assert!(matches!(late, StoreError::SweepChanged { revision: 1, current: 2, .. }), "{late}");
    let twice = command(paused.revision, SweepCommand::Pause).await.unwrap_err();
    assert_eq!(twice.to_string(), format!("sweep {id} is paused and cannot be paused"));
    assert_eq!(create(&store, id, 0, "a").await, TrialCreation::NotNow, "a paused sweep takes no trial");
    let extended = command(paused.revision, SweepCommand::Extend { trials: 5 }).await.unwrap();
    assert_eq!((extended.state, extended.trials), (SweepState::Paused, 15));
    for trials in [0, 1986] {
        let refused = command(extended.revision, SweepCommand::Extend { trials }).await.unwrap_err();
        assert!(matches!(refused, StoreError::InvalidQuery { .. }), "{trials}: {refused}");
    }
    let running = command(extended.revision, SweepCommand::Resume).await.unwrap();
    assert!(is_created(&create(&store, id, 0, "a").await));
    let stopped = command(running.revision, SweepCommand::Stop).await.unwrap();
    assert_eq!((stopped.state, stopped.ended_ms), (SweepState::Stopped, None), "a trial has not ended");
    let trial = store.unfinished_trials(id).await.unwrap().remove(0);
    assert_eq!(
        (trial.stop_as, trial.trial.reason.as_deref()),
        (Some(TrialState::Stopped), Some("ada stopped the sweep."))
    );
    assert!(!store.finish_sweep(id).await.unwrap());
    set_trial(&store, id, 0, TrialState::Stopped).await;
    assert!(store.finish_sweep(id).await.unwrap());
    assert_eq!(get(&store, id).await.state, SweepState::Stopped);
    let sentences: Vec<String> =
        store.sweep_decisions(id, 0, 100).await.unwrap().into_iter().map(|one| one.sentence).collect();
    let expected = ["paused the sweep.", "extended the sweep by 5 trials.", "resumed the sweep.", "stopped the sweep."];
    assert_eq!(sentences, expected.map(|rest| format!("ada {rest}")));
}

#[tokio::test]
async fn a_trial_begins_again_as_a_new_run() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let id = store.create_sweep(&new_sweep(1, 1)).await.unwrap().id;
    create(&store, id, 0, "a").await;
    let first: RunId = "a".parse().unwrap();
    store.set_state(&first, RunState::Running, None).await.unwrap();
    let row = Row { segment: 0, step: 0, values: vec![(name::SECS.to_owned(), 3.0)] };
    store.ingest(&first, 1, vec![Item::Row(row)]).await.unwrap();
    let (point, run, revision) = (point(1e-3), new_run("b", "cpu"), get(&store, id).await.revision);
    let again = NewTrial { sweep: id, revision, number: 0, point: &point, run: &run };
    let early = store.retry_trial(&again, "ada").await.unwrap_err();
    assert!(matches!(early, StoreError::TrialNotOver { number: 0, .. }), "{early}");
    let decided = async || store.decided_trials(id).await.unwrap();
    assert_eq!(decided().await, DecidedTrials { newest: 0, decided: 0, created: 1 });
    set_trial(&store, id, 0, TrialState::Failed).await;
    let newest = get(&store, id).await.changes;
    assert_eq!(decided().await, DecidedTrials { newest, decided: 1, created: 1 });
    store.finish_sweep(id).await.unwrap();
    let revision = get(&store, id).await.revision;
    let unknown = NewTrial { revision, number: 1, ..again };
    assert!(matches!(store.retry_trial(&unknown, "ada").await, Err(StoreError::UnknownTrial { number: 1, .. })));
    let again = NewTrial { revision, ..again };
    assert!(store.earlier_attempts(id).await.unwrap().is_empty());
    store.retry_trial(&again, "ada").await.unwrap();
    assert_eq!(store.earlier_attempts(id).await.unwrap(), [(first.clone(), 3.0)]);
    assert_eq!(decided().await, DecidedTrials { newest: 0, decided: 0, created: 1 });
    let late = store.retry_trial(&again, "ada").await.unwrap_err();
    assert!(matches!(late, StoreError::SweepChanged { .. }), "two people at once begin it once: {late}");
    let trial = store.trial(id, 0).await.unwrap().unwrap();
    assert_eq!((trial.attempt, trial.state, trial.run), (2, TrialState::Queued, Some("b".parse().unwrap())));
    assert_eq!(get(&store, id).await.state, SweepState::Running);
    assert!(store.summary(&first).await.unwrap().is_some(), "the run before stays");
}

#[tokio::test]
async fn points_without_a_valid_run_are_failed_trials_and_several_in_a_row_pause_the_sweep() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let id = store.create_sweep(&new_sweep(20, 1)).await.unwrap().id;
    let invalid = async |number: u64| {
        let revision = get(&store, id).await.revision;
        store.add_invalid_trial(id, revision, number, &point(1e-3), "The width is not divisible.").await.unwrap();
    };
    for number in 0..4 {
        invalid(number).await;
    }
    assert!(is_created(&create(&store, id, 4, "a").await));
    set_trial(&store, id, 4, TrialState::Failed).await;
    for number in 5..9 {
        invalid(number).await;
    }
    let before = get(&store, id).await;
    assert_eq!((before.state, before.counts.failed), (SweepState::Running, 9), "a run lies between them");
    invalid(9).await;
    let after = get(&store, id).await;
    assert_eq!((after.state, after.revision), (SweepState::Paused, before.revision + 1));
    assert!(after.message.unwrap().contains("5 points in a row made no valid run"));
    let trial = store.trial(id, 9).await.unwrap().unwrap();
    assert_eq!((trial.run, trial.reason.as_deref()), (None, Some("The width is not divisible.")));
    let last = store.sweep_decisions(id, 0, 100).await.unwrap().pop().unwrap();
    assert_eq!((last.kind, last.by.as_str()), (DecisionKind::Paused, "server"));
}

#[tokio::test]
async fn a_sweep_pauses_when_its_creator_may_not_train_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let person = NewPerson { name: "ada".into(), email: None, role: None, password: None, provider: None };
    let person = store.add_person(&person).await.unwrap().id;
    store.set_member("default", person, Role::Steer, None).await.unwrap();
    let id = store.create_sweep(&NewSweep { person: Some(person), ..new_sweep(5, 5) }).await.unwrap().id;
    assert!(is_created(&create(&store, id, 0, "a").await));
    set_trial(&store, id, 0, TrialState::Running).await;
    store.set_member("default", person, Role::View, None).await.unwrap();
    assert_eq!(create(&store, id, 1, "b").await, TrialCreation::CreatorLeft);
    let paused = get(&store, id).await;
    assert_eq!(paused.state, SweepState::Paused);
    assert_eq!(paused.message.as_deref(), Some("ada may not train in the project default any more."));
    assert!(store.summary(&"b".parse().unwrap()).await.unwrap().is_none());
    let resume = async |owner: Option<Creator<'_>>| {
        let revision = get(&store, id).await.revision;
        store.command_sweep(id, revision, SweepCommand::Resume, "grace", owner).await.unwrap()
    };
    resume(None).await;
    assert_eq!(create(&store, id, 1, "b").await, TrialCreation::CreatorLeft, "a guest gives no rights");
    let resumed = resume(Some(Creator { name: "grace", person: None, token: None })).await;
    assert_eq!((resumed.creator.as_str(), resumed.message), ("grace", None));
    assert!(is_created(&create(&store, id, 1, "b").await), "it continues with the rights of who resumed it");
}

#[tokio::test]
async fn lists_have_the_sweeps_of_the_projects_that_may_be_seen() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    store.add_project("beta", &Default::default()).await.unwrap();
    let own = store.create_sweep(&new_sweep(1, 1)).await.unwrap().id;
    let other = store.create_sweep(&NewSweep { project: "beta".into(), ..new_sweep(1, 1) }).await.unwrap().id;
    let ids = async |visible: Visible, before: Option<i64>| -> Vec<i64> {
        store.sweeps(&visible, before, 10).await.unwrap().iter().map(|sweep| sweep.id).collect()
    };
    assert_eq!(ids(Visible::All, None).await, [other, own]);
    assert_eq!(ids(Visible::All, Some(other)).await, [own]);
    let only = Visible::Only { projects: ["beta".to_owned()].into(), runs: Default::default() };
    assert_eq!(ids(only, None).await, [other]);
    assert_eq!(store.project_of_sweep(other).await.unwrap().as_deref(), Some("beta"));
    let unknown = NewSweep { project: "gamma".into(), ..new_sweep(1, 1) };
    assert!(matches!(store.create_sweep(&unknown).await, Err(StoreError::UnknownProject { .. })));
    store.remove_project("beta").await.unwrap();
    assert_eq!(store.sweep(other).await.unwrap(), None);
}

#[tokio::test]
async fn another_stopping_rule_reads_the_values_again_and_drops_what_the_old_one_decides_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let id = store.create_sweep(&new_sweep(2, 2)).await.unwrap().id;
    create(&store, id, 0, "a").await;
    let values = |step: u64| Some(TrialValues { last: 3.0, last_step: step, best: 3.0, kept: vec![(step, 3.0)] });
    let change = TrialChange { values: values(40), ..TrialChange::default() };
    assert!(!store.change_trial(id, 0, 1, &change).await.unwrap().unwrap().is_unread);
    let set = async |stopping: Option<StoppingRule>| {
        let revision = get(&store, id).await.revision;
        store.command_sweep(id, revision, SweepCommand::SetStopping { stopping }, "ada", None).await
    };
    let asha = StoppingRule::asha();
    let refused = set(Some(StoppingRule::Asha { eta: 1, min_fraction: 0.1 })).await.unwrap_err();
    assert!(matches!(&refused, StoreError::InvalidQuery { source } if source.field == "command.stopping.eta"));
    let changed = set(Some(asha)).await.unwrap();
    assert_eq!((changed.spec.stopping, changed.state), (Some(asha), SweepState::Running));
    let unread = store.unread_trials(id).await.unwrap();
    assert_eq!((unread.len(), unread[0].kept.len(), unread[0].trial.last_step), (1, 0, Some(40)));
    // A check that began before the change.
    let late = TrialChange { values: values(80), stop: Some(stop(0, 80)), ..TrialChange::default() };
    assert_eq!(store.change_trial(id, 0, 1, &late).await.unwrap(), None);
    store.set_kept(id, (0, 1), None, &[]).await.unwrap();
    assert_eq!(store.unread_trials(id).await.unwrap().len(), 1, "they were read for another rule");
    store.set_kept(id, (0, 1), Some(asha), &[(10, 3.5)]).await.unwrap();
    let read = store.trial_record(id, 0).await.unwrap().unwrap();
    assert_eq!((read.kept.as_slice(), read.is_unread, read.trial.last_step), ([(10, 3.5)].as_slice(), false, Some(40)));
    assert!(store.change_trial(id, 0, 1, &late).await.unwrap().unwrap().stop_as.is_some(), "the new rule decides");
    let said: Vec<String> =
        store.sweep_decisions(id, 0, 9).await.unwrap().into_iter().map(|decision| decision.sentence).collect();
    assert_eq!(said[0], "ada changed the stopping rule from none to ASHA, eta 4.");
    let revision = get(&store, id).await.revision;
    store.command_sweep(id, revision, SweepCommand::Stop, "ada", None).await.unwrap();
    assert!(matches!(set(None).await, Err(StoreError::SweepState { .. })));
}

#[tokio::test]
async fn a_study_of_optuna_becomes_a_stopped_sweep_with_its_trials() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    // Optuna 4.5 has written it: 12 trials of "learning rates", of which 3 were pruned, 1 failed and 1 has an infinite value, and one that runs.
    let file = crate::format::fixtures().join("optuna-4.5.db");
    let ada = Creator { name: "ada", person: None, token: None };
    let import = async |study: Option<&str>| store.import_study(&file, study, "default", ada).await;
    let sweep = import(Some("learning rates")).await.unwrap();
    assert_eq!((sweep.state, sweep.trials, sweep.spec.metric.direction), (SweepState::Stopped, 12, Direction::Higher));
    let counts = sweep.counts;
    assert_eq!((counts.finished, counts.stopped, counts.failed, counts.unfinished()), (7, 3, 2, 0));
    assert_eq!((sweep.best.unwrap().trial, sweep.best.unwrap().value), (9, -0.21767106587978197));
    let message = "Imported from the Optuna study \"learning rates\". Trials that had not ended were left out: 1.";
    assert_eq!(sweep.message.as_deref(), Some(message));
    let names: Vec<&str> = sweep.spec.space.parameters.keys().map(String::as_str).collect();
    let known = "optimizer.learning_rate";
    assert_eq!(names, ["imported.activation", "imported.gelu_scale", "imported.units", known]);
    let units = &sweep.spec.space.parameters["imported.units"];
    assert_eq!(
        (units.int, units.step, sweep.spec.space.parameters[known].log),
        (Some([16, 64]), Some(16.0), Some([1e-4, 1e-2]))
    );
    let space = sweep.spec.check().unwrap();
    let trials = store.trial_records(sweep.id, None).await.unwrap();
    let first = &trials[0];
    assert_eq!(first.trial.point.values["imported.activation"], "gelu");
    assert_eq!((&first.trial.point.values["imported.units"], first.trial.last_step), (&json!(48), Some(30)));
    assert_eq!((first.kept.len(), first.kept[0].0, first.trial.best), (3, 10, first.trial.last));
    assert!(first.kept[0].1 > first.kept[2].1, "a lower value is better where rules read it");
    assert!(space.dimensions.iter().any(|one| one.name == known) && first.trial.created_ms > 1_700_000_000_000);
    assert_eq!(trials[4].trial.reason.as_deref(), Some("It failed in Optuna."));
    assert_eq!(trials[5].trial.reason.as_deref(), Some("Its value is not finite."));
    assert_eq!((trials[7].trial.state, trials[7].trial.last_step), (TrialState::Stopped, Some(10)));
    assert_eq!(store.active_sweeps().await.unwrap(), [0i64; 0]);

    for (study, part) in [
        (None, "the file has 2 studies; name one of \"learning rates\", \"two objectives\""),
        (Some("rates"), "the file has no study \"rates\""),
        (Some("two objectives"), "it has 2 objectives"),
    ] {
        let refused = import(study).await.unwrap_err().to_string();
        assert!(refused.contains(part), "{refused}");
    }
    let other = dir.path().join("other.db");
    for (content, part) in [
        (b"not SQLite".repeat(200), "cannot be read as a SQLite database"),
        (vec![], "has no plain table version_info"),
    ] {
        std::fs::write(&other, content).unwrap();
        let refused = store.import_study(&other, None, "default", ada).await.unwrap_err().to_string();
        assert!(refused.contains(part), "{refused}");
    }
    // A view runs SQL of the file.
    std::fs::copy(&file, &other).unwrap();
    let mut database = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&other)).await.unwrap();
    let change = "ALTER TABLE trials RENAME TO moved; CREATE VIEW trials AS SELECT * FROM moved";
    sqlx::raw_sql(change).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    let refused = store.import_study(&other, Some("learning rates"), "default", ada).await.unwrap_err().to_string();
    assert!(refused.contains("no plain table trials as in files of Optuna"), "{refused}");
    assert_eq!(store.sweeps(&Visible::All, None, 9).await.unwrap().len(), 1, "what was refused left nothing");
}
