//! The queue: order, changes, deletion and restoration of runs.

use scenarios::Lab;
use scenarios::watch::{kind, speck, with};
use serde_json::json;
use wire::access::project::ProjectView;
use wire::transport::live::LabState;
use wire::{RunState, RunSummary, RunView};

#[test]
fn queued_runs_start_in_the_order_of_the_queue() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let corpus = owner.add_corpus("walk");
    let first = owner.start_run(&speck(&corpus, 1_000_000));
    owner.wait_step(&first, 30, 5);
    let waiting: Vec<String> = (0..3).map(|_| owner.start_run(&speck(&corpus, 60))).collect();
    let places = |of: &[String]| of.iter().map(|run| owner.summary(run).queue_place).collect::<Vec<_>>();
    assert_eq!(places(&waiting), [Some(1), Some(2), Some(3)]);
    let moved: RunSummary = owner.json("PATCH", &format!("/runs/{}", waiting[2]), &json!({"queue_place": 1})).read();
    assert_eq!(moved.queue_place, Some(1));
    assert_eq!(places(&waiting), [Some(2), Some(3), Some(1)]);
    owner.json("PATCH", &format!("/runs/{first}"), &json!({"queue_place": 1})).refused(409, "not_queued", &[]);
    owner.post(&format!("/runs/{}/commands", waiting[0]), &json!({"kind": "pause"})).refused(
        409,
        "run_queued",
        &["queued"],
    );

    // A run that is stopped in the queue never starts.
    let extra = owner.start_run(&speck(&corpus, 60));
    owner.steer(&extra, &json!({"kind": "stop"}));
    assert_eq!(owner.summary(&extra).state, RunState::Stopped);

    owner.steer(&first, &json!({"kind": "stop"}));
    waiting.iter().for_each(|run| drop(owner.wait_state(run, 60, RunState::Finished)));
    let mut by_start: Vec<(i64, usize)> =
        waiting.iter().enumerate().map(|(at, run)| (owner.summary(run).started_ms.unwrap(), at)).collect();
    by_start.sort_unstable();
    assert_eq!(by_start.iter().map(|(_, at)| *at).collect::<Vec<_>>(), [2, 0, 1]);
    assert_eq!(owner.journal(&extra).iter().map(kind).collect::<Vec<_>>(), ["queued", "stopped"]);
}

#[test]
fn a_run_is_renamed_archived_deleted_restored_and_duplicated() {
    let mut lab = Lab::bare();
    lab.device();
    let owner = lab.owner();
    let corpus = owner.add_corpus("walk");
    let run = owner.start_run(&speck(&corpus, 60));
    owner.wait_state(&run, 30, RunState::Finished);
    let listed =
        |path: &str| owner.get(path).read::<Vec<RunSummary>>().iter().map(|run| run.id.to_string()).collect::<Vec<_>>();

    let change = |body| owner.json("PATCH", &format!("/runs/{run}"), &body);
    assert_eq!(change(json!({"name": "My first run", "archived": true})).read::<RunSummary>().name, "My first run");
    assert!(owner.summary(&run).is_archived);
    change(json!({"name": "  "})).refused(422, "name_invalid", &["name"]);
    change(json!({"nome": "x"})).refused(422, "body_invalid", &["nome"]);
    assert!(!change(json!({"archived": false})).read::<RunSummary>().is_archived);

    let losses = owner.curve(&run, "loss.train");
    assert!(owner.delete(&format!("/runs/{run}")).read::<RunSummary>().deleted_ms.is_some());
    assert_eq!((listed("/runs").len(), listed("/runs?deleted=true")), (0, vec![run.clone()]));
    lab.stop_server();
    lab.start();
    let owner = lab.owner();
    assert!(owner.post(&format!("/runs/{run}/restore"), &json!({})).read::<RunSummary>().deleted_ms.is_none());
    assert_eq!(owner.curve(&run, "loss.train"), losses, "with its series");
    assert_eq!(owner.get("/lab").read::<LabState>().runs.len(), 1);

    // Duplicates: the same spec, and the same with another learning rate.
    lab.device();
    let view: RunView = owner.get(&format!("/runs/{run}")).read();
    let mut spec = serde_json::to_value(&view.spec).unwrap();
    spec["copied_from"] = json!(run);
    let copy_of_spec = owner.start_run(&spec);
    let other = owner.start_run(&with(spec, &[("optimizer.learning_rate", json!(0.02))]));
    owner.wait_state(&other, 30, RunState::Finished);
    assert_eq!(owner.curve(&copy_of_spec, "loss.train"), losses, "the same seed gives the same losses");
    assert_ne!(owner.curve(&other, "loss.train"), losses);
    let copy: RunView = owner.get(&format!("/runs/{other}")).read();
    assert_eq!(
        (copy.spec.copied_from.map(|id| id.to_string()), copy.plan.recipe.optimizer.learning_rate),
        (Some(run), 0.02)
    );
}

#[test]
fn a_run_that_is_being_trained_must_be_stopped_before_it_is_deleted() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let run = owner.start_run(&speck(&owner.add_corpus("walk"), 1_000_000));
    owner.wait_step(&run, 30, 5);
    owner.delete(&format!("/runs/{run}")).refused(409, "run_live", &["stop"]);
    owner.steer(&run, &json!({"kind": "stop"}));
    owner.wait_state(&run, 10, RunState::Stopped);
    assert_eq!(owner.delete(&format!("/runs/{run}")).status, 200);
    for path in [
        "/runs/amber-fox-0000",
        "/runs/UPPER",
        "/runs/amber-fox-0000/events",
        "/runs/amber-fox-0000/series?names=loss.train",
    ] {
        owner.get(path).refused(404, "not_found", &[]);
    }
}

#[test]
fn a_project_without_device_hours_holds_its_own_runs_until_the_limit_is_raised() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let corpus = owner.add_corpus("walk");
    owner.post("/projects", &json!({"name": "vision", "limits": {"device_hours": 0}})).read::<ProjectView>();
    let mut spec = speck(&corpus, 40);
    spec["project"] = json!("vision");
    let held = owner.start_run(&spec);
    let other = owner.start_run(&speck(&corpus, 40));
    owner.wait_state(&other, 30, RunState::Finished);
    let is_explained = |run: &RunSummary| run.waits.as_ref().is_some_and(|waits| waits.contains("0 device hours"));
    let waiting = owner.wait_until(&held, 10, "the reason", is_explained);
    assert_eq!(waiting.state, RunState::Queued);
    owner.json("PATCH", "/projects/vision", &json!({"runs_at_once": 1})).read::<ProjectView>();
    owner.wait_state(&held, 30, RunState::Finished);
    let projects: Vec<ProjectView> = owner.get("/projects").read();
    let vision = projects.iter().find(|project| project.name == "vision").unwrap();
    assert!(vision.usage.runs == 1 && vision.usage.training == 0 && vision.usage.device_hours > 0.0, "{vision:?}");
    assert!(vision.usage.disk_bytes.is_some(), "measured at most once a minute: {vision:?}");
}
