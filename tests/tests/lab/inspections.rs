//! Inspections: requested by a page while a model learns, computed one at a time, and kept as snapshots.

use std::time::Instant;

use scenarios::socket::{Socket, Watcher};
use scenarios::watch::{count, speck, with};
use scenarios::{Client, Lab, given_up_after, pause_ms, wait_for};
use serde_json::json;
use wire::RunState;
use wire::inspect::request::{Inspection, InspectionText, is_snapshot_step, snapshot_inspections};
use wire::inspect::result::InspectionResult;
use wire::inspect::update::InspectionUpdate;
use wire::transport::live::{FromPage, ToPage};

fn overview() -> Inspection {
    Inspection::Overview { text: InspectionText::default() }
}

fn attention(layer: u32) -> Inspection {
    Inspection::Attention { text: InspectionText::default(), layer }
}

fn loss_of(update: &InspectionUpdate) -> f32 {
    match update {
        InspectionUpdate::Result { result: InspectionResult::Overview { loss, .. }, .. } => *loss,
        other => panic!("not an overview: {other:?}"),
    }
}

#[test]
fn a_page_receives_the_requested_inspections_as_the_model_learns() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let run = owner.start_run(&speck(&owner.add_corpus("walk"), 1_000_000));
    owner.wait_step(&run, 30, 20);
    let viewer = Client::with_token(&lab.address(), &lab.token("view"));
    let (mut page, mut other) = (Watcher::begin(&viewer, &run), Watcher::begin(&viewer, &run));
    page.request(&run, vec![overview()]);
    let updates = page.receive_updates(30, &overview(), 5);
    let steps: Vec<u64> = updates.iter().map(InspectionUpdate::step).collect();
    assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{steps:?}");
    let InspectionUpdate::Result { result: InspectionResult::Overview { components, loss, tokens }, overhead, .. } =
        &updates[4]
    else {
        panic!("{updates:?}")
    };
    let names: Vec<&str> = components.iter().map(|component| component.name.as_str()).collect();
    assert_eq!(names, ["embedding", "block.0.attention", "block.0.mlp", "norm", "head"]);
    assert!(loss.is_finite() && !tokens.is_empty() && components.iter().all(|component| component.rms > 0.0));
    assert!(overhead.cost_ms > 0.0 && overhead.every_ms >= 500.0 && overhead.share <= 0.06, "{overhead:?}");

    // Each page receives only its own requests; a shared one is computed once.
    other.request(&run, vec![attention(0)]);
    assert!(
        other
            .receive_updates(20, &attention(0), 2)
            .iter()
            .all(|update| matches!(update, InspectionUpdate::Result { .. }))
    );
    assert!(other.updates.iter().all(|(_, update)| update.key() == attention(0).key()));
    other.request(&run, vec![attention(0), overview()]);
    other.receive_updates(20, &overview(), 1);
    drop(page);
    other.request(&run, vec![attention(7)]);
    match &other.receive_updates(20, &attention(7), 1)[0] {
        InspectionUpdate::Failed { message, .. } => assert!(message.contains('7'), "{message}"),
        other => panic!("{other:?}"),
    }

    // A paused run answers a new request at once.
    owner.steer(&run, &json!({"kind": "pause"}));
    let paused = owner.wait_state(&run, 10, RunState::Paused).step;
    other.request(&run, vec![overview()]);
    other.follow(10, |tick| {
        tick.updates.iter().any(|update| update.key() == overview().key() && update.step() == paused)
    });
    owner.steer(&run, &json!({"kind": "stop"}));
}

#[test]
fn a_viewer_that_changes_its_requests_too_often_is_refused_and_training_continues() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let run = owner.start_run(&speck(&owner.add_corpus("walk"), 1_000_000));
    owner.wait_step(&run, 30, 100);
    let speed = || {
        let (began, before) = (Instant::now(), owner.summary(&run).step);
        pause_ms(2000);
        (owner.summary(&run).step - before) as f64 / began.elapsed().as_secs_f64()
    };
    let alone = speed();
    let viewer = Client::with_token(&lab.address(), &lab.token("view"));
    let mut page = Socket::open(&viewer, "live", &[]).unwrap();
    for layer in 0..1000 {
        page.send(&FromPage::Inspect { run: run.parse().unwrap(), inspections: vec![attention(layer)] });
    }
    let flooded = speed();
    let (mut refusals, until) = (0, given_up_after(5));
    while let Some(message) = page.receive::<ToPage>(until) {
        if let ToPage::Refused { message } = message {
            assert!(message.contains("try again in a moment"), "{message}");
            refusals += 1;
        }
        if refusals >= 950 {
            break;
        }
    }
    assert!(refusals >= 950, "{refusals}");
    // Other tests share the machine: the slower of the times before and after counts.
    let alone = alone.min(speed());
    assert!(flooded > alone * 0.5, "{flooded:.0} steps/s under many requests, {alone:.0} without");
    let path = format!("/runs/{run}/inspections");
    let long = json!({"inspection": {"logit_lens": {"text": {"prompt": "x".repeat(4001)}}}});
    viewer.post(&path, &long).refused(422, "inspection_invalid", &["4001", "4000"]);
    viewer.post(&path, &json!({"inspection": {"attention": {"layer": 99}}})).refused(
        422,
        "inspection_invalid",
        &["99"],
    );
    let strange = json!({"inspection": {"logit_lens": {"text": {"prompt": "the river ☃"}}}});
    let answer = viewer.post(&path, &strange);
    assert!(matches!(answer.status, 200 | 422), "only a byte tokenizer encodes every character: {}", answer.text());
    assert!(speed() > 0.0);
    owner.steer(&run, &json!({"kind": "stop"}));
}

/// Each snapshot on a run's path once, in order, and only of snapshot steps.
fn check_snapshots(client: &Client, run: &str, steps: u64, most_missing: usize) {
    let wanted: Vec<u64> = (0..=steps).filter(|step| is_snapshot_step(*step) || *step == steps).collect();
    let kept = client.snapshot_steps(run);
    assert!(kept.windows(2).all(|pair| pair[0] < pair[1]) && kept.iter().all(|step| wanted.contains(step)), "{kept:?}");
    assert!(kept.len() + most_missing >= wanted.len(), "{} of {}: {kept:?}", kept.len(), wanted.len());
    for inspection in snapshot_inspections(1) {
        let own: Vec<u64> = client.snapshots(run, &inspection).iter().map(InspectionUpdate::step).collect();
        assert!(own.windows(2).all(|pair| pair[0] < pair[1]), "{}: {own:?}", inspection.key());
        assert!(own.len() + most_missing >= kept.len(), "{}: {own:?} of {kept:?}", inspection.key());
    }
}

#[test]
fn snapshots_are_kept_although_processes_are_killed() {
    const STEPS: u64 = 12_000;
    let mut lab = Lab::bare();
    lab.device();
    let corpus = lab.owner().add_corpus("walk");
    let spec =
        with(speck(&corpus, STEPS), &[("intervals.checkpoint_every", json!(200)), ("budget.restarts", json!(100))]);
    let run = lab.owner().start_run(&spec);
    let kills = 2;
    for kill in 1..=kills {
        lab.owner().wait_step(&run, 30, 40);
        lab.kill_worker();
        wait_for("the run to continue", 60, || (count(&lab.owner().journal(&run), "continued") == kill).then_some(()));
    }
    for pause in [120, 300, 500] {
        lab.kill_server();
        pause_ms(pause);
        lab.start();
        pause_ms(pause);
    }
    lab.owner().wait_state(&run, 120, RunState::Finished);
    // A worker that dies between a step and its snapshot loses that snapshot: a recorded step is not inspected again.
    check_snapshots(&lab.owner(), &run, STEPS, kills);
    let losses: Vec<f32> = lab.owner().snapshots(&run, &overview()).iter().map(loss_of).collect();
    assert!(losses[0] > losses[losses.len() - 1], "the model has learned: {losses:?}");
    let folder = lab.data().join("snapshots").join(&run);
    wait_for("the snapshots to be in files", 20, || (folder.read_dir().ok()?.count() > 50).then_some(()));
    let before = (lab.owner().snapshot_steps(&run), lab.owner().snapshots(&run, &attention(0)));
    lab.kill_server();
    lab.start();
    assert!(
        before == (lab.owner().snapshot_steps(&run), lab.owner().snapshots(&run, &attention(0))),
        "the same snapshots from files"
    );
    // The snapshots of a deleted run stay as long as it can be restored.
    lab.owner().delete(&format!("/runs/{run}"));
    lab.owner().post(&format!("/runs/{run}/restore"), &json!({}));
    assert_eq!(lab.owner().snapshot_steps(&run), before.0);
}

#[test]
fn a_past_step_is_inspected_with_its_checkpoint() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let spec = with(
        speck(&owner.add_corpus("walk"), 250),
        &[("intervals.checkpoint_every", json!(100)), ("retention.latest", json!(5))],
    );
    let run = owner.start_run(&spec);
    owner.wait_state(&run, 60, RunState::Finished);
    let kept = owner.snapshots(&run, &overview()).into_iter().find(|update| update.step() == 200).unwrap();
    let path = format!("/runs/{run}/inspections");
    let inspect = |body: &serde_json::Value| {
        let headers = [("content-type", "application/json"), ("accept", "application/x-postcard")];
        let answer = owner.send("POST", &format!("/api/v1{path}"), &headers, body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        wire::encode::from_bytes::<InspectionUpdate>(&answer.body).unwrap()
    };
    for body in [
        json!({"inspection": {"overview": {}}, "checkpoint": "0-200"}),
        json!({"inspection": {"overview": {}}, "step": 230}),
    ] {
        let again = inspect(&body);
        assert_eq!((again.step(), again.key()), (200, overview().key()), "{body}");
        assert!((loss_of(&again) - loss_of(&kept)).abs() < 1e-4, "{} {}", loss_of(&again), loss_of(&kept));
    }
    let newest = inspect(&json!({"inspection": {"overview": {}}}));
    assert_eq!(newest.step(), 250, "the end of a run that has ended");
    let batch = inspect(&json!({"inspection": {"batch": {"step": 7}}, "checkpoint": "0-100"}));
    assert!(matches!(batch, InspectionUpdate::Result { result: InspectionResult::Batch { .. }, .. }), "{batch:?}");
    owner.post(&path, &json!({"inspection": {"overview": {}}, "checkpoint": "0-150"})).refused(
        404,
        "not_found",
        &["0-150"],
    );
    owner.post(&path, &json!({"inspection": {"overview": {}}, "step": 50})).refused(404, "not_found", &["step 50"]);
    owner.post(&path, &json!({"inspection": {"overview": {}}, "live": true})).refused(
        409,
        "run_not_live",
        &["checkpoint"],
    );
    let layer = json!({"inspection": {"attention": {"layer": 99}}});
    owner.post(&path, &layer).refused(422, "inspection_invalid", &["99"]);
    std::fs::write(lab.data().join("checkpoints").join(&run).join("0-100/state.safetensors"), "x").unwrap();
    let damaged = json!({"inspection": {"overview": {}}, "checkpoint": "0-100"});
    owner.post(&path, &damaged).refused(409, "checkpoint_damaged", &["another"]);
}
