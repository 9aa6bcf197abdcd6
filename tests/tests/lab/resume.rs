//! Runs that are stopped, killed, suspended, or whose newest checkpoint is damaged continue exactly: every step is stored once, and on the CPU
//! every loss equals that of an uninterrupted run bit for bit.

use std::path::{Path, PathBuf};

use scenarios::watch::{count, kind, speck, with, with_breakpoints};
use scenarios::{Client, Lab, pause_ms, wait_for};
use serde_json::{Value, json};
use testing::Random;
use wire::{Event, RunState};

use crate::kills::kills;

/// A run that saves a checkpoint every hundred steps, and restarts as often as needed.
pub(crate) fn restarting(corpus: &str, steps: u64) -> Value {
    let overrides = [
        ("intervals.checkpoint_every", json!(100)),
        ("budget.restarts", json!(1000)),
        ("intervals.sample_every", json!(250)),
    ];
    with(speck(corpus, steps), &overrides)
}

/// Series that do not depend on the clock.
const EXACT: [&str; 5] = ["loss.train", "loss.valid", "grad_norm", "learning_rate", "tokens"];

fn exact(client: &Client, run: &str) -> Vec<Vec<(u64, u64)>> {
    let bits =
        |name: &str| client.path_curve(run, name).into_iter().map(|(step, value)| (step, value.to_bits())).collect();
    EXACT.iter().map(|name| bits(name)).collect()
}

/// The same bit for bit, and nothing twice.
pub(crate) fn check_same(client: &Client, run: &str, uninterrupted: &str) {
    for ((name, got), wanted) in EXACT.iter().zip(exact(client, run)).zip(exact(client, uninterrupted)) {
        let wrong = got.iter().zip(&wanted).find(|(got, wanted)| got != wanted);
        assert!(
            wrong.is_none() && got.len() == wanted.len(),
            "{name}: {} of {} points, first wrong: {wrong:?}",
            got.len(),
            wanted.len()
        );
    }
    let events = |run: &str| {
        let journal = client.journal(run);
        let lasting =
            journal.iter().filter(|record| ["evaluated", "sampled", "finished"].contains(&kind(record).as_str()));
        lasting.map(|record| (kind(record), record.step, record.event.clone())).collect::<Vec<_>>()
    };
    assert_eq!(events(run), events(uninterrupted), "each evaluation and sample once, and the same");
    let journal = client.journal(run);
    let saved: Vec<(u32, u64)> = journal
        .iter()
        .filter(|record| matches!(record.event, Event::Checkpointed { .. }) && record.command_id.is_none())
        .map(|record| (record.segment, record.step))
        .collect();
    let distinct: std::collections::BTreeSet<_> = saved.iter().collect();
    assert_eq!(saved.len(), distinct.len(), "no checkpoint is in the journal twice");
}

pub(crate) fn uninterrupted(client: &Client, spec: &Value) -> String {
    let run = client.start_run(spec);
    client.wait_state(&run, 120 + 10 * kills(), RunState::Finished);
    run
}

/// Waits for the next worker.
fn next_worker(lab: &Lab, before: Option<u32>) -> Option<u32> {
    wait_for("the next worker", 60, || lab.worker_pid().filter(|pid| Some(*pid) != before)).into()
}

#[test]
fn a_run_whose_worker_is_killed_at_random_finishes_exactly() {
    let (lab, mut random) = (Lab::bare(), Random::new(testing::fresh_seed()));
    let owner = lab.owner();
    lab.device();
    let spec = restarting(&owner.add_corpus("walk"), 400 * (kills() + 2));
    let reference = uninterrupted(&owner, &spec);
    let run = owner.start_run(&spec);
    let mut worker = lab.worker_pid();
    let mut killed = 0;
    for _ in 0..kills() {
        let step = owner.summary(&run).step;
        // Sometimes before it has started, mostly while it trains.
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
    eprintln!("killed {killed} times, restarted {} times", done.restarts);
    check_same(&owner, &run, &reference);
    let journal = owner.journal(&run);
    assert_eq!(count(&journal, "lost") as u32, done.restarts);
    assert!(count(&journal, "continued") <= killed && done.restarts as usize <= killed);
}

#[test]
fn server_and_worker_are_killed_in_any_order_and_nothing_is_lost_or_repeated() {
    let (mut lab, mut random) = (Lab::bare(), Random::new(testing::fresh_seed()));
    lab.device();
    let spec = restarting(&lab.owner().add_corpus("walk"), 500 * (kills() + 2));
    let reference = uninterrupted(&lab.owner(), &spec);
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
    check_same(&lab.owner(), &run, &reference);
}

#[test]
fn a_stopped_resumed_and_suspended_run_equals_an_uninterrupted_one() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let spec = restarting(&owner.add_corpus("walk"), 3_000);
    let interrupted = with_breakpoints(&spec, &[430, 1_100]);
    let steered = |run: &str| {
        owner.wait_paused_at(run, 430);
        owner
            .steer(run, &json!({"kind": "set", "path": "optimizer.learning_rate", "value": 0.002, "reason": "faster"}));
    };
    let reference = owner.start_run(&with_breakpoints(&spec, &[430]));
    steered(&reference);
    owner.steer(&reference, &json!({"kind": "resume"}));
    owner.wait_state(&reference, 60, RunState::Finished);

    let run = owner.start_run(&interrupted);
    steered(&run);
    owner.step_to(&run, 520);
    owner.steer(&run, &json!({"kind": "stop", "reason": "for now"}));
    owner.wait_state(&run, 20, RunState::Stopped);
    owner.steer(&run, &json!({"kind": "resume", "reason": "continue"}));
    owner.wait_paused_at(&run, 1_100);
    assert_eq!(kind(&owner.steer(&run, &json!({"kind": "suspend"}))), "suspended");
    assert_eq!(owner.wait_state(&run, 20, RunState::Suspended).step, 1100);
    // Its device is idle, and it continues when it is resumed.
    let other = owner.start_run(&speck(
        &owner.get(&format!("/runs/{run}")).value()["spec"]["corpus"].as_str().unwrap().to_owned(),
        30,
    ));
    owner.wait_state(&other, 30, RunState::Finished);
    owner.steer(&run, &json!({"kind": "resume"}));
    owner.wait_state(&run, 60, RunState::Finished);
    check_same(&owner, &run, &reference);
    let kinds: Vec<String> = owner.journal(&run).iter().map(kind).collect();
    for wanted in ["stopped", "resumed", "continued", "suspended", "finished"] {
        assert!(kinds.iter().any(|kind| kind == wanted), "{wanted} in {kinds:?}");
    }
    owner.post(&format!("/runs/{run}/commands"), &json!({"kind": "resume"})).refused(409, "run_over", &["fork"]);
}

#[test]
fn a_damaged_checkpoint_is_skipped_and_the_run_continues_from_the_one_before() {
    let mut lab = Lab::bare();
    lab.device();
    let spec = restarting(&lab.owner().add_corpus("walk"), 600);
    let reference = uninterrupted(&lab.owner(), &spec);
    let run = lab.owner().start_run(&with_breakpoints(&spec, &[350]));
    lab.owner().wait_paused_at(&run, 350);
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
        ("no manifest", |path| std::fs::remove_file(path.with_file_name("checkpoint.json")).unwrap()),
    ];
    for (how, damage) in damages {
        // Without a server, no other worker is started.
        lab.kill_server();
        lab.kill_worker();
        wait_for("the worker to end", 10, || lab.worker_pid().is_none().then_some(()));
        let newest = newest_checkpoint(&lab, &run);
        damage(&newest.join("state.safetensors"));
        let continued = |lab: &Lab| {
            let journal = lab.owner().journal(&run);
            journal.iter().filter(|record| matches!(record.event, Event::Continued { .. })).count()
        };
        lab.start();
        let before = continued(&lab);
        lab.device();
        wait_for("the run to continue", 60, || (continued(&lab) > before).then_some(()));
        let paused = lab.owner().wait_paused_at(&run, 350);
        let journal = lab.owner().journal(&run);
        let last = journal.iter().rev().find_map(|record| match &record.event {
            Event::Continued { checkpoint, recorded, damaged } => Some((*checkpoint, *recorded, damaged.clone())),
            _ => None,
        });
        let (checkpoint, recorded, damaged) = last.unwrap_or_else(|| panic!("{how}: it did not continue"));
        assert_eq!((checkpoint.map(|id| id.step), recorded, paused.step), (Some(200), 350, 350), "{how}: {damaged:?}");
        assert!(damaged.len() == 1 && damaged[0].contains("0-300"), "{how}: {damaged:?}");
    }
    lab.owner().steer(&run, &json!({"kind": "resume"}));
    lab.owner().wait_state(&run, 60, RunState::Finished);
    check_same(&lab.owner(), &run, &reference);
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
fn concurrent_commands_keep_their_order_and_each_gets_its_own_event() {
    const PEOPLE: usize = 10;
    const EACH: usize = 100;
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let run = owner
        .start_run(&with(speck(&owner.add_corpus("walk"), 1_000_000), &[("retention.before_changes", json!(false))]));
    owner.wait_step(&run, 30, 5);
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        for person in 0..PEOPLE {
            let (owner, run) = (owner.clone(), &run);
            scope.spawn(move || {
                for nth in 0..EACH {
                    let value = (1 + person * EACH + nth) as f64;
                    let answer =
                        owner.steer(run, &json!({"kind": "set", "path": "optimizer.grad_clip", "value": value}));
                    assert!(matches!(answer.event, Event::Changed { new, .. } if new == value), "{value}: {answer:?}");
                }
            });
        }
    });
    eprintln!("{} commands in {:.2} s", PEOPLE * EACH, began.elapsed().as_secs_f64());
    let changes: Vec<(f64, f64)> = owner
        .journal(&run)
        .iter()
        .filter_map(|record| match record.event {
            Event::Changed { old, new, .. } => Some((old, new)),
            _ => None,
        })
        .collect();
    assert_eq!(changes.len(), PEOPLE * EACH);
    assert!(
        changes.windows(2).all(|pair| pair[0].1 == pair[1].0),
        "each change begins with the value of the one before"
    );
    for person in 0..PEOPLE {
        let own: Vec<usize> =
            changes.iter().map(|(_, new)| *new as usize - 1).filter(|value| value / EACH == person).collect();
        assert!(own.is_sorted() && own.len() == EACH, "in the order of their sending");
    }
    owner.steer(&run, &json!({"kind": "stop"}));
}
