//! Many workers of one server: `cargo run --release -p scenarios --example fleet_load [workers] [steps/s] [metrics] [seconds]`.
//!
//! Simulated workers join a pool over HTTP, open their links, take one run each, and report every step at the given rate. Prints how long
//! acknowledgements take, and what the server uses meanwhile; then reads every point of every run through the API. Fails if a point is missing,
//! doubled or wrong, or if the p99 of the acknowledgements is above its bound. The workers are threads of this process, whose CPU time is
//! listed apart.

#![allow(clippy::unwrap_used)] // a measurement may fail

use std::process::ExitCode;
use std::sync::Arc;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use scenarios::process::{CpuMeter, CpuUse, Memory, cores, memory};
use scenarios::simulated::{Load, Outcome, SimulatedWorker};
use scenarios::watch::{count, speck};
use scenarios::{Client, Lab};
use serde_json::json;
use wire::RunState;
use wire::series::SeriesWindow;

/// Bound of the p99 of acknowledgements, ms.
const MOST_MS: f64 = 250.0;
/// Steps of one request, so that every point has its own bucket, and series of one request.
const STEPS_AT_ONCE: u64 = 4000;
const SERIES_AT_ONCE: usize = 25;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().unwrap());
    let [workers, rate, metrics, secs] = [50, 20, 100, 60].map(|usual| arguments.next().unwrap_or(usual));
    let lab = Lab::bare_with(&["--no-workers"]);
    let owner = lab.owner();
    let load = Load::new(workers as usize, rate as f64, metrics as usize, secs);
    let mut spec = speck(&owner.add_corpus("walk"), load.steps);
    let threads: Vec<_> = (0..load.workers)
        .map(|number| {
            let worker = SimulatedWorker::join(&lab, number, &load);
            spawn(move || worker.train())
        })
        .collect();
    spec["pool"] = json!("far");
    let runs: Vec<String> = threads.iter().map(|_| owner.start_run(&spec)).collect();
    runs.iter().for_each(|run| drop(owner.wait_state(run, 60, RunState::Running)));

    let begin = Instant::now() + Duration::from_millis(500);
    load.begin.set(begin).unwrap();
    sleep(begin.saturating_duration_since(Instant::now()));
    let [server, simulators] = [lab.server_pid(), std::process::id()].map(CpuMeter::begin);
    sleep(Duration::from_secs(secs));
    let [server, simulators] = [server.used(), simulators.used()];
    let used = memory(lab.server_pid());
    let outcomes: Vec<Outcome> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();

    println!("{workers} workers x {rate} steps/s x {metrics} metrics for {secs} s, {} cores", cores());
    print_usage(server, simulators, used, load.steps * workers * metrics);
    let p99_ms = print_acknowledgements(&outcomes);
    let points: u64 =
        outcomes.iter().enumerate().map(|(number, seen)| check_stored(&owner, &load, number, &seen.run)).sum();
    println!(
        "| points | {points} of {} stored, each step of each metric once and with its value |",
        load.steps * workers * metrics
    );
    match p99_ms <= MOST_MS {
        true => ExitCode::SUCCESS,
        false => {
            eprintln!("the p99 of the acknowledgements is {p99_ms:.0} ms; the bound is {MOST_MS} ms");
            ExitCode::FAILURE
        }
    }
}

fn print_usage(server: CpuUse, simulators: CpuUse, used: Memory, points: u64) {
    println!("| what | measured |\n| --- | --- |");
    println!(
        "| CPU time of the server | {:.1} s, {:.1} % of the machine, {:.2} µs per point |",
        server.secs,
        server.share * 100.0,
        server.secs / points as f64 * 1e6
    );
    println!(
        "| CPU time of the simulated workers | {:.1} s, {:.1} % of the machine |",
        simulators.secs,
        simulators.share * 100.0
    );
    println!(
        "| memory of the server | {:.0} MB, at most {:.0} MB |",
        used.resident as f64 / 1e6,
        used.peak as f64 / 1e6
    );
}

/// Prints the times of the acknowledgements; returns the p99 from the end of a step, ms.
fn print_acknowledgements(outcomes: &[Outcome]) -> f64 {
    let all = || outcomes.iter().flat_map(|seen| &seen.acknowledgements);
    let messages: u64 = outcomes.iter().map(|seen| seen.messages).sum();
    let reconnects: u64 = outcomes.iter().map(|seen| seen.reconnects).sum();
    let times = |mut times_ms: Vec<f64>| {
        times_ms.sort_by(f64::total_cmp);
        [0.5, 0.99, 1.0].map(|share| times_ms[((times_ms.len() - 1) as f64 * share) as usize])
    };
    let of_steps = times(all().map(|(step_ms, _)| *step_ms).collect());
    for (from, [p50, p99, most]) in
        [("the end of the step", of_steps), ("sending the message", times(all().map(|(_, ms)| *ms).collect()))]
    {
        println!("| from {from} to its acknowledgement | p50 {p50:.1} ms, p99 {p99:.1} ms, maximum {most:.1} ms |");
    }
    println!(
        "| messages with reports | {messages}, {:.2} steps each; {reconnects} reconnects |",
        all().count() as f64 / messages as f64
    );
    of_steps[1]
}

/// Checks every point of a run; returns how many there are.
///
/// # Panics
/// If a point is missing, doubled or has another value.
fn check_stored(owner: &Client, load: &Arc<Load>, worker: usize, run: &str) -> u64 {
    let summary = owner.summary(run);
    assert_eq!((summary.state, summary.step), (RunState::Finished, load.steps), "{run}");
    assert_eq!(count(&owner.journal(run), "finished"), 1, "{run}");
    let starts = (0..load.steps).step_by(STEPS_AT_ONCE as usize);
    let parts = starts
        .flat_map(|from| load.metrics.chunks(SERIES_AT_ONCE).enumerate().map(move |(part, names)| (from, part, names)));
    parts
        .map(|(from, part, names)| {
            let to = (from + STEPS_AT_ONCE).min(load.steps);
            let path = format!("/runs/{run}/series?names={}&from={from}&to={}&points=5000", names.join(","), to - 1);
            let windows: Vec<SeriesWindow> = owner.get_exact(&path);
            assert_eq!(windows.len(), names.len(), "{path}");
            for window in &windows {
                let metric = part * SERIES_AT_ONCE + names.iter().position(|name| *name == window.name).unwrap();
                let stored = window.buckets.iter().map(|bucket| (bucket.step, bucket.count, bucket.mean.to_bits()));
                let sent = (from..to).map(|step| (step, 1, load.value(worker, step, metric).to_bits()));
                assert!(
                    window.is_exact && stored.eq(sent),
                    "{} of {run}: {} points from step {from}",
                    window.name,
                    window.buckets.len()
                );
            }
            windows.iter().map(|window| window.buckets.len() as u64).sum::<u64>()
        })
        .sum()
}
