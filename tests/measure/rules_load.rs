//! The cost of the rules in a server: `cargo build --release --bin kindling`, then
//! `cargo run --release -p scenarios --example rules_load [runs] [steps/s] [seconds of a block] [rounds]`, by default 20 20 30 4. Run it on a
//! quiet machine; it takes rounds x 3 x (seconds + 4) + 25 s, about 7 minutes.
//!
//! Simulated workers report the values of healthy trainings, every series that a rule reads among them. One server runs three kinds of blocks
//! in turn, in the opposite order in every other round:
//!
//! - on: the rules as they are by default;
//! - muted: all rules are muted by `PUT /runs/{id}/rules`. Muted rules report nothing, but still read every value, so on - muted is less than
//!   their whole cost;
//! - unread: the same values under names that no rule reads, so that the server stores as much and the rules do nothing.
//!
//! Prints the CPU time of the server in each block as a share of one core, the means, and the differences on - muted and on - unread with
//! their standard errors over rounds. Fails if on - unread is above 5 %. `cargo run --release -p research --example cost` measures the rules
//! without a server.

#![allow(clippy::unwrap_used)] // a measurement may fail

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use scenarios::process::{CpuMeter, cores};
use scenarios::simulated::{Load, SimulatedWorker};
use scenarios::watch::speck;
use scenarios::{Client, Lab};
use serde_json::json;
use wire::RunState;
use wire::diagnosis::Diagnosis;

/// Most of one core that the rules may use.
const MOST: f64 = 0.05;
/// Steps that some rules need before they judge, at 20 steps/s.
const PRELUDE: Duration = Duration::from_secs(20);
/// Time after a switch until the next block: reports with the earlier names still arrive, and the rules read values that they have missed.
const SETTLE: Duration = Duration::from_secs(4);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    On,
    Muted,
    Unread,
}

const MODES: [Mode; 3] = [Mode::On, Mode::Muted, Mode::Unread];

/// The server with its runs, and what is reported to them.
struct Bench {
    lab: Lab,
    owner: Client,
    load: Arc<Load>,
    runs: Vec<String>,
    /// Ids of all rules.
    rules: Vec<String>,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().unwrap());
    let [runs, rate, secs, rounds] = [20, 20, 30, 4].map(|usual| arguments.next().unwrap_or(usual));
    let block = Duration::from_secs(secs);
    let planned = PRELUDE + (block + SETTLE) * MODES.len() as u32 * rounds as u32;
    // The runs train for longer than is measured: an end has costs of its own.
    let bench = Bench::begin(runs as usize, rate as f64, planned.as_secs() + 120);
    println!("{runs} runs x {rate} steps/s, {rounds} rounds of blocks of {secs} s, {} cores", cores());
    println!("| round | rules | CPU of the server, share of one core |\n| --- | --- | --- |");
    sleep(PRELUDE);
    let measured: Vec<[f64; 3]> = (0..rounds).map(|round| bench.round(round, block)).collect();
    bench.print_findings();
    report(&measured)
}

impl Bench {
    /// Starts the runs and the load.
    fn begin(count: usize, rate: f64, secs: u64) -> Self {
        let lab = Lab::bare_with(&["--no-workers"]);
        let (owner, load) = (lab.owner(), Load::healthy(count, rate, secs));
        let mut spec = speck(&owner.add_corpus("walk"), load.steps);
        spec["pool"] = json!("far");
        for number in 0..count {
            let worker = SimulatedWorker::join(&lab, number, &load);
            // It ends with this process.
            spawn(move || drop(worker.train()));
        }
        let runs: Vec<String> = (0..count).map(|_| owner.start_run(&spec)).collect();
        runs.iter().for_each(|run| drop(owner.wait_state(run, 60, RunState::Running)));
        load.begin.set(Instant::now()).unwrap();
        let rules = owner.get("/rules").value();
        let ids = rules.as_array().unwrap().iter().map(|rule| rule["id"].as_str().unwrap().to_owned());
        let rules = ids.collect();
        Self { lab, owner, load, runs, rules }
    }

    /// One block of each mode; the shares of one core in the order of [`MODES`].
    fn round(&self, round: u64, block: Duration) -> [f64; 3] {
        let mut order = MODES;
        if !round.is_multiple_of(2) {
            order.reverse();
        }
        let measured = order.map(|mode| {
            self.switch(mode);
            sleep(SETTLE);
            let (meter, began) = (CpuMeter::begin(self.lab.server_pid()), Instant::now());
            sleep(block);
            let share = meter.used().secs / began.elapsed().as_secs_f64();
            println!("| {} | {mode:?} | {:.2} % |", round + 1, share * 100.0);
            (mode, share)
        });
        MODES.map(|mode| measured.iter().find(|(of, _)| *of == mode).unwrap().1)
    }

    fn switch(&self, mode: Mode) {
        self.load.is_unread.store(mode == Mode::Unread, Ordering::Relaxed);
        let muted: &[String] = if mode == Mode::Muted { &self.rules } else { &[] };
        for run in &self.runs {
            assert_eq!(self.owner.put_rules(run, json!({ "muted": muted })).status, 200);
        }
    }

    /// Prints how much the rules found.
    fn print_findings(&self) {
        let of_run = |run: &String| -> usize {
            let diagnosis: Diagnosis = self.owner.get(&format!("/runs/{run}/findings")).read();
            diagnosis.findings.len()
        };
        let found: usize = self.runs.iter().map(of_run).sum();
        println!("\n{} rules, {found} findings in {} runs.", self.rules.len(), self.runs.len());
    }
}

/// Prints means and differences; fails if the rules cost more than [`MOST`].
fn report(measured: &[[f64; 3]]) -> ExitCode {
    let of = |mode: usize| measured.iter().map(|round| round[mode]).collect::<Vec<_>>();
    for (place, mode) in MODES.iter().enumerate() {
        println!("mean {mode:?}: {:.2} % of one core", mean(&of(place)) * 100.0);
    }
    let difference = |other: usize| {
        let each: Vec<f64> = measured.iter().map(|round| round[0] - round[other]).collect();
        (mean(&each), standard_error(&each))
    };
    for (name, (cost, error)) in [("on - muted", difference(1)), ("on - unread", difference(2))] {
        println!("{name}: {:.2} % of one core (standard error {:.2} %)", cost * 100.0, error * 100.0);
    }
    match difference(2).0 <= MOST {
        true => ExitCode::SUCCESS,
        false => {
            eprintln!("the rules cost more than {:.0} % of one core", MOST * 100.0);
            ExitCode::FAILURE
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Of the mean of independent values; NaN for one.
fn standard_error(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() as f64 - 1.0) / values.len() as f64).sqrt()
}
