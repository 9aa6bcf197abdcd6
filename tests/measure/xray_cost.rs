//! The overhead of inspections, and the delay from a step to the page: `cargo run --release -p scenarios --example xray_cost [rounds] [seconds]
//! [preset]`.
//!
//! In each round one page requests each inspection for some seconds, with as long without before and after it, so that other load of the
//! machine affects both alike. The overhead is measured twice: by the steps done meanwhile, and by the worker's clock (the series
//! `time.inspections_ms`). The end of a step is known by that clock too: the event of an evaluation has the time, and the series `secs` the
//! training time since. The delay ends when the page receives the tick with the update. The memory is the worker's (the series
//! `memory.process_bytes`, every tenth step), compared with a run without inspections and snapshots.

#![allow(clippy::unwrap_used)] // a measurement may fail

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use scenarios::socket::Watcher;
use scenarios::{Client, Lab};
use serde_json::json;
use wire::Event;
use wire::inspect::request::{Inspection, InspectionText, TensorValues};
use wire::inspect::update::InspectionUpdate;

const EVAL_EVERY: u64 = 20;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let rounds: usize = arguments.next().map_or(3, |text| text.parse().unwrap());
    let secs: u64 = arguments.next().map_or(10, |text| text.parse().unwrap());
    let preset = arguments.next().unwrap_or_else(|| "nanogpt-cpu".to_owned());
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let corpus = owner.add_corpus("walk");
    let spec = |snapshots_mb: u32| {
        let overrides = json!({"intervals.eval_every": EVAL_EVERY, "intervals.eval_batches": 1, "intervals.sample_every": 0, "intervals.checkpoint_every": 0,
            "retention.snapshots_mb": snapshots_mb});
        json!({"preset": preset, "corpus": corpus, "steps": 100_000_000, "overrides": overrides})
    };
    let plain = owner.start_run(&spec(0));
    owner.wait_step(&plain, 1_000, 300);
    owner.steer(&plain, &json!({"kind": "stop"}));
    let plain_bytes = most_bytes(&owner, &plain);
    let run = owner.start_run(&spec(200));
    owner.wait_step(&run, 60, 50);
    let text = InspectionText::default;
    let views = [
        ("overview", Inspection::Overview { text: text() }),
        ("attention of block 0", Inspection::Attention { text: text(), layer: 0 }),
        ("logit lens", Inspection::LogitLens { text: text() }),
        ("neurons of block 0", Inspection::Neurons { text: text(), layer: 0 }),
        ("weights", Inspection::Weights { values: TensorValues::Weight }),
        ("embedding", Inspection::Embedding {}),
    ];
    let mut page = Watcher::begin(&owner, &run);
    let mut blocks: Vec<Vec<[Block; 3]>> = views.iter().map(|_| vec![]).collect();
    for round in 1..=rounds {
        for ((name, inspection), blocks) in views.iter().zip(&mut blocks) {
            let mut block = |inspections| Block::take(&mut page, &run, inspections, secs);
            let three = [block(vec![]), block(vec![inspection.clone()]), block(vec![])];
            let [before, watched, after] = three.each_ref().map(Block::step_ms);
            eprintln!("round {round}, {name}: {before:.1} ms per step, inspected {watched:.1}, again {after:.1}");
            blocks.push(three);
        }
    }
    let inspections_ms: BTreeMap<u64, f64> = owner.curve(&run, "time.inspections_ms").into_iter().collect();
    let costs = costs(&page.updates);
    println!("{rounds} rounds of {secs} s on {preset}; medians over the rounds");
    for ((name, inspection), blocks) in views.iter().zip(&blocks) {
        let over = |of: &dyn Fn(&[Block; 3]) -> f64| median(&blocks.iter().map(of).collect::<Vec<_>>());
        let alone_ms = over(&|three| (three[0].step_ms() + three[2].step_ms()) / 2.0);
        let change = over(&|three| three[1].step_ms() / ((three[0].step_ms() + three[2].step_ms()) / 2.0) - 1.0);
        let share = over(&|three| three[1].share(&inspections_ms));
        let unwatched = over(&|three| three[2].share(&inspections_ms));
        println!(
            "{name}: {:+.1} % of {alone_ms:.1} ms per step; by the worker's clock {:.2} % of the time, without inspection {:.2} %; {}",
            change * 100.0,
            share * 100.0,
            unwatched * 100.0,
            costs[&inspection.key()]
        );
    }
    let bytes = most_bytes(&owner, &run);
    println!(
        "memory of the worker: {:.1} MB with inspections, {:.1} MB without: {:+.1} %",
        bytes / 1e6,
        plain_bytes / 1e6,
        (bytes / plain_bytes - 1.0) * 100.0
    );
    let delays = delays(&owner, &run, &page.updates);
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize];
    println!(
        "from a step to its update at the page, {} updates: median {:.0} ms, p95 {:.0} ms, maximum {:.0} ms",
        delays.len(),
        at(0.5),
        at(0.95),
        at(1.0)
    );
    owner.steer(&run, &json!({"kind": "stop"}));
}

/// The maximum memory of a run's worker, bytes.
fn most_bytes(client: &Client, run: &str) -> f64 {
    client.curve(run, "memory.process_bytes").into_iter().map(|(_, bytes)| bytes).fold(0.0, f64::max)
}

/// Follows the stream for some time; returns the steps done at its end.
fn follow(page: &mut Watcher, time: Duration) -> u64 {
    let until = Instant::now() + time;
    let step = std::cell::Cell::new(0);
    page.follow(time.as_secs() + 30, |tick| {
        step.set(tick.summary.step);
        Instant::now() >= until
    });
    step.get()
}

/// Some seconds of a run.
struct Block {
    wall_ms: f64,
    from_step: u64,
    to_step: u64,
}

impl Block {
    /// Requests inspections, and measures once they have taken effect.
    fn take(page: &mut Watcher, run: &str, inspections: Vec<Inspection>, secs: u64) -> Self {
        page.request(run, inspections);
        let from_step = follow(page, Duration::from_millis(700));
        let began = Instant::now();
        let to_step = follow(page, Duration::from_secs(secs));
        Self { wall_ms: began.elapsed().as_secs_f64() * 1000.0, from_step, to_step }
    }

    fn step_ms(&self) -> f64 {
        self.wall_ms / (self.to_step - self.from_step).max(1) as f64
    }

    /// Fraction of the time that inspections took.
    fn share(&self, inspections_ms: &BTreeMap<u64, f64>) -> f64 {
        inspections_ms.range(self.from_step..self.to_step).map(|(_, ms)| ms).sum::<f64>() / self.wall_ms
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The cost of one inspection.
struct Cost {
    costs_ms: Vec<f64>,
    every_ms: Vec<f64>,
    bytes: usize,
}

impl std::fmt::Display for Cost {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (cost, every) = (median(&self.costs_ms), median(&self.every_ms));
        write!(out, "{cost:.1} ms each, every {every:.0} ms, {:.1} kB", self.bytes as f64 / 1000.0)
    }
}

fn costs(updates: &[(Instant, InspectionUpdate)]) -> BTreeMap<String, Cost> {
    let mut costs: BTreeMap<String, Cost> = BTreeMap::new();
    for (_, update) in updates {
        let InspectionUpdate::Result { overhead, .. } = update else { panic!("{update:?}") };
        let cost = costs.entry(update.key()).or_insert(Cost { costs_ms: vec![], every_ms: vec![], bytes: 0 });
        cost.costs_ms.push(overhead.cost_ms);
        cost.every_ms.push(overhead.every_ms);
        cost.bytes = wire::encode::to_bytes(update).unwrap().len();
    }
    costs
}

/// Delays from the end of each received step to its update at the page, ms, shortest first.
fn delays(client: &Client, run: &str, updates: &[(Instant, InspectionUpdate)]) -> Vec<f64> {
    let curve = |name: &str| client.curve(run, name).into_iter().collect::<BTreeMap<u64, f64>>();
    let (secs, step_ms) = (curve("secs"), curve("step_ms"));
    let journal = client.journal(run).into_iter();
    let evaluated = journal.filter(|record| matches!(record.event, Event::Evaluated { .. }));
    let evaluations: BTreeMap<u64, i64> = evaluated.map(|record| (record.step, record.at_ms)).collect();
    let (now, now_ms) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1000.0);
    let mut delays: Vec<f64> = updates
        .iter()
        .filter_map(|(at, update)| {
            let last = update.step().checked_sub(1)?;
            // The step after an evaluation starts with its event.
            let anchor = last / EVAL_EVERY * EVAL_EVERY;
            let work_secs = secs.get(&last)? - secs.get(&anchor)?;
            let ended_ms = *evaluations.get(&anchor)? as f64 + step_ms.get(&anchor)? + work_secs * 1000.0;
            Some(now_ms - now.duration_since(*at).as_secs_f64() * 1000.0 - ended_ms)
        })
        .collect();
    delays.sort_by(f64::total_cmp);
    delays
}
