//! How often a comparison is right: false differences, coverage of intervals, and the gain that is found, on simulated runs and, with a
//! file, on real ones. Prints a table; the exit code is 1 where a line is outside its limits.
//!
//! ```sh
//! cargo run --release -p research --example calibration
//! python3 tests/measure/seeds.py FOLDER
//! cargo run --release -p research --example calibration FOLDER/seeds.json
//! ```

use std::ops::RangeInclusive;
use std::process::ExitCode;

use research::compare::{
    Conditions, Difference, FairComparison, Method, NoiseFloor, RunLoss, RunOptions, Unit, Verdict, WindowLoss,
    compare_runs, compare_windows,
};
use testing::Random;

/// Simulations of each line.
const MANY: usize = 2000;
/// Pairs of disjoint groups of real runs.
const PAIRS: usize = 200;
/// Runs of each group of real runs.
const SIDE: usize = 10;
/// Standard deviation over seeds, and the planted gain in units of it.
const SIGMA: f64 = 0.02;
const GAIN: f64 = 1.5;

/// A line of the table: what was counted, how often it was true, and the shares that are right.
struct Line {
    name: String,
    count: usize,
    of: usize,
    right: RangeInclusive<f64>,
}

impl Line {
    fn is_right(&self) -> bool {
        self.right.contains(&(self.count as f64 / self.of as f64))
    }
}

fn main() -> ExitCode {
    let mut random = Random::new(testing::seed(15));
    let mut lines = simulated(&mut random);
    if let Some(file) = std::env::args().nth(1) {
        match real(&file, &mut random) {
            Ok(found) => lines.extend(found),
            Err(message) => {
                eprintln!("{file}: {message}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("| line | found | share | right | |\n| --- | --- | --- | --- | --- |");
    for line in &lines {
        let (low, high) = (100.0 * line.right.start(), 100.0 * line.right.end());
        let share = 100.0 * line.count as f64 / line.of as f64;
        let verdict = if line.is_right() { "ok" } else { "wrong" };
        println!(
            "| {} | {} of {} | {share:.1} % | {low:.0} to {high:.0} % | {verdict} |",
            line.name, line.count, line.of
        );
    }
    if lines.iter().all(Line::is_right) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn simulated(random: &mut Random) -> Vec<Line> {
    let mut lines = vec![];
    for (a, b) in [(3, 3), (5, 5), (10, 10), (4, 10)] {
        lines.push(count(format!("null, {a} and {b} seeds: different"), MANY, 0.0..=0.06, || {
            is_different(&normals(random, a, 0.0, SIGMA), &normals(random, b, 0.0, SIGMA))
        }));
    }
    for (a, b, spread) in [(4, 4, 1.0), (5, 8, 3.0), (10, 10, 1.0), (10, 6, 0.25)] {
        let name = format!("interval over {a} and {b} seeds, spreads 1 to {spread}: covers the truth");
        lines.push(count(name, MANY, 0.93..=0.97, || {
            covers(&normals(random, a, 0.0, SIGMA), &normals(random, b, 0.03, spread * SIGMA), 0.03)
        }));
    }
    for side in [8, 9, 10] {
        let right = if side == 10 { 0.8..=1.0 } else { 0.0..=1.0 };
        lines.push(count(
            format!("gain of {GAIN} standard deviations, {side} seeds a side: found"),
            MANY,
            right,
            || is_better(&normals(random, side, 0.0, SIGMA), &normals(random, side, -GAIN * SIGMA, SIGMA)),
        ));
    }
    lines.push(count("noise floor of 4 seeds, single runs: covers the truth".into(), MANY, 0.93..=0.97, || {
        let family = normals(random, 4, 0.0, SIGMA);
        let noise = NoiseFloor::pooled(&[&family]);
        let found = noise.and_then(|noise| {
            noise.difference(&normals(random, 1, 0.0, SIGMA), &normals(random, 1, 0.03, SIGMA), 0.95)
        });
        found.is_some_and(|found| (found.low..=found.high).contains(&0.03))
    }));
    let mut seed = 0;
    lines.push(count("interval over 320 validation windows: covers the truth".into(), MANY, 0.93..=0.97, || {
        seed += 1;
        windows_cover(random, 0.01, seed)
    }));
    lines.push(count("null, 320 validation windows: different".into(), MANY, 0.0..=0.07, || {
        seed += 1;
        !windows_cover(random, 0.0, seed)
    }));
    lines
}

/// Null pairs of disjoint groups of the runs in a comparison, and the same with a gain planted in one group.
fn real(file: &str, random: &mut Random) -> Result<Vec<Line>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let comparison: FairComparison = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let runs = comparison.changes.first().ok_or("the comparison has no change")?;
    let losses: Vec<f64> = runs.runs.iter().filter_map(|run| run.loss).collect();
    if losses.len() < 64 {
        return Err(format!("{} runs have a loss, and 64 are needed", losses.len()));
    }
    let noise = NoiseFloor::pooled(&[&losses]).ok_or("the losses do not vary")?;
    println!(
        "{} real runs: standard deviation over seeds {:.5} {}, 95 % interval {:.5} to {:.5}\n",
        losses.len(),
        noise.sigma,
        comparison.unit.word(),
        noise.low,
        noise.high
    );
    let name = |what: &str| format!("{} real runs, {SIDE} and {SIDE}: {what}", losses.len());
    let mut pair = || {
        let order = shuffled(random, losses.len());
        let of = |range: std::ops::Range<usize>| order[range].iter().map(|at| losses[*at]).collect::<Vec<_>>();
        (of(0..SIDE), of(SIDE..2 * SIDE))
    };
    let null = count(name("null pairs different"), PAIRS, 0.0..=0.08, || {
        let (a, b) = pair();
        is_different(&a, &b)
    });
    let gain = count(name("planted gain found"), PAIRS, 0.8..=1.0, || {
        let (a, b) = pair();
        is_better(&a, &b.iter().map(|loss| loss - GAIN * noise.sigma).collect::<Vec<_>>())
    });
    Ok(vec![null, gain])
}

fn count(name: String, of: usize, right: RangeInclusive<f64>, mut is_true: impl FnMut() -> bool) -> Line {
    let count = (0..of).filter(|_| is_true()).count();
    Line { name, count, of, right }
}

fn is_different(baseline: &[f64], change: &[f64]) -> bool {
    compared(baseline, change).1 == Verdict::Different
}

fn is_better(baseline: &[f64], change: &[f64]) -> bool {
    let (difference, verdict) = compared(baseline, change);
    verdict == Verdict::Different && difference.is_some_and(|difference| difference.estimate < 0.0)
}

fn covers(baseline: &[f64], change: &[f64], truth: f64) -> bool {
    compared(baseline, change).0.is_some_and(|found| (found.low..=found.high).contains(&truth))
}

fn compared(baseline: &[f64], change: &[f64]) -> (Option<Difference>, Verdict) {
    let runs = |first: u64, losses: &[f64]| -> Vec<RunLoss> {
        let run = |(seed, loss): (u64, &f64)| RunLoss {
            run: format!("seed {seed}"),
            seed,
            nats_per_token: *loss,
            conditions: conditions(),
        };
        (first..).zip(losses).map(run).collect()
    };
    let options = RunOptions { has_permutation: false, ..RunOptions::default() };
    let found = compare_runs(&runs(0, baseline), &runs(1000, change), &options);
    debug_assert!(found.difference.is_none_or(|found| found.method == Method::Welch));
    (found.difference, found.verdict)
}

fn conditions() -> Conditions {
    Conditions {
        tokenizer: "char".into(),
        bytes_per_token: None,
        validation: "tales".into(),
        tokens: 1e6,
        flops: 1e12,
        secs: 60.0,
        learning_rate_fraction: 0.1,
    }
}

/// Whether the interval over 320 windows, of which 4 each share a part of their difference, contains the true difference.
fn windows_cover(random: &mut Random, truth: f64, seed: u64) -> bool {
    let (mut a, mut b) = (vec![], vec![]);
    for document in 0..80u64 {
        let shared = 0.02 * normal(random);
        for part in 0..4 {
            let usual = 2.0 + 0.3 * normal(random);
            let own = usual + truth + shared + 0.02 * normal(random);
            let loss = |nats: f64| WindowLoss { window: 4 * document + part, document, nats: 64.0 * nats, size: 64.0 };
            a.push(loss(usual));
            b.push(loss(own));
        }
    }
    let found = compare_windows(&a, &b, Unit::NatsPerToken, 0.95, seed).difference;
    found.is_some_and(|found| (found.low..=found.high).contains(&truth))
}

fn shuffled(random: &mut Random, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    (0..count).for_each(|at| order.swap(at, at + random.below((count - at) as u64) as usize));
    order
}

/// A standard normal value (Box, Muller).
fn normal(random: &mut Random) -> f64 {
    (-2.0 * (1.0 - random.uniform()).ln()).sqrt() * (std::f64::consts::TAU * random.uniform()).cos()
}

fn normals(random: &mut Random, count: usize, mean: f64, spread: f64) -> Vec<f64> {
    (0..count).map(|_| mean + spread * normal(random)).collect()
}
