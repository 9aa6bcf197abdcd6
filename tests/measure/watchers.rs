//! Many watchers of one run: `cargo run --release -p scenarios --example watchers [watchers] [seconds]`.
//!
//! First a run that trains on this machine: prints the training speed with and without watchers, and the ticks that they received. Then a run of
//! a simulated worker with 10 steps per second, which leaves the cores to the server: prints the CPU time of the server with and without
//! watchers. The watchers are threads of this process, so their own CPU time is not part of it. Fails if a watcher missed a tick, or if the
//! server used more of the machine than its bound.

#![allow(clippy::unwrap_used)] // a measurement may fail

use std::process::ExitCode;
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use scenarios::process::{CpuMeter, cores};
use scenarios::simulated::{Load, SimulatedWorker};
use scenarios::socket::Watcher;
use scenarios::watch::{speck, with};
use scenarios::{Client, Lab, pause_ms};
use serde_json::json;
use wire::RunState;

/// Steps, and therefore ticks, per second of the simulated run, and metrics of each: about those of a small model.
const UPDATES_PER_SEC: f64 = 10.0;
const METRICS: usize = 20;
/// Bound of the server's CPU time, as a fraction of the machine.
const MOST_SHARE: f64 = 0.05;
/// Time for the watchers to connect, seconds.
const CONNECT_SECS: u64 = 5;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().unwrap());
    let (count, secs) = (arguments.next().unwrap_or(500), arguments.next().unwrap_or(20));
    training_speed(count, secs);
    let share = server_share(count, secs);
    match share <= MOST_SHARE {
        true => ExitCode::SUCCESS,
        false => {
            eprintln!(
                "the server used {:.1} % of the machine; the bound is {:.0} %",
                share * 100.0,
                MOST_SHARE * 100.0
            );
            ExitCode::FAILURE
        }
    }
}

/// Watchers of a run, each of which returns its number of ticks after `secs` seconds.
fn watch(owner: &Client, run: &str, count: u64, secs: u64) -> Vec<JoinHandle<usize>> {
    let watcher = |_| {
        let (owner, run) = (owner.clone(), run.to_owned());
        spawn(move || {
            let mut watcher = Watcher::begin(&owner, &run);
            let until = Instant::now() + Duration::from_secs(secs + CONNECT_SECS);
            watcher.follow(secs + 30, |_| Instant::now() > until);
            watcher.ticks.len()
        })
    };
    (0..count).map(watcher).collect()
}

/// Ticks per second that each watcher received on average.
fn ticks_per_sec(watchers: Vec<JoinHandle<usize>>, secs: u64) -> f64 {
    let count = watchers.len() as f64;
    let all: usize = watchers.into_iter().map(|watcher| watcher.join().unwrap()).sum();
    all as f64 / count / (secs + CONNECT_SECS) as f64
}

/// Compares the speed of a run that trains on this machine with and without watchers.
fn training_speed(count: u64, secs: u64) {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let spec = with(
        speck(&owner.add_corpus("walk"), 100_000_000),
        &[("model.d_model", json!(64)), ("model.d_ff", json!(256)), ("batch.size", json!(16))],
    );
    let run = owner.start_run(&spec);
    owner.wait_step(&run, 30, 100);
    let speed = |secs: u64| {
        let (began, before) = (Instant::now(), owner.summary(&run).step);
        pause_ms(secs * 1000);
        (owner.summary(&run).step - before) as f64 / began.elapsed().as_secs_f64()
    };
    let alone = speed(secs / 2);
    let watchers = watch(&owner, &run, count, secs);
    pause_ms(CONNECT_SECS * 1000);
    let watched = speed(secs);
    let ticks = ticks_per_sec(watchers, secs);
    let again = speed(secs / 2);
    println!("{count} watchers for {secs} s: {ticks:.1} ticks/s each, none missing");
    println!(
        "steps/s alone {alone:.1}, watched {watched:.1}, alone again {again:.1}: {:+.1} %",
        (watched / ((alone + again) / 2.0) - 1.0) * 100.0
    );
}

/// Measures the CPU time of the server while a run of a simulated worker is watched; returns it as a fraction of the machine.
fn server_share(count: u64, secs: u64) -> f64 {
    let lab = Lab::bare_with(&["--no-workers"]);
    let owner = lab.owner();
    let load = Load::new(1, UPDATES_PER_SEC, METRICS, 3 * secs + 60);
    let mut spec = speck(&owner.add_corpus("walk"), load.steps);
    let worker = SimulatedWorker::join(&lab, 0, &load);
    spawn(move || worker.train());
    spec["pool"] = json!("far");
    let run = owner.start_run(&spec);
    owner.wait_state(&run, 60, RunState::Running);
    load.begin.set(Instant::now()).unwrap();
    owner.wait_step(&run, 30, 10);
    let used = |secs: u64| {
        let meter = CpuMeter::begin(lab.server_pid());
        pause_ms(secs * 1000);
        meter.used()
    };
    let alone = used(secs / 2);
    let watchers = watch(&owner, &run, count, secs);
    pause_ms(CONNECT_SECS * 1000);
    let watched = used(secs);
    let ticks = ticks_per_sec(watchers, secs);
    println!(
        "CPU time of the server on {} cores: {:.2} % of the machine alone, {:.2} % with {count} watchers at {ticks:.1} ticks/s each, {:.1} µs per tick",
        cores(),
        alone.share * 100.0,
        watched.share * 100.0,
        (watched.secs / secs as f64 - alone.secs / (secs / 2) as f64) / (ticks * count as f64) * 1e6
    );
    watched.share
}
