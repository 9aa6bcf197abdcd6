//! Remedies of a run whose learning rate was set too high.

use wire::control::checkpoint::Cause;
use wire::control::event::Event;
use wire::diagnosis::{Finding, Level};
use wire::series::{Row, name};
use wire::transport::link::{Item, Report};
use wire::{Author, RunState};

use super::*;
use crate::live::diagnosis::tests::store_with_run;

/// Step at which the learning rate is set.
const CHANGED: u64 = 150;

#[tokio::test]
async fn the_change_before_a_finding_is_named_and_undone_first() {
    let folder = tempfile::tempdir().unwrap();
    let present = run_with_change(folder.path()).await;
    let found = found("divergence", Level::Alert, 159, 9);
    let change = present.change_before(&found).unwrap();
    assert_eq!(change.text, "The learning rate was changed from 1e-3 to 0.5 at step 150, 9 steps before.");
    let planned = brief(present.history.hyperparameters_at(at(CHANGED)).get(LivePath::LEARNING_RATE, CHANGED));

    let remedies = present.remedies(&found);
    let labels: Vec<&str> = remedies.iter().map(|remedy| remedy.label.as_str()).collect();
    assert_eq!(labels[0], "Roll back to step 150, before the change");
    assert!(labels[1].starts_with("Return to the earlier learning-rate schedule ("), "{labels:?}");
    assert_eq!(labels[2], "Roll back to step 150 and skip 200 batches");
    assert!(labels[3].starts_with("Clip gradients to norm "), "{labels:?}");
    assert!(!labels.iter().any(|label| label.contains("Multiply the learning rate")), "{labels:?}");
    assert!(remedies[0].effect.contains(&format!("its learning rate {planned} instead of ")), "{}", remedies[0].effect);
    assert!(
        remedies[0].effect.contains("restores weights, optimizer state and hyperparameters"),
        "{}",
        remedies[0].effect
    );
    assert!(remedies[0].effect.contains("stays paused"), "{}", remedies[0].effect);
    assert!(remedies[2].effect.contains("skips the next 200 batches"), "{}", remedies[2].effect);
    // By hand and by the rule.
    assert_eq!([0, 100].map(|steps| present.checkpoint_before(&found, steps)), [Some(at(CHANGED)); 2]);
}

#[tokio::test]
async fn the_remedy_that_sets_a_value_back_names_the_value_of_the_present_step() {
    let folder = tempfile::tempdir().unwrap();
    let mut present = run_with_change(folder.path()).await;
    let planned =
        present.history.hyperparameters_at(at(CHANGED)).get(LivePath::LEARNING_RATE, present.view.summary.step);
    // While the run trains, commands are prepared for a step 30 s ahead, at which the schedule has another value.
    for (state, secs_per_step) in [(RunState::Paused, None), (RunState::Running, Some(0.01))] {
        (present.view.summary.state, present.view.summary.secs_per_step) = (state, secs_per_step);
        let remedies = present.remedies(&found("divergence", Level::Alert, 159, 9));
        let label = format!("Return to the earlier learning-rate schedule ({} at step 160)", brief(planned));
        assert_eq!(remedies[1].label, label, "{state:?}");
    }
}

#[tokio::test]
async fn a_copy_is_scored_on_the_tasks_that_the_run_is_scored_on_now() {
    let folder = tempfile::tempdir().unwrap();
    let (store, run) = store_with_change(folder.path()).await;
    let tasks = [TaskSchedule { task: "capitals".parse().unwrap(), every: 10 }];
    store.set_task_schedules(&run, &tasks).await.unwrap();
    assert_eq!(PresentRun::read(&store, &run).await.unwrap().copy().tasks, tasks);
}

#[tokio::test]
async fn a_change_that_was_undone_is_not_undone_again() {
    let folder = tempfile::tempdir().unwrap();
    let (store, run) = store_with_change(folder.path()).await;
    let found = found("divergence", Level::Alert, 159, 9);
    let present = PresentRun::read(&store, &run).await.unwrap();
    let remedies = present.remedies(&found);
    let RemedyAction::Command(command) = &remedies[1].action else { panic!("{remedies:?}") };
    let undone = present.view.hyperparameters.change(command, 160).unwrap().unwrap();
    let seq = store.stored_seq(&run).await.unwrap();
    store.ingest(&run, seq + 1, vec![event(160, undone, None)]).await.unwrap();
    let remedies = PresentRun::read(&store, &run).await.unwrap().remedies(&found);
    let labels: Vec<&str> = remedies.iter().map(|remedy| remedy.label.as_str()).collect();
    assert_eq!(labels[..2], ["Roll back to step 150, before the change", "Roll back to step 150 and skip 200 batches"]);
}

#[tokio::test]
async fn without_a_change_the_checkpoint_is_before_the_fault() {
    let folder = tempfile::tempdir().unwrap();
    let present = run_with_change(folder.path()).await;
    let found = found("non_finite", Level::Alert, 120, 120);
    assert_eq!(present.change_before(&found), None);
    assert_eq!([0, 20].map(|steps| present.checkpoint_before(&found, steps)), [Some(at(100)); 2]);
    assert_eq!(present.checkpoint_before(&found, 21), None);
    assert_eq!(present.remedies(&found)[0].label, "Roll back to step 100 and skip 200 batches");
}

#[tokio::test]
async fn the_remedy_of_an_update_ratio_follows_its_direction() {
    let folder = tempfile::tempdir().unwrap();
    let present = run_with_change(folder.path()).await;
    for (value, label) in [(0.06, "Multiply the learning rate by 0.5"), (1e-6, "Multiply the learning rate by 2")] {
        let mut found = found("update_ratio", Level::Note, 120, 100);
        (found.finding.value, found.finding.threshold) = (Some(value), if value > 0.03 { 0.03 } else { 1e-5 });
        let labels: Vec<String> = present.remedies(&found).into_iter().map(|remedy| remedy.label).collect();
        assert_eq!(labels, [label]);
        (found.finding.step, found.finding.first_step) = (155, 151);
        let labels: Vec<String> = present.remedies(&found).into_iter().map(|remedy| remedy.label).collect();
        assert!(
            labels[0].starts_with("Return to the earlier learning-rate schedule ("),
            "a note: the weights may be kept: {labels:?}"
        );
        assert_eq!(labels[1..], ["Roll back to step 150, before the change"]);
    }
}

#[tokio::test]
async fn dead_neurons_are_left_behind_by_a_fork_from_before_they_died() {
    let folder = tempfile::tempdir().unwrap();
    let present = run_with_change(folder.path()).await;
    let remedies = |step, first| present.remedies(&found("dead_neurons", Level::Alert, step, first));
    let spec_of = |remedy: &Remedy| match &remedy.action {
        RemedyAction::Run(spec) => spec.clone(),
        other => panic!("{other:?}"),
    };
    let from_checkpoint = remedies(120, 120);
    let labels: Vec<&str> = from_checkpoint.iter().map(|remedy| remedy.label.as_str()).collect();
    assert_eq!(labels[0], "Fork from step 100 and multiply the learning rate by 0.5");
    assert_eq!(labels[1..], ["Multiply the learning rate by 0.5", "Start a run with another seed"]);
    let parent = spec_of(&from_checkpoint[0]).parent.unwrap();
    let before = present.history.hyperparameters_at(at(100)).get(LivePath::LEARNING_RATE, 100);
    assert_eq!(parent.checkpoint, Some(at(100)));
    let [Command::Set { path: LivePath::LEARNING_RATE, value, .. }] = parent.changes[..] else { panic!("{parent:?}") };
    assert_eq!(value, before * 0.5);

    let from_start = remedies(90, 90).remove(0);
    assert_eq!(from_start.label, "Start a run with 0.5 times the learning rate");
    let peak = present.view.plan.recipe.optimizer.learning_rate;
    let spec = spec_of(&from_start);
    assert_eq!(spec.parent, None);
    assert_eq!(spec.overrides["optimizer.learning_rate"].as_f64(), Some(peak * 0.5));

    let labels: Vec<String> = remedies(155, 151).into_iter().map(|remedy| remedy.label).collect();
    assert_eq!(labels[0], "Roll back to step 150, before the change");
    assert_eq!(labels[2..], ["Start a run with another seed"], "the undone change gives the learning rate: {labels:?}");
}

#[test]
fn a_value_that_cannot_be_set_is_rounded_and_its_range_is_named() {
    assert_eq!(out_of_range(LivePath::LEARNING_RATE, 1e-3), None);
    assert_eq!(
        out_of_range(LivePath::LEARNING_RATE, 29.16449348848281).as_deref(),
        Some("The learning rate would be 29.2, which is out of range; enter a number from 0 to 10.")
    );
}

#[test]
fn a_larger_accumulation_keeps_the_later_changes_of_its_schedule() {
    let schedule = AccumulationSchedule { changes: vec![(0, 2), (100, 4), (200, 8)] };
    assert_eq!(scaled(&schedule, 150, 4), [(150, 16), (200, 32)]);
    assert_eq!(scaled(&schedule, 300, 4), [(300, 32)]);
    let large = AccumulationSchedule::constant(20_000);
    assert!(AccumulationSchedule::check(&scaled(&large, 5, 4), 5).is_err(), "an obstacle: the run would refuse it");
}

fn at(step: u64) -> CheckpointId {
    CheckpointId { segment: 0, step }
}

async fn run_with_change(folder: &std::path::Path) -> PresentRun {
    let (store, run) = store_with_change(folder).await;
    PresentRun::read(&store, &run).await.unwrap()
}

/// A paused run with checkpoints of steps 100 and 150, whose learning rate was set to 0.5 at step 150.
async fn store_with_change(folder: &std::path::Path) -> (Store, RunId) {
    let (store, run) = store_with_run(folder).await;
    store.set_state(&run, RunState::Running, None).await.unwrap();
    let changed = Event::Changed { path: LivePath::LEARNING_RATE, old: 1e-3, new: 0.5 };
    let row = |step| Item::Row(Row { segment: 0, step, values: vec![(name::TRAIN.to_owned(), 2.0)] });
    let mut items = vec![event(0, Event::Started { parameters: 1 }, Some(RunState::Running))];
    items.extend((0..CHANGED).map(row));
    items.extend([
        event(100, checkpointed(100, Cause::Interval), None),
        event(CHANGED, checkpointed(CHANGED, Cause::BeforeChange), None),
        event(CHANGED, changed, None),
    ]);
    items.extend((CHANGED..160).map(row));
    items.push(event(160, Event::Paused, Some(RunState::Paused)));
    store.ingest(&run, 1, items).await.unwrap();
    (store, run)
}

fn checkpointed(step: u64, cause: Cause) -> Event {
    let checkpoint = CheckpointInfo {
        id: at(step),
        cause,
        at_ms: 0,
        bytes: 1,
        hash: "00".into(),
        changes: 0,
        loss_train: None,
        loss_valid: None,
        best_valid: None,
    };
    Event::Checkpointed { checkpoint }
}

fn event(step: u64, event: Event, state: Option<RunState>) -> Item {
    Item::Event(Report {
        segment: 0,
        step,
        at_ms: 0,
        author: Author::System,
        command_id: None,
        reason: None,
        event,
        state,
    })
}

pub(in crate::runs) fn found(rule: &str, level: Level, step: u64, first_step: u64) -> RunFinding {
    let finding = Finding {
        rule: rule.into(),
        level,
        step,
        first_step,
        value: Some(2.0),
        threshold: 1.0,
        subject: String::new(),
        details: Default::default(),
        evidence: vec![],
    };
    RunFinding {
        id: 1,
        segment: 0,
        at_ms: 0,
        label: research::rules::label(&finding),
        text: research::rules::sentence(&finding),
        finding,
        ended_step: None,
        became: None,
        is_abandoned: false,
        is_dismissed: false,
        judgement: None,
        action: None,
    }
}
