//! Going back and branching off: ghosts stay, forks carry their parent's state, twins show what a change did, undo takes it back.

use serde_json::{Value, json};
use stories::watch::{holding_at, speck, with};
use stories::{Client, Lab};
use wire::checkpoint::CheckpointView;
use wire::series::Comparison;
use wire::{Event, RunState, RunSummary, RunView};

fn spec(corpus: &str, steps: u64) -> Value {
    with(speck(corpus, steps), &[("keep.every", json!(100)), ("keep.latest", json!(20)), ("keep.restarts", json!(100))])
}

fn kept(client: &Client, run: &str) -> Vec<String> {
    let views: Vec<CheckpointView> = client.get(&format!("/runs/{run}/checkpoints")).read();
    views.into_iter().map(|view| view.info.id.to_string()).collect()
}

#[test]
fn an_unchanged_fork_repeats_its_parent_and_a_changed_one_does_not() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let parent = owner.start_run(&spec(&owner.bring("walk"), 600));
    owner.wait_state(&parent, 60, RunState::Finished);
    assert_eq!(kept(&owner, &parent), ["0-100", "0-200", "0-300", "0-400", "0-500", "0-600"]);
    let same = owner.start_run(&json!({"parent": {"run": parent, "step": 200}}));
    let change = json!({"kind": "set", "field": "rate", "value": 0.003, "reason": "bolder"});
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
    // The first step is measured before its update: the rate shows from the second on.
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
fn a_rollback_leaves_a_ghost_and_can_be_undone() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let spec = spec(&owner.bring("walk"), 900);
    let run = owner.start_run(&holding_at(&spec, &[350]));
    owner.wait_hold(&run, 350);
    let back = owner.steer(&run, &json!({"kind": "rollback", "checkpoint": "0-200"}));
    assert_eq!((back.segment, back.step), (1, 200));
    assert_eq!(owner.wait_until(&run, 10, "step 200", |run| run.step == 200).state, RunState::Paused, "it still holds");
    assert!(kept(&owner, &run).contains(&"0-350".to_owned()), "saved before it was left");
    owner.step_to(&run, 350);
    let (ghost, again) = (owner.segment_curve(&run, "loss.train", 0), owner.segment_curve(&run, "loss.train", 1));
    assert_eq!(
        (ghost.len(), again.len(), &ghost[200..]),
        (350, 150, &again[..]),
        "without a change it is the same again"
    );

    // Other batches: another course.
    owner.steer(&run, &json!({"kind": "rollback", "checkpoint": "0-200", "skip_batches": 40, "reason": "a spike"}));
    owner.step_to(&run, 320);
    let skipped = owner.segment_curve(&run, "loss.train", 2);
    assert_eq!((skipped.len(), skipped[0].0), (120, 200));
    assert_ne!(skipped[0].1, ghost[200].1);
    let path = owner.path_curve(&run, "loss.train");
    assert_eq!((path.len(), &path[..200], &path[200..]), (320, &ghost[..200], &skipped[..]));

    // Its worker dies: the new course goes on, not the ghost's.
    lab.kill_worker();
    owner.wait_until(&run, 60, "the hold where it was", |run| run.restarts == 1 && run.state == RunState::Paused);
    assert_eq!(owner.path_curve(&run, "loss.train"), path);
    let undone = owner.steer(&run, &json!({"kind": "undo", "way": "rollback"}));
    let Event::RolledBack { checkpoint, .. } = undone.event else { panic!("{undone:?}") };
    assert_eq!(checkpoint.to_string(), "1-350");
    owner.steer(&run, &json!({"kind": "resume"}));
    owner.wait_state(&run, 60, RunState::Finished);
    let calm = owner.start_run(&spec);
    owner.wait_state(&calm, 60, RunState::Finished);
    assert_eq!(owner.path_curve(&run, "loss.train"), owner.path_curve(&calm, "loss.train"), "back on its first course");
}

#[test]
fn a_twin_shows_from_when_on_a_command_made_a_difference() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let run = owner.start_run(&holding_at(&spec(&owner.bring("walk"), 500), &[250]));
    owner.wait_hold(&run, 250);
    let command = json!({"kind": "set", "field": "rate", "value": 0.004});
    let answer = owner.post(&format!("/runs/{run}/commands?twin=true"), &command);
    let twin = answer.header("kindling-twin").to_owned();
    assert_eq!(answer.value()["step"], 250, "{}", answer.text());
    owner.steer(&run, &json!({"kind": "resume"}));
    owner.wait_state(&run, 60, RunState::Finished);
    owner.wait_state(&twin, 60, RunState::Finished);
    let found: Comparison = owner.get(&format!("/runs/{twin}/compare?with={run}")).read();
    assert_eq!((found.common_from, found.identical_steps, found.first_difference), (Some(250), 1, Some(251)));
    let summary = owner.summary(&twin);
    assert_eq!(summary.parent.and_then(|parent| parent.twin_of), answer.value()["number"].as_u64());
}

#[test]
fn a_change_is_taken_back_by_its_opposite_or_by_going_back() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let spec = spec(&owner.bring("walk"), 600);
    let run = owner.start_run(&holding_at(&spec, &[250]));
    owner.wait_hold(&run, 250);
    let calm = owner.start_run(&spec);
    let changed = owner.steer(&run, &json!({"kind": "set", "field": "weight_decay", "value": 0.9}));
    owner.step_to(&run, 300);
    let undone = owner.steer(&run, &json!({"kind": "undo"}));
    assert!(undone.reason.unwrap().contains(&format!("undoes #{}", changed.number)));
    owner.step_to(&run, 320);
    let back = owner.steer(&run, &json!({"kind": "undo", "event": changed.number, "way": "rollback"}));
    assert_eq!((back.step, back.segment), (250, 1));
    owner.steer(&run, &json!({"kind": "resume"}));
    owner.wait_state(&run, 60, RunState::Finished);
    owner.wait_state(&calm, 60, RunState::Finished);
    assert_eq!(owner.path_curve(&run, "loss.train"), owner.path_curve(&calm, "loss.train"), "as if it had never been");
}

#[test]
fn hands_laid_on_the_weights_are_taken_back_by_their_opposite_or_by_going_back() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let spec = spec(&owner.bring("walk"), 2_000);
    let run = owner.start_run(&holding_at(&spec, &[250, 1_500]));
    owner.wait_hold(&run, 250);
    let calm = owner.start_run(&spec);
    let edit = |part: Value, factor: f64| json!({"kind": "edit", "edits": [{"part": part, "factor": factor}]});
    let answer = owner.post(&format!("/runs/{run}/commands?twin=true"), &edit(json!({"mlp": {"layer": 0}}), 2.0));
    let twin = answer.header("kindling-twin").to_owned();
    assert_eq!(answer.value()["event"]["edits"][0]["factor"], 2.0, "{}", answer.text());
    // The checkpoint of this step holds the weights before the hands, and nothing takes that away: not a second hand, a save, or the end.
    let command = |body: &Value| owner.post(&format!("/runs/{run}/commands"), body);
    command(&json!({"kind": "undo"})).refused(409, "command_refused", &["take a step", "step 250"]);
    command(&json!({"kind": "checkpoint"})).refused(409, "command_refused", &["take a step"]);
    owner.steer(&run, &json!({"kind": "stop"}));
    owner.wait_state(&twin, 60, RunState::Finished);
    owner.steer(&run, &json!({"kind": "resume"}));
    owner.wait_hold(&run, 1_500);
    let undone = owner.steer(&run, &json!({"kind": "undo"}));
    assert_eq!(undone.event.phrase(), "MLP of block 0 × 0.5");
    let doubled = owner.segment_curve(&run, "loss.train", 0);
    let back = owner.steer(&run, &json!({"kind": "rollback", "checkpoint": "0-250"}));
    assert_eq!((back.step, back.segment), (250, 1), "before all hands");
    owner.step_to(&run, 260);
    owner.steer(&run, &edit(json!({"head": {"layer": 0, "head": 0}}), 0.0));
    owner.step_to(&run, 300);
    let undo = owner.post(&format!("/runs/{run}/commands"), &json!({"kind": "undo"}));
    undo.refused(409, "no_inverse", &["head 0 of block 0 silenced", "rollback"]);
    let left = owner.segment_curve(&run, "loss.train", 1);
    let back = owner.steer(&run, &json!({"kind": "undo", "way": "rollback"}));
    assert_eq!((back.step, back.segment), (260, 2));
    owner.steer(&run, &json!({"kind": "resume"}));
    owner.wait_hold(&run, 1_500);
    owner.steer(&run, &json!({"kind": "resume"}));
    for run in [&run, &calm] {
        owner.wait_state(run, 60, RunState::Finished);
    }
    let course = owner.path_curve(&calm, "loss.train");
    assert_eq!(
        (owner.path_curve(&run, "loss.train"), owner.path_curve(&twin, "loss.train")),
        (course.clone(), course.clone())
    );
    let at = |curve: &[(u64, f64)], step: u64| curve.iter().find(|(at, _)| *at == step).unwrap().1;
    assert_ne!(at(&left, 260), at(&course, 260), "a silenced head is felt at once");
    assert_ne!(
        at(&doubled, 250),
        at(&course, 250),
        "and so was the doubled part, though the run was stopped and went on"
    );
}
