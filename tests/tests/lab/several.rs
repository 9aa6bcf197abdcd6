//! Several runs train on one device at once, each in a process of its own: with the curves that they have alone, and untouched by the end of
//! another process.

use scenarios::machine::Machine;
use scenarios::watch::{count, with_breakpoints};
use scenarios::{Client, Lab, wait_for};
use serde_json::{Value, json};
use wire::device::DeviceView;
use wire::{RunState, RunView};

use crate::resume::{check_same, restarting};

const RUNS: u64 = 4;

/// Sets how many runs each device of a pool trains at once.
fn set_runs_at_once(owner: &Client, pool: &str, number: u64) {
    assert_eq!(owner.json("PATCH", &format!("/pools/{pool}"), &json!({ "runs_at_once": number })).status, 200);
}

fn with_seed(mut spec: Value, seed: u64) -> Value {
    spec["seed"] = json!(seed);
    spec
}

/// Waits until a device trains this many runs.
fn wait_training(owner: &Client, device: &str, runs: usize) -> DeviceView {
    wait_for("the runs to train at once", 20, || {
        let devices: Vec<DeviceView> = owner.get("/devices").read();
        devices.into_iter().find(|view| view.info.id.as_str() == device && view.runs.len() == runs)
    })
}

#[test]
fn four_runs_on_one_device_at_once_have_the_curves_of_the_same_four_in_sequence() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let spec = restarting(&owner.add_corpus("walk"), 1200);
    let start =
        |spec: &Value| (1..=RUNS).map(|seed| owner.start_run(&with_seed(spec.clone(), seed))).collect::<Vec<_>>();
    let finish = |runs: &[String]| runs.iter().for_each(|run| drop(owner.wait_state(run, 120, RunState::Finished)));

    let sequence = start(&spec);
    finish(&sequence);

    set_runs_at_once(&owner, "local", RUNS);
    let pids = || (1..=RUNS as u32).map(|number| lab.slot_pid(number)).collect::<Option<Vec<_>>>();
    let before = wait_for("four processes", 30, pids);
    // Each pauses once it is loaded, so that all of them train at the same time.
    let at_once = start(&with_breakpoints(&spec, &[30]));
    at_once.iter().for_each(|run| drop(owner.wait_paused_at(run, 30)));
    wait_training(&owner, "cpu", RUNS as usize);
    let mut slots: Vec<u32> = at_once.iter().map(|run| owner.summary(run).slot).collect();
    slots.sort_unstable();
    assert_eq!(slots, [1, 2, 3, 4]);
    let status = lab.run("status", &[]);
    let status = String::from_utf8(status.stdout).unwrap();
    for (slot, pid) in ["cpu", "cpu-slot-2", "cpu-slot-3", "cpu-slot-4"].iter().zip(&before) {
        assert!(status.contains(&format!("Worker of {slot}: process {pid}")), "{status}");
    }

    // One of the processes is killed while all train.
    at_once.iter().for_each(|run| drop(owner.steer(run, &json!({"kind": "resume"}))));
    let killed = &at_once[2];
    owner.wait_step(killed, 30, 60);
    let slot = owner.summary(killed).slot;
    lab.kill_slot(slot);
    finish(&at_once);
    for (run, alone) in at_once.iter().zip(&sequence) {
        check_same(&owner, run, alone);
        let replicas = |run: &str| owner.get(&format!("/runs/{run}")).read::<RunView>().plan.recipe.batch.replicas;
        assert_eq!(replicas(run), replicas(alone), "the plan decides the replicas");
        let (journal, is_killed) = (owner.journal(run), run == killed);
        assert_eq!(count(&journal, "lost"), usize::from(is_killed), "{run}");
        assert_eq!(count(&journal, "continued") > 0, is_killed, "{run}");
    }
    let after = wait_for("four processes again", 30, pids);
    for (number, (before, after)) in (1..).zip(before.iter().zip(&after)) {
        assert_eq!(before == after, number != slot, "the process of slot {number}");
    }

    set_runs_at_once(&owner, "local", 1);
    wait_for("the further processes to end", 20, || (2..=RUNS as u32).all(|n| lab.slot_pid(n).is_none()).then_some(()));
    assert_eq!(lab.worker_pid(), after.first().copied());
}

#[test]
fn a_machine_trains_two_runs_at_once_and_suspends_both_when_it_is_stopped() {
    let lab = Lab::bare_with(&["--no-workers"]);
    let owner = lab.owner();
    let token = lab.join_token("far", json!({}));
    set_runs_at_once(&owner, "far", 2);
    let corpus = owner.add_corpus("walk");
    let mut machine = Machine::new("box");
    machine.start(&lab.address(), "far", Some(&token.text));
    let runs: Vec<String> = (1..=2)
        .map(|seed| {
            let mut spec = with_seed(restarting(&corpus, 1_000_000), seed);
            spec["pool"] = json!("far");
            owner.start_run(&spec)
        })
        .collect();
    wait_training(&owner, "box", 2);
    runs.iter().for_each(|run| drop(owner.wait_step(run, 30, 20)));
    assert!(machine.slot_pid(2).is_some());

    // The first process is killed: the other run trains on, and the next first process continues the first run beside it.
    let second = machine.slot_pid(2);
    let of_second = runs.iter().find(|run| owner.summary(run).slot == 2).unwrap();
    machine.kill();
    let step = owner.summary(of_second).step;
    owner.wait_step(of_second, 30, step + 20);
    machine.start(&lab.address(), "far", None);
    let of_first = runs.iter().find(|run| *run != of_second).unwrap();
    owner.wait_until(of_first, 30, "its restart", |run| run.restarts == 1 && run.state == RunState::Running);
    assert_eq!((machine.slot_pid(2), owner.summary(of_second).restarts), (second, 0));

    machine.stop();
    assert!((1..=2).all(|number| machine.slot_pid(number).is_none()), "both processes have ended");
    runs.iter().for_each(|run| drop(owner.wait_state(run, 20, RunState::Suspended)));
}
