//! Rollbacks, forks, control runs and undo: abandoned segments stay, forks begin with their parent's state, control runs show the effect of
//! a change.

use scenarios::watch::{speck, with, with_breakpoints};
use scenarios::{Client, Lab, wait_for};
use serde_json::{Value, json};
use wire::control::checkpoint::CheckpointView;
use wire::inspect::result::InspectionResult;
use wire::inspect::update::InspectionUpdate;
use wire::series::Comparison;
use wire::{Event, RunState, RunSummary, RunView};

fn spec(corpus: &str, steps: u64) -> Value {
    with(
        speck(corpus, steps),
        &[("intervals.checkpoint_every", json!(100)), ("retention.latest", json!(20)), ("budget.restarts", json!(100))],
    )
}

fn kept(client: &Client, run: &str) -> Vec<String> {
    let views: Vec<CheckpointView> = client.get(&format!("/runs/{run}/checkpoints")).read();
    views.into_iter().map(|view| view.info.id.to_string()).collect()
}

#[test]
fn an_unchanged_fork_repeats_its_parent_exactly() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let parent = owner.start_run(&spec(&owner.add_corpus("walk"), 600));
    owner.wait_state(&parent, 60, RunState::Finished);
    assert_eq!(kept(&owner, &parent), ["0-100", "0-200", "0-300", "0-400", "0-500", "0-600"]);
    let same = owner.start_run(&json!({"parent": {"run": parent, "step": 200}}));
    let change = json!({"kind": "set", "path": "optimizer.learning_rate", "value": 0.003, "reason": "faster"});
    let other =
        owner.start_run(&json!({"parent": {"run": parent, "checkpoint": "0-200", "changes": [change]}, "steps": 500}));
    let further = owner.start_run(&json!({"parent": {"run": parent}, "steps": 700, "name": "further"}));
    for run in [&same, &other, &further] {
        owner.wait_state(run, 60, RunState::Finished);
    }
    let compare = |run: &str| owner.get(&format!("/runs/{run}/compare?with={parent}&points=20")).read::<Comparison>();
    let found = compare(&same);
    assert_eq!((found.common_from, found.identical_steps, found.first_difference), (Some(200), 400, None));
    assert!(found.difference.iter().all(|bucket| bucket.low == 0.0 && bucket.high == 0.0));
    let found = compare(&other);
    // The loss of the first step is computed before its update: the learning rate shows from the second step on.
    assert_eq!((found.common_from, found.identical_steps, found.first_difference), (Some(200), 1, Some(201)));
    assert_eq!(owner.path_curve(&same, "loss.train"), owner.path_curve(&parent, "loss.train"));
    assert_eq!(owner.path_curve(&same, "loss.valid"), owner.path_curve(&parent, "loss.valid"));
    let longer = owner.path_curve(&further, "loss.train");
    assert_eq!((longer.len(), &longer[..600]), (700, &owner.path_curve(&parent, "loss.train")[..]));
    let view: RunView = owner.get(&format!("/runs/{further}")).read();
    assert_eq!((view.summary.name.as_str(), view.lineage.len(), view.summary.step), ("further", 2, 700));

    // A fork of a fork, and a parent that is deleted.
    let grandchild = owner.start_run(&json!({"parent": {"run": same, "step": 400}}));
    owner.wait_state(&grandchild, 60, RunState::Finished);
    assert_eq!(owner.path_curve(&grandchild, "loss.train"), owner.path_curve(&parent, "loss.train"));
    owner.delete(&format!("/runs/{parent}")).read::<RunSummary>();
    owner.post("/runs", &json!({"parent": {"run": parent}})).refused(422, "plan_invalid", &["deleted", "restore"]);
    assert_eq!(owner.get(&format!("/runs/{grandchild}")).read::<RunView>().lineage.len(), 3);
}

#[test]
fn a_rollback_leaves_an_abandoned_segment_and_can_be_undone() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let spec = spec(&owner.add_corpus("walk"), 900);
    let run = owner.start_run(&with_breakpoints(&spec, &[350]));
    owner.wait_paused_at(&run, 350);
    let back = owner.steer(&run, &json!({"kind": "rollback", "checkpoint": "0-200"}));
    assert_eq!((back.segment, back.step), (1, 200));
    assert_eq!(
        owner.wait_until(&run, 10, "step 200", |run| run.step == 200).state,
        RunState::Paused,
        "it is still paused"
    );
    assert!(kept(&owner, &run).contains(&"0-350".to_owned()), "saved before the rollback");
    owner.step_to(&run, 350);
    let (abandoned, again) = (owner.segment_curve(&run, "loss.train", 0), owner.segment_curve(&run, "loss.train", 1));
    assert_eq!(
        (abandoned.len(), again.len(), &abandoned[200..]),
        (350, 150, &again[..]),
        "without a change the losses repeat"
    );

    // Other batches give other losses.
    owner.steer(&run, &json!({"kind": "rollback", "checkpoint": "0-200", "skip_batches": 40, "reason": "a spike"}));
    owner.step_to(&run, 320);
    let skipped = owner.segment_curve(&run, "loss.train", 2);
    assert_eq!((skipped.len(), skipped[0].0), (120, 200));
    assert_ne!(skipped[0].1, abandoned[200].1);
    // The batch of a step of an abandoned segment is the one that was trained there, although a later segment has the step, too.
    let batch = |segment: u32, step: u64| {
        let body = json!({"inspection": {"batch": {"step": step}}, "step": step, "segment": segment});
        let result = owner.post(&format!("/runs/{run}/inspections"), &body).read::<InspectionUpdate>();
        let InspectionUpdate::Result { result: InspectionResult::Batch { mut rows, .. }, .. } = result else {
            panic!("{result:?}")
        };
        rows.sort_by_key(|row| row.row);
        rows.into_iter().map(|row| row.tokens).collect::<Vec<_>>()
    };
    let (first, of_skipped) = (batch(0, 230), batch(2, 230));
    assert_eq!((&of_skipped, &first), (&batch(0, 270), &batch(1, 230)), "40 batches were skipped in segment 2");
    assert_ne!(first, of_skipped);
    let unknown = json!({"inspection": {"batch": {"step": 230}}, "step": 230, "segment": 9});
    owner.post(&format!("/runs/{run}/inspections"), &unknown).refused(422, "value_invalid", &["segment 9"]);
    let path = owner.path_curve(&run, "loss.train");
    assert_eq!((path.len(), &path[..200], &path[200..]), (320, &abandoned[..200], &skipped[..]));

    // Its worker dies: the run continues on the new segment.
    lab.kill_worker();
    owner.wait_until(&run, 60, "the pause where it was", |run| run.restarts == 1 && run.state == RunState::Paused);
    assert_eq!(owner.path_curve(&run, "loss.train"), path);
    let undone = owner.steer(&run, &json!({"kind": "undo", "method": "rollback"}));
    let Event::RolledBack { checkpoint, .. } = undone.event else { panic!("{undone:?}") };
    assert_eq!(checkpoint.to_string(), "1-350");
    owner.steer(&run, &json!({"kind": "resume"}));
    owner.wait_state(&run, 60, RunState::Finished);
    let reference = owner.start_run(&spec);
    owner.wait_state(&reference, 60, RunState::Finished);
    assert_eq!(
        owner.path_curve(&run, "loss.train"),
        owner.path_curve(&reference, "loss.train"),
        "as the run without a rollback"
    );
}

#[test]
fn a_control_run_shows_from_which_step_a_command_had_an_effect() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let run = owner.start_run(&with_breakpoints(&spec(&owner.add_corpus("walk"), 500), &[250]));
    owner.wait_paused_at(&run, 250);
    let command = json!({"kind": "set", "path": "optimizer.learning_rate", "value": 0.004});
    let answer = owner.post(&format!("/runs/{run}/commands?control=true"), &command);
    let control = answer.header("kindling-control").to_owned();
    assert_eq!(answer.value()["step"], 250, "{}", answer.text());
    owner.steer(&run, &json!({"kind": "resume"}));
    owner.wait_state(&run, 60, RunState::Finished);
    owner.wait_state(&control, 60, RunState::Finished);
    let found: Comparison = owner.get(&format!("/runs/{control}/compare?with={run}")).read();
    assert_eq!((found.common_from, found.identical_steps, found.first_difference), (Some(250), 1, Some(251)));
    let summary = owner.summary(&control);
    assert_eq!(summary.parent.and_then(|parent| parent.control_of), answer.value()["number"].as_u64());
}

#[test]
fn a_change_is_undone_by_its_inverse_or_by_a_rollback() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let spec = spec(&owner.add_corpus("walk"), 600);
    let run = owner.start_run(&with_breakpoints(&spec, &[250]));
    owner.wait_paused_at(&run, 250);
    let reference = owner.start_run(&spec);
    let changed = owner.steer(&run, &json!({"kind": "set", "path": "optimizer.weight_decay", "value": 0.9}));
    owner.step_to(&run, 300);
    let undone = owner.steer(&run, &json!({"kind": "undo"}));
    assert!(undone.reason.unwrap().contains("undoes the change of weight decay at step 250"));
    owner.step_to(&run, 320);
    let back = owner.steer(&run, &json!({"kind": "undo", "event": changed.number, "method": "rollback"}));
    assert_eq!((back.step, back.segment), (250, 1));
    owner.steer(&run, &json!({"kind": "resume"}));
    owner.wait_state(&run, 60, RunState::Finished);
    owner.wait_state(&reference, 60, RunState::Finished);
    assert_eq!(
        owner.path_curve(&run, "loss.train"),
        owner.path_curve(&reference, "loss.train"),
        "as the run without the change"
    );
}

#[test]
fn a_weight_edit_is_undone_by_its_inverse_or_by_a_rollback() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let spec = spec(&owner.add_corpus("walk"), 2_000);
    let run = owner.start_run(&with_breakpoints(&spec, &[250, 1_500]));
    owner.wait_paused_at(&run, 250);
    let reference = owner.start_run(&spec);
    let edit = |component: Value, factor: f64| json!({"kind": "edit_weights", "interventions": [{"component": component, "factor": factor}]});
    let answer = owner.post(&format!("/runs/{run}/commands?control=true"), &edit(json!({"mlp": {"layer": 0}}), 2.0));
    let control = answer.header("kindling-control").to_owned();
    assert_eq!(answer.value()["event"]["interventions"][0]["factor"], 2.0, "{}", answer.text());
    // The checkpoint of this step has the weights before the edit. Neither an undo, a save nor the end of the run replaces it.
    let command = |body: &Value| owner.post(&format!("/runs/{run}/commands"), body);
    command(&json!({"kind": "undo"})).refused(409, "command_refused", &["train a step", "step 250"]);
    command(&json!({"kind": "checkpoint"})).refused(409, "command_refused", &["train a step"]);
    owner.steer(&run, &json!({"kind": "stop"}));
    owner.wait_state(&control, 60, RunState::Finished);
    owner.steer(&run, &json!({"kind": "resume"}));
    owner.wait_paused_at(&run, 1_500);
    let undone = owner.steer(&run, &json!({"kind": "undo"}));
    assert_eq!(undone.event.phrase(), "MLP of block 0 × 0.5");
    let doubled = owner.segment_curve(&run, "loss.train", 0);
    let back = owner.steer(&run, &json!({"kind": "rollback", "checkpoint": "0-250"}));
    assert_eq!((back.step, back.segment), (250, 1), "before all edits");
    owner.step_to(&run, 260);
    owner.steer(&run, &edit(json!({"head": {"layer": 0, "head": 0}}), 0.0));
    owner.step_to(&run, 300);
    let undo = owner.post(&format!("/runs/{run}/commands"), &json!({"kind": "undo"}));
    undo.refused(409, "no_inverse", &["head 0 of block 0 ablated", "rollback"]);
    let left = owner.segment_curve(&run, "loss.train", 1);
    // It is written while the run trains on.
    wait_for("the checkpoint before the edit", 20, || kept(&owner, &run).iter().any(|id| id == "1-260").then_some(()));
    let back = owner.steer(&run, &json!({"kind": "undo", "method": "rollback"}));
    assert_eq!((back.step, back.segment), (260, 2));
    owner.steer(&run, &json!({"kind": "resume"}));
    owner.wait_paused_at(&run, 1_500);
    owner.steer(&run, &json!({"kind": "resume"}));
    for run in [&run, &reference] {
        owner.wait_state(run, 60, RunState::Finished);
    }
    let expected = owner.path_curve(&reference, "loss.train");
    assert_eq!(
        (owner.path_curve(&run, "loss.train"), owner.path_curve(&control, "loss.train")),
        (expected.clone(), expected.clone())
    );
    let at = |curve: &[(u64, f64)], step: u64| curve.iter().find(|(at, _)| *at == step).unwrap().1;
    assert_ne!(at(&left, 260), at(&expected, 260), "an ablated head changes the loss at once");
    assert_ne!(at(&doubled, 250), at(&expected, 250), "the doubled MLP too, although the run was stopped and resumed");
}
