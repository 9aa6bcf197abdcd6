//! Small runs on one CPU, in sequence and at once: `cargo run --release -p scenarios --example several_at_once [runs] [steps]`. Prints the
//! total time of both ways and the speed of each run, and fails if a curve differs.

#![allow(clippy::unwrap_used)] // a measurement may fail

use std::time::Instant;

use scenarios::watch::{speck, with};
use scenarios::{Client, Lab, wait_for};
use serde_json::{Value, json};
use wire::device::DeviceView;
use wire::{RunState, RunSummary};

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().unwrap());
    let (runs, steps) = (arguments.next().unwrap_or(4), arguments.next().unwrap_or(1500));
    let lab = Lab::bare();
    let owner = lab.owner();
    let cores = lab.device().info.cores;
    let corpus = owner.add_corpus("walk");
    for (name, changes) in [
        ("specks (a step of about a millisecond)", vec![]),
        ("d_model 64, batch size 16", vec![("model.d_model", 64), ("model.d_ff", 256), ("batch.size", 16)]),
    ] {
        let changes: Vec<(&str, Value)> = changes.into_iter().map(|(path, value)| (path, json!(value))).collect();
        let spec = with(speck(&corpus, steps), &changes);
        println!("{name}: {runs} runs of {steps} steps on {cores} cores");
        set_runs_at_once(&lab, 1);
        let sequence = train(&owner, "in sequence", &spec, runs);
        set_runs_at_once(&lab, runs);
        let at_once = train(&owner, "at once", &spec, runs);
        for (alone, beside) in sequence.iter().zip(&at_once) {
            assert_eq!(losses(&owner, alone), losses(&owner, beside), "{alone} and {beside}");
        }
        println!("  every loss is the same bit for bit");
    }
}

fn set_runs_at_once(lab: &Lab, number: u64) {
    let owner = lab.owner();
    assert_eq!(owner.json("PATCH", "/pools/local", &json!({ "runs_at_once": number })).status, 200);
    let is_running = |slot: u32| lab.slot_pid(slot).is_some();
    wait_for("the processes", 60, || {
        (2..=16).all(|slot| is_running(slot) == (u64::from(slot) <= number)).then_some(())
    });
    wait_for("the device", 60, || {
        let devices: Vec<DeviceView> = owner.get("/devices").read();
        devices.iter().all(|device| device.is_connected && device.runs.is_empty()).then_some(())
    });
}

/// Trains runs that differ in their seed, and prints the total time and the speed of each.
fn train(owner: &Client, how: &str, spec: &Value, runs: u64) -> Vec<String> {
    let began = Instant::now();
    let ids: Vec<String> = (1..=runs)
        .map(|seed| {
            let mut spec = spec.clone();
            spec["seed"] = json!(seed);
            owner.start_run(&spec)
        })
        .collect();
    let ended: Vec<RunSummary> = ids.iter().map(|run| owner.wait_state(run, 600, RunState::Finished)).collect();
    println!("  {how}: {:.1} s in total", began.elapsed().as_secs_f64());
    let all: f64 = ended.iter().filter_map(|run| run.tokens_per_sec).sum();
    for run in ended {
        let speed = run.tokens_per_sec.unwrap_or(0.0);
        println!(
            "    slot {}: {speed:.0} tokens/s, {:.0} % of the sum, {:.1} s of training",
            run.slot,
            100.0 * speed / all,
            run.elapsed_secs
        );
    }
    ids
}

fn losses(owner: &Client, run: &str) -> Vec<(u64, u64)> {
    owner.curve(run, "loss.train").into_iter().map(|(step, loss)| (step, loss.to_bits())).collect()
}
