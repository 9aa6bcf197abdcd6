//! Experiments: a pair and its record are stored together or not at all, results and verdicts once, and a creator without rights gives none.

use std::collections::BTreeSet;

use store::{NewExperiment, NewExperimentRun, Store, StoreError};
use wire::access::{Role, Visible};
use wire::experiment::record::{ExperimentState, Outcome, Side, Verdict, complete_pairs};
use wire::series::name;
use wire::{Author, Event, RunId, RunSpec, RunState};

use crate::setup::{ada, new_run, row};

/// An experiment in a project, about a third layer.
pub(crate) fn experiment(project: &str) -> NewExperiment {
    let spec = serde_json::json!({
        "title": "Three layers", "hypothesis": "More layers help.", "baseline": {"spec": {"corpus": "tales"}},
        "change": {"overrides": {"model.layers": 3}}, "prediction": {"difference": -0.1, "probability": 0.6},
        "rule": {"effect": 0.1}, "budget": {"steps": 2000, "device_hours": 1.0}
    });
    let baseline: RunSpec = serde_json::from_str(r#"{"corpus":"tales"}"#).unwrap();
    let variant = RunSpec { overrides: [("model.layers".to_owned(), 3.into())].into(), ..baseline.clone() };
    let spec = serde_json::from_value(spec).unwrap();
    let (project, author) = (project.to_owned(), ada());
    NewExperiment { project, author, person: None, token: None, spec, baseline, variant, first_seed: 5 }
}

fn run(id: &str, pair: u32, side: Side, attempt: u32) -> NewExperimentRun {
    NewExperimentRun { pair, side, attempt, run: new_run(id, "cpu") }
}

fn pair(number: u32) -> [NewExperimentRun; 2] {
    Side::BOTH.map(|side| run(&format!("{}-{number}", side.word()), number, side, 1))
}

fn id(text: &str) -> RunId {
    text.parse().unwrap()
}

async fn store_with_experiment(dir: &std::path::Path) -> (Store, u64) {
    let store = Store::open(dir).await.unwrap();
    let view = store.create_experiment(&experiment("default")).await.unwrap();
    assert_eq!((view.summary.state, view.summary.pairs), (ExperimentState::Running, 0));
    assert_eq!(view.events[0].text, "created: model.layers = 3");
    (store, view.summary.id)
}

#[tokio::test]
async fn a_pair_and_its_record_are_stored_together() {
    let dir = tempfile::tempdir().unwrap();
    let (store, experiment) = store_with_experiment(dir.path()).await;
    let created = store.start_experiment_runs(experiment, &pair(1)).await.unwrap().unwrap();
    assert_eq!(created.iter().map(|run| run.state).collect::<Vec<_>>(), [RunState::Queued, RunState::Queued]);
    assert_eq!(created[0].tags, [format!("experiment:{experiment}")]);
    // Another process that has read the same state starts nothing.
    let again = Side::BOTH.map(|side| run(&format!("again-{}", side.word()), 1, side, 1));
    assert_eq!(store.start_experiment_runs(experiment, &again).await.unwrap(), None);
    assert_eq!(store.runs(true).await.unwrap().len(), 2);
    // A run whose id is taken takes its pair with it.
    store.create_run(&new_run("taken", "cpu")).await.unwrap();
    let taken = [run("fresh", 2, Side::Baseline, 1), run("taken", 2, Side::Variant, 1)];
    let refused = store.start_experiment_runs(experiment, &taken).await.unwrap_err();
    assert!(matches!(refused, StoreError::RunExists { .. }), "{refused}");
    store.close().await;
    let store = Store::open(dir.path()).await.unwrap();
    let view = store.experiment(experiment).await.unwrap().unwrap();
    let names: Vec<&str> = view.runs.iter().map(|run| run.run.as_str()).collect();
    assert_eq!(names, ["baseline-1", "variant-1"]);
    assert_eq!(view.runs[0].state, Some(RunState::Queued));
    assert_eq!(store.runs(true).await.unwrap().len(), 3);
    let notes = store.events(&id("variant-1"), 0, 10).await.unwrap();
    assert!(notes.iter().any(|record| matches!(&record.event, Event::Annotated { text }
        if text == &format!("Run of the experiment {experiment}, \"Three layers\": variant of pair 1, seed 1."))));
}

#[tokio::test]
async fn results_and_a_verdict_are_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let (store, experiment) = store_with_experiment(dir.path()).await;
    store.start_experiment_runs(experiment, &pair(1)).await.unwrap().unwrap();
    assert!(store.settle_experiment_run(&id("baseline-1"), Ok(1.5), 60.0).await.unwrap());
    assert!(!store.settle_experiment_run(&id("baseline-1"), Ok(9.0), 1.0).await.unwrap());
    assert!(!store.settle_experiment_run(&id("other"), Ok(9.0), 1.0).await.unwrap());
    assert!(store.settle_experiment_run(&id("variant-1"), Ok(1.25), 30.0).await.unwrap());
    let view = store.experiment(experiment).await.unwrap().unwrap();
    assert_eq!((complete_pairs(&view.runs), view.summary.pairs, view.device_secs()), (vec![(1.5, 1.25)], 1, 90.0));
    let verdict = |outcome| Verdict {
        outcome,
        difference: Some(-0.25),
        interval: Some([-0.3, -0.2]),
        level: 0.95,
        pairs: 1,
        sentence: "Said.".into(),
    };
    assert!(store.decide_experiment(experiment, &verdict(Outcome::Confirmed)).await.unwrap());
    assert!(!store.decide_experiment(experiment, &verdict(Outcome::Refuted)).await.unwrap());
    assert_eq!(store.start_experiment_runs(experiment, &pair(2)).await.unwrap(), None, "it has ended");
    assert!(!store.stop_experiment(experiment, &ada(), "too late").await.unwrap());
    store.close().await;
    let store = Store::open(dir.path()).await.unwrap();
    let view = store.experiment(experiment).await.unwrap().unwrap();
    assert_eq!(view.summary.verdict, Some(verdict(Outcome::Confirmed)));
    assert_eq!((view.summary.state, view.summary.ended_ms.is_some()), (ExperimentState::Decided, true));
    assert_eq!(view.events.last().unwrap().text, "Said.");
    assert!(store.active_experiments().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_paused_experiment_starts_no_run_and_a_resumed_one_repeats_failures() {
    let dir = tempfile::tempdir().unwrap();
    let (store, experiment) = store_with_experiment(dir.path()).await;
    store.start_experiment_runs(experiment, &pair(1)).await.unwrap().unwrap();
    store.settle_experiment_run(&id("variant-1"), Err("it failed"), 5.0).await.unwrap();
    let retry = [run("variant-1b", 1, Side::Variant, 2)];
    store.start_experiment_runs(experiment, &retry).await.unwrap().unwrap();
    store.settle_experiment_run(&id("variant-1b"), Err("it failed"), 5.0).await.unwrap();
    assert!(store.pause_experiment(experiment, &Author::System, "it failed twice").await.unwrap());
    assert!(!store.pause_experiment(experiment, &Author::System, "again").await.unwrap());
    assert_eq!(store.experiment_standing(experiment).await.unwrap(), None, "it is not running");
    let third = [run("variant-1c", 1, Side::Variant, 3)];
    assert_eq!(store.start_experiment_runs(experiment, &third).await.unwrap(), None);
    let paused = store.experiment(experiment).await.unwrap().unwrap().summary;
    assert_eq!((paused.state, paused.reason.as_deref()), (ExperimentState::Paused, Some("it failed twice")));
    assert!(store.resume_experiment(experiment, &ada()).await.unwrap());
    assert!(!store.resume_experiment(experiment, &ada()).await.unwrap());
    let standing = store.experiment_standing(experiment).await.unwrap().unwrap();
    assert_eq!((standing.attempts, standing.first_seed), (4, 5));
    assert_eq!(standing.view.summary.reason, None);
    store.start_experiment_runs(experiment, &third).await.unwrap().unwrap();
    store.start_experiment_runs(experiment, &pair(2)).await.unwrap().unwrap();
    assert_eq!(store.experiment_standing(experiment).await.unwrap().unwrap().attempts, 2, "a new pair");
    assert!(store.stop_experiment(experiment, &ada(), "no time").await.unwrap());
    assert_eq!(store.active_experiments().await.unwrap(), [experiment], "the results of its runs are not stored");
    let texts: Vec<String> =
        store.experiment(experiment).await.unwrap().unwrap().events.into_iter().map(|event| event.text).collect();
    assert!(texts.contains(&"variant-1 gave no value: it failed".into()), "{texts:?}");
    assert!(texts.contains(&"pair 1, variant, seed 1, attempt 2: variant-1b is queued".into()), "{texts:?}");
    assert_eq!(texts.last().unwrap(), "stopped: no time");
}

#[tokio::test]
async fn a_run_that_is_deleted_for_good_counts_the_time_that_it_trained() {
    let dir = tempfile::tempdir().unwrap();
    let (store, experiment) = store_with_experiment(dir.path()).await;
    store.start_experiment_runs(experiment, &pair(1)).await.unwrap().unwrap();
    let run = id("variant-1");
    store.set_state(&run, RunState::Running, None).await.unwrap();
    store.ingest(&run, 1, vec![row(0, &[(name::TRAIN, 4.0), (name::SECS, 12.0)])]).await.unwrap();
    store.set_state(&run, RunState::Stopped, None).await.unwrap();
    store.delete_run(&run, 1).await.unwrap();
    assert_eq!(store.purge_deleted(2).await.unwrap(), std::slice::from_ref(&run));
    let view = store.experiment(experiment).await.unwrap().unwrap();
    let settled = &view.runs[1];
    assert_eq!((settled.failure.as_deref(), settled.device_secs), (Some("was deleted for good"), Some(12.0)));
    assert_eq!(view.events.last().unwrap().text, "variant-1 gave no value: was deleted for good");
}

#[tokio::test]
async fn experiments_are_seen_in_their_project_and_have_the_rights_of_their_creator() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    store.add_project("mine", &Default::default()).await.unwrap();
    let of_nobody = NewExperiment { person: Some(99), ..experiment("mine") };
    let one = store.create_experiment(&of_nobody).await.unwrap().summary.id;
    let two = store.create_experiment(&experiment("default")).await.unwrap().summary.id;
    let unknown = store.create_experiment(&experiment("other")).await.unwrap_err();
    assert!(matches!(unknown, StoreError::UnknownProject { .. }), "{unknown}");
    let ids = async |visible: Visible, limit: u32| -> Vec<u64> {
        store.experiments(&visible, limit).await.unwrap().into_iter().map(|one| one.id).collect()
    };
    assert_eq!(ids(Visible::All, 10).await, [two, one]);
    assert_eq!(ids(Visible::All, 1).await, [two]);
    let only = Visible::Only { projects: BTreeSet::from(["mine".to_owned()]), runs: BTreeSet::new() };
    assert_eq!(ids(only, 10).await, [one]);
    let role =
        async |id: u64, project: &str| store.experiment_standing(id).await.unwrap().unwrap().grants.in_project(project);
    assert_eq!(role(one, "mine").await, None, "its person does not exist");
    assert_eq!(role(two, "default").await, Some(Role::Steer), "of the lab itself");
    assert_eq!(store.active_experiments().await.unwrap(), [one, two]);
    store.remove_project("mine").await.unwrap();
    assert_eq!(store.experiment(one).await.unwrap(), None, "it has no runs, and goes with its project");
}
