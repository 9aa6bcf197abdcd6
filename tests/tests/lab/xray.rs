//! Looking inside while a model learns: live on a page, one by one, and along a run's way.

use std::time::{Duration, Instant};

use serde_json::json;
use stories::socket::{Socket, Watcher};
use stories::watch::{count, speck, with};
use stories::{Client, Lab, pause_ms, wait_for};
use wire::RunState;
use wire::frame::Frame;
use wire::live::{FromPage, ToPage};
use wire::look::{Look, Passage, is_kept, kept_looks};
use wire::sight::Sight;

fn map() -> Look {
    Look::Map { passage: Passage::default() }
}

fn attention(layer: u32) -> Look {
    Look::Attention { passage: Passage::default(), layer }
}

fn loss_of(frame: &Frame) -> f32 {
    match frame {
        Frame::Seen { sight: Sight::Map { loss, .. }, .. } => *loss,
        other => panic!("no map: {other:?}"),
    }
}

#[test]
fn a_page_that_asks_for_the_map_sees_it_change_as_the_model_learns() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let run = owner.start_run(&speck(&owner.bring("walk"), 1_000_000));
    owner.wait_step(&run, 30, 20);
    let viewer = Client::with_token(&lab.address(), &lab.token("view"));
    let (mut page, mut other) = (Watcher::begin(&viewer, &run), Watcher::begin(&viewer, &run));
    page.want(&run, vec![map()]);
    let frames = page.see(30, &map(), 5);
    let steps: Vec<u64> = frames.iter().map(Frame::step).collect();
    assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{steps:?}");
    let Frame::Seen { sight: Sight::Map { parts, loss, tokens }, pace, .. } = &frames[4] else { panic!("{frames:?}") };
    let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(names, ["embedding", "block.0.attention", "block.0.mlp", "norm", "head"]);
    assert!(loss.is_finite() && !tokens.is_empty() && parts.iter().all(|part| part.rms > 0.0), "{parts:?}");
    assert!(pace.cost_ms > 0.0 && pace.every_ms >= 500.0 && pace.share <= 0.06, "{pace:?}");

    // What one page wants another is not sent; what both want is looked at for both.
    other.want(&run, vec![attention(0)]);
    assert!(other.see(20, &attention(0), 2).iter().all(|frame| matches!(frame, Frame::Seen { .. })));
    assert!(other.sights.iter().all(|(_, frame)| frame.key() == attention(0).key()));
    other.want(&run, vec![attention(0), map()]);
    other.see(20, &map(), 1);
    drop(page);
    other.want(&run, vec![attention(7)]);
    match &other.see(20, &attention(7), 1)[0] {
        Frame::Unseen { message, .. } => assert!(message.contains('7'), "{message}"),
        seen => panic!("{seen:?}"),
    }

    // Held, it is seen at once, and once: nothing changes any more.
    owner.steer(&run, &json!({"kind": "pause"}));
    let held = owner.wait_state(&run, 10, RunState::Paused).step;
    other.want(&run, vec![map()]);
    other.follow(10, |tick| tick.frames.iter().any(|frame| frame.key() == map().key() && frame.step() == held));
    owner.steer(&run, &json!({"kind": "stop"}));
}

#[test]
fn a_viewer_who_floods_is_refused_and_the_steps_go_on() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let run = owner.start_run(&speck(&owner.bring("walk"), 1_000_000));
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
        page.say(&FromPage::Probe { run: run.parse().unwrap(), looks: vec![attention(layer)] });
    }
    let flooded = speed();
    let (mut refusals, until) = (0, Instant::now() + Duration::from_secs(5));
    while let Some(message) = page.hear::<ToPage>(until) {
        if let ToPage::Refused { message } = message {
            assert!(message.contains("wait a moment"), "{message}");
            refusals += 1;
        }
        if refusals >= 950 {
            break;
        }
    }
    assert!(refusals >= 950, "{refusals}");
    assert!(flooded > alone * 0.5, "{flooded:.0} steps/s under a flood, {alone:.0} without");
    let path = format!("/runs/{run}/look");
    let long = json!({"look": {"lens": {"passage": {"own": "x".repeat(4001)}}}});
    viewer.post(&path, &long).refused(422, "look_invalid", &["4000", "shorten"]);
    viewer.post(&path, &json!({"look": {"attention": {"layer": 99}}})).refused(422, "look_invalid", &["99"]);
    let strange = json!({"look": {"lens": {"passage": {"own": "the river ☃"}}}});
    let answer = viewer.post(&path, &strange);
    assert!(matches!(answer.status, 200 | 422), "bytes are known to a tokenizer of bytes alone: {}", answer.text());
    assert!(speed() > 0.0);
    owner.steer(&run, &json!({"kind": "stop"}));
}

/// Each kept look of a run's way once, in order, and no step among them that is not to be kept.
fn check_kept(client: &Client, run: &str, steps: u64, most_missing: usize) {
    let wanted: Vec<u64> = (0..=steps).filter(|step| is_kept(*step) || *step == steps).collect();
    let kept = client.kept_steps(run);
    assert!(kept.windows(2).all(|pair| pair[0] < pair[1]) && kept.iter().all(|step| wanted.contains(step)), "{kept:?}");
    assert!(kept.len() + most_missing >= wanted.len(), "{} of {}: {kept:?}", kept.len(), wanted.len());
    for look in kept_looks(1) {
        let own: Vec<u64> = client.kept_frames(run, &look).iter().map(Frame::step).collect();
        assert!(own.windows(2).all(|pair| pair[0] < pair[1]), "{}: {own:?}", look.key());
        assert!(own.len() + most_missing >= kept.len(), "{}: {own:?} of {kept:?}", look.key());
    }
}

#[test]
fn looks_are_kept_along_a_runs_way_however_often_its_processes_are_killed() {
    const STEPS: u64 = 12_000;
    let mut lab = Lab::bare();
    lab.device();
    let corpus = lab.owner().bring("walk");
    let spec = with(speck(&corpus, STEPS), &[("keep.every", json!(200)), ("keep.restarts", json!(100))]);
    let run = lab.owner().start_run(&spec);
    let kills = 2;
    for kill in 1..=kills {
        lab.owner().wait_step(&run, 30, 40);
        lab.kill_worker();
        wait_for("the run to go on", 60, || (count(&lab.owner().journal(&run), "continued") == kill).then_some(()));
    }
    for pause in [120, 300, 500] {
        lab.kill_server();
        pause_ms(pause);
        lab.start();
        pause_ms(pause);
    }
    lab.owner().wait_state(&run, 120, RunState::Finished);
    // A worker that dies between a step and its look has taken that look with it: what is recorded is not looked at again.
    check_kept(&lab.owner(), &run, STEPS, kills);
    let losses: Vec<f32> = lab.owner().kept_frames(&run, &map()).iter().map(loss_of).collect();
    assert!(losses[0] > losses[losses.len() - 1], "it has learned: {losses:?}");
    let folder = lab.data().join("frames").join(&run);
    wait_for("the looks to lie in files", 20, || (folder.read_dir().ok()?.count() > 50).then_some(()));
    let before = (lab.owner().kept_steps(&run), lab.owner().kept_frames(&run, &attention(0)));
    lab.kill_server();
    lab.start();
    assert!(
        before == (lab.owner().kept_steps(&run), lab.owner().kept_frames(&run, &attention(0))),
        "the same from files"
    );
    // Deleted, they stay as long as the run can be brought back.
    lab.owner().delete(&format!("/runs/{run}"));
    lab.owner().post(&format!("/runs/{run}/restore"), &json!({}));
    assert_eq!(lab.owner().kept_steps(&run), before.0);
}

#[test]
fn a_past_step_is_looked_at_again_with_its_checkpoint() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let spec = with(speck(&owner.bring("walk"), 250), &[("keep.every", json!(100)), ("keep.latest", json!(5))]);
    let run = owner.start_run(&spec);
    owner.wait_state(&run, 60, RunState::Finished);
    let kept = owner.kept_frames(&run, &map()).into_iter().find(|frame| frame.step() == 200).unwrap();
    let path = format!("/runs/{run}/look");
    let ask = |body: &serde_json::Value| {
        let headers = [("content-type", "application/json"), ("accept", "application/x-postcard")];
        let answer = owner.send("POST", &format!("/api/v1{path}"), &headers, body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        wire::encode::from_bytes::<Frame>(&answer.body).unwrap()
    };
    for body in [json!({"look": {"map": {}}, "checkpoint": "0-200"}), json!({"look": {"map": {}}, "step": 230})] {
        let again = ask(&body);
        assert_eq!((again.step(), again.key()), (200, map().key()), "{body}");
        assert!((loss_of(&again) - loss_of(&kept)).abs() < 1e-4, "{} {}", loss_of(&again), loss_of(&kept));
    }
    let newest = ask(&json!({"look": {"map": {}}}));
    assert_eq!(newest.step(), 250, "of a run that has ended, its end");
    let batch = ask(&json!({"look": {"batch": {"step": 7}}, "checkpoint": "0-100"}));
    assert!(matches!(batch, Frame::Seen { sight: Sight::Batch { .. }, .. }), "{batch:?}");
    owner.post(&path, &json!({"look": {"map": {}}, "checkpoint": "0-150"})).refused(404, "not_found", &["0-150"]);
    owner.post(&path, &json!({"look": {"map": {}}, "step": 50})).refused(404, "not_found", &["step 50"]);
    owner.post(&path, &json!({"look": {"map": {}}, "live": true})).refused(409, "run_not_live", &["checkpoint"]);
    let layer = json!({"look": {"attention": {"layer": 99}}});
    owner.post(&path, &layer).refused(422, "look_invalid", &["99"]);
    std::fs::write(lab.data().join("checkpoints").join(&run).join("0-100/state.safetensors"), "x").unwrap();
    let damaged = json!({"look": {"map": {}}, "checkpoint": "0-100"});
    owner.post(&path, &damaged).refused(409, "checkpoint_damaged", &["another"]);
}
