//! Runs that are stopped, killed, parked or robbed of their newest checkpoint go on as if nothing had happened: every step is there
//! once, and on the CPU every loss has the bits of a run that was never disturbed.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stories::watch::{count, holding_at, kind, speck, with};
use stories::{Client, Lab, pause_ms, wait_for};
use wire::{Event, RunState};

use crate::chance::{Random, kills};

/// A run that saves its state every hundred steps, and starts again as often as it must.
fn sturdy(corpus: &str, steps: u64) -> Value {
    let overrides =
        [("keep.every", json!(100)), ("keep.restarts", json!(10_000)), ("cadence.sample_every", json!(250))];
    with(speck(corpus, steps), &overrides)
}

/// What does not depend on the clock.
const EXACT: [&str; 5] = ["loss.train", "loss.valid", "grad_norm", "rate", "tokens"];

fn exact(client: &Client, run: &str) -> Vec<Vec<(u64, u64)>> {
    let bits =
        |name: &str| client.path_curve(run, name).into_iter().map(|(step, value)| (step, value.to_bits())).collect();
    EXACT.iter().map(|name| bits(name)).collect()
}

/// The same to the last bit, and nothing of it twice.
fn check_same(client: &Client, run: &str, undisturbed: &str) {
    for ((name, got), wanted) in EXACT.iter().zip(exact(client, run)).zip(exact(client, undisturbed)) {
        let wrong = got.iter().zip(&wanted).find(|(got, wanted)| got != wanted);
        assert!(
            wrong.is_none() && got.len() == wanted.len(),
            "{name}: {} of {} points, first wrong: {wrong:?}",
            got.len(),
            wanted.len()
        );
    }
    let told = |run: &str| {
        let journal = client.journal(run);
        let lines =
            journal.iter().filter(|record| ["evaluated", "sampled", "finished"].contains(&kind(record).as_str()));
        lines.map(|record| (kind(record), record.step, record.event.clone())).collect::<Vec<_>>()
    };
    assert_eq!(told(run), told(undisturbed), "each evaluation and sample once, and the same");
    let journal = client.journal(run);
    let saved: Vec<(u32, u64)> = journal
        .iter()
        .filter(|record| matches!(record.event, Event::Checkpointed { .. }) && record.command_id.is_none())
        .map(|record| (record.segment, record.step))
        .collect();
    let distinct: std::collections::BTreeSet<_> = saved.iter().collect();
    assert_eq!(saved.len(), distinct.len(), "no checkpoint is told of twice");
}

fn undisturbed(client: &Client, spec: &Value) -> String {
    let run = client.start_run(spec);
    client.wait_state(&run, 120 + 10 * kills(), RunState::Finished);
    run
}

/// The next worker, once it is there.
fn next_worker(lab: &Lab, before: Option<u32>) -> Option<u32> {
    wait_for("the next worker", 60, || lab.worker_pid().filter(|pid| Some(*pid) != before)).into()
}

#[test]
fn a_worker_is_killed_at_random_instants_and_its_run_finishes_as_if_nothing_had_been() {
    let (lab, mut random) = (Lab::bare(), Random::new());
    let owner = lab.owner();
    lab.device();
    let spec = sturdy(&owner.bring("walk"), 400 * (kills() + 2));
    let calm = undisturbed(&owner, &spec);
    let run = owner.start_run(&spec);
    let mut worker = lab.worker_pid();
    let mut killed = 0;
    for _ in 0..kills() {
        let step = owner.summary(&run).step;
        // Sometimes before it has begun, mostly while it trains.
        if random.below(4) > 0 {
            owner.wait_until(&run, 60, "a next step", |run| run.step > step || run.state == RunState::Finished);
        }
        pause_ms(random.below(400));
        if owner.summary(&run).state == RunState::Finished {
            break;
        }
        lab.kill_worker();
        killed += 1;
        worker = next_worker(&lab, worker);
    }
    let done = owner.wait_state(&run, 180 + 10 * kills(), RunState::Finished);
    eprintln!("killed {killed} times, started again {} times", done.restarts);
    check_same(&owner, &run, &calm);
    let journal = owner.journal(&run);
    assert_eq!(count(&journal, "lost") as u32, done.restarts);
    assert!(count(&journal, "continued") <= killed && done.restarts as usize <= killed);
}

#[test]
fn server_and_worker_are_killed_in_any_order_and_nothing_is_lost_or_doubled() {
    let (mut lab, mut random) = (Lab::bare(), Random::new());
    lab.device();
    let spec = sturdy(&lab.owner().bring("walk"), 500 * (kills() + 2));
    let calm = undisturbed(&lab.owner(), &spec);
    let run = lab.owner().start_run(&spec);
    for round in 0..kills() {
        pause_ms(random.below(1200));
        if lab.owner().summary(&run).state == RunState::Finished {
            break;
        }
        let worker = lab.worker_pid();
        let is_worker_first = random.below(2) == 0;
        if is_worker_first && worker.is_some() {
            lab.kill_worker();
            pause_ms(random.below(300));
        }
        lab.kill_server();
        pause_ms(random.below(500));
        if !is_worker_first && round % 3 > 0 && lab.worker_pid().is_some() {
            lab.kill_worker();
        }
        lab.start();
        next_worker(&lab, None);
    }
    lab.owner().wait_state(&run, 240 + 10 * kills(), RunState::Finished);
    check_same(&lab.owner(), &run, &calm);
}

#[test]
fn a_run_is_stopped_resumed_parked_and_steered_and_equals_one_that_was_only_steered() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let spec = sturdy(&owner.bring("walk"), 3_000);
    let holding = holding_at(&spec, &[430, 1_100]);
    let steered = |run: &str| {
        owner.wait_hold(run, 430);
        owner.steer(run, &json!({"kind": "set", "field": "rate", "value": 0.002, "reason": "quicker"}));
    };
    let calm = owner.start_run(&holding_at(&spec, &[430]));
    steered(&calm);
    owner.steer(&calm, &json!({"kind": "resume"}));
    owner.wait_state(&calm, 60, RunState::Finished);

    let run = owner.start_run(&holding);
    steered(&run);
    owner.step_to(&run, 520);
    owner.steer(&run, &json!({"kind": "stop", "reason": "for the night"}));
    owner.wait_state(&run, 20, RunState::Stopped);
    owner.steer(&run, &json!({"kind": "resume", "reason": "a new day"}));
    owner.wait_hold(&run, 1_100);
    assert_eq!(kind(&owner.steer(&run, &json!({"kind": "release"}))), "released");
    assert_eq!(owner.wait_state(&run, 20, RunState::Parked).step, 1100);
    // Its device is free for others, and it comes back when it is asked to.
    let other = owner.start_run(&speck(
        &owner.get(&format!("/runs/{run}")).value()["spec"]["corpus"].as_str().unwrap().to_owned(),
        30,
    ));
    owner.wait_state(&other, 30, RunState::Finished);
    owner.steer(&run, &json!({"kind": "resume"}));
    owner.wait_state(&run, 60, RunState::Finished);
    check_same(&owner, &run, &calm);
    let kinds: Vec<String> = owner.journal(&run).iter().map(kind).collect();
    for said in ["stopped", "resumed", "continued", "released", "finished"] {
        assert!(kinds.iter().any(|kind| kind == said), "{said} in {kinds:?}");
    }
    owner.post(&format!("/runs/{run}/commands"), &json!({"kind": "resume"})).refused(409, "run_over", &["fork"]);
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_the_run_goes_on_from_the_one_before() {
    let mut lab = Lab::bare();
    lab.device();
    let spec = sturdy(&lab.owner().bring("walk"), 600);
    let calm = undisturbed(&lab.owner(), &spec);
    let run = lab.owner().start_run(&holding_at(&spec, &[350]));
    lab.owner().wait_hold(&run, 350);
    let damages: [(&str, fn(&Path)); 5] = [
        ("cut short", |path| edit(path, |bytes| bytes.truncate(bytes.len() / 2))),
        ("zeroed", |path| edit(path, |bytes| bytes.fill(0))),
        ("torn", |path| {
            edit(path, |bytes| {
                let half = bytes.len() / 2;
                bytes[half..].fill(0)
            })
        }),
        ("one bit", |path| {
            edit(path, |bytes| {
                let at = bytes.len() * 3 / 4;
                bytes[at] ^= 1
            })
        }),
        ("no list", |path| std::fs::remove_file(path.with_file_name("checkpoint.json")).unwrap()),
    ];
    for (how, damage) in damages {
        // Without a server, no other worker comes at once.
        lab.kill_server();
        lab.kill_worker();
        wait_for("the worker's end", 10, || lab.worker_pid().is_none().then_some(()));
        let newest = newest_checkpoint(&lab, &run);
        damage(&newest.join("state.safetensors"));
        let goings_on = |lab: &Lab| {
            let journal = lab.owner().journal(&run);
            journal.iter().filter(|record| matches!(record.event, Event::Continued { .. })).count()
        };
        lab.start();
        let before = goings_on(&lab);
        lab.device();
        wait_for("its going on", 60, || (goings_on(&lab) > before).then_some(()));
        let held = lab.owner().wait_hold(&run, 350);
        let journal = lab.owner().journal(&run);
        let last = journal.iter().rev().find_map(|record| match &record.event {
            Event::Continued { checkpoint, recorded, damaged } => Some((*checkpoint, *recorded, damaged.clone())),
            _ => None,
        });
        let (checkpoint, recorded, damaged) = last.unwrap_or_else(|| panic!("{how}: it never went on"));
        assert_eq!((checkpoint.map(|id| id.step), recorded, held.step), (Some(200), 350, 350), "{how}: {damaged:?}");
        assert!(damaged.len() == 1 && damaged[0].contains("0-300"), "{how}: {damaged:?}");
    }
    lab.owner().steer(&run, &json!({"kind": "resume"}));
    lab.owner().wait_state(&run, 60, RunState::Finished);
    check_same(&lab.owner(), &run, &calm);
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

fn newest_checkpoint(lab: &Lab, run: &str) -> PathBuf {
    let entries = std::fs::read_dir(lab.data().join("checkpoints").join(run)).unwrap();
    let step = |path: &PathBuf| path.file_name()?.to_str()?.split_once('-')?.1.parse::<u64>().ok();
    let folders = entries.map(|entry| entry.unwrap().path()).filter(|path| step(path).is_some());
    folders.max_by_key(step).unwrap()
}

#[test]
fn a_burst_of_commands_from_several_people_keeps_its_order_and_each_has_its_own_answer() {
    const PEOPLE: usize = 10;
    const EACH: usize = 100;
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let run = owner.start_run(&with(speck(&owner.bring("walk"), 1_000_000), &[("keep.before_changes", json!(false))]));
    owner.wait_step(&run, 30, 5);
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        for person in 0..PEOPLE {
            let (owner, run) = (owner.clone(), &run);
            scope.spawn(move || {
                for nth in 0..EACH {
                    let value = (1 + person * EACH + nth) as f64;
                    let answer = owner.steer(run, &json!({"kind": "set", "field": "clip", "value": value}));
                    assert!(matches!(answer.event, Event::Changed { new, .. } if new == value), "{value}: {answer:?}");
                }
            });
        }
    });
    eprintln!("{} commands in {:.2} s", PEOPLE * EACH, began.elapsed().as_secs_f64());
    let turned: Vec<(f64, f64)> = owner
        .journal(&run)
        .iter()
        .filter_map(|record| match record.event {
            Event::Changed { old, new, .. } => Some((old, new)),
            _ => None,
        })
        .collect();
    assert_eq!(turned.len(), PEOPLE * EACH);
    assert!(turned.windows(2).all(|pair| pair[0].1 == pair[1].0), "each found the dial as the one before had left it");
    for person in 0..PEOPLE {
        let own: Vec<usize> =
            turned.iter().map(|(_, new)| *new as usize - 1).filter(|value| value / EACH == person).collect();
        assert!(own.is_sorted() && own.len() == EACH, "in the order in which they were asked");
    }
    owner.steer(&run, &json!({"kind": "stop"}));
}
