//! What looking inside costs a run, and how soon a page sees a step: `cargo run --release -p stories --example xray_cost [rounds] [seconds] [preset]`.
//!
//! In each round every view is watched by one page for so many seconds, with as long unwatched before and after it, so that whatever else the
//! machine does falls on both alike. What looks took is told twice: by the steps that were done meanwhile, and by the worker's own clock
//! (the curve `time.looks_ms`). When a step ended is known by that clock too: an evaluation's event tells the time of day, and the curve
//! `secs` how much work was done from there. When it was seen is the moment at which the page has the tick with its picture. What looks take
//! of memory is told by the worker's (the curve `memory.process_bytes`, every tenth step), beside a run that nobody looks into and that keeps
//! nothing.

#![allow(clippy::unwrap_used)] // a measurement may fail

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;
use stories::socket::Watcher;
use stories::{Client, Lab};
use wire::Event;
use wire::frame::Frame;
use wire::look::{Look, Of, Passage};

const EVAL_EVERY: u64 = 20;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let rounds: usize = arguments.next().map_or(3, |text| text.parse().unwrap());
    let secs: u64 = arguments.next().map_or(10, |text| text.parse().unwrap());
    let preset = arguments.next().unwrap_or_else(|| "nanogpt-cpu".to_owned());
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let corpus = owner.bring("walk");
    let spec = |frames_mb: u32| {
        let cadence = json!({"cadence.eval_every": EVAL_EVERY, "cadence.eval_batches": 1, "cadence.sample_every": 0, "keep.every": 0,
            "keep.frames_mb": frames_mb});
        json!({"preset": preset, "corpus": corpus, "steps": 100_000_000, "overrides": cadence})
    };
    let plain = owner.start_run(&spec(0));
    owner.wait_step(&plain, 1_000, 300);
    owner.steer(&plain, &json!({"kind": "stop"}));
    let plain_bytes = most_bytes(&owner, &plain);
    let run = owner.start_run(&spec(200));
    owner.wait_step(&run, 60, 50);
    let passage = Passage::default;
    let views = [
        ("the map", Look::Map { passage: passage() }),
        ("attention of block 0", Look::Attention { passage: passage(), layer: 0 }),
        ("the logit lens", Look::Lens { passage: passage() }),
        ("units of block 0", Look::Units { passage: passage(), layer: 0 }),
        ("all matrices", Look::Gallery { of: Of::Weight }),
        ("the embedding", Look::Embedding {}),
    ];
    let mut page = Watcher::begin(&owner, &run);
    let mut blocks: Vec<Vec<[Block; 3]>> = views.iter().map(|_| vec![]).collect();
    for round in 1..=rounds {
        for ((name, look), blocks) in views.iter().zip(&mut blocks) {
            let mut block = |looks| Block::take(&mut page, &run, looks, secs);
            let three = [block(vec![]), block(vec![look.clone()]), block(vec![])];
            let [before, watched, after] = three.each_ref().map(Block::step_ms);
            eprintln!("round {round}, {name}: {before:.1} ms a step, watched {watched:.1}, again {after:.1}");
            blocks.push(three);
        }
    }
    let looks_ms: BTreeMap<u64, f64> = owner.curve(&run, "time.looks_ms").into_iter().collect();
    let seen = of_views(&page.sights);
    println!("{rounds} rounds of {secs} s on {preset}; medians over the rounds");
    for ((name, look), blocks) in views.iter().zip(&blocks) {
        let over = |of: &dyn Fn(&[Block; 3]) -> f64| median(&blocks.iter().map(of).collect::<Vec<_>>());
        let alone_ms = over(&|three| (three[0].step_ms() + three[2].step_ms()) / 2.0);
        let change = over(&|three| three[1].step_ms() / ((three[0].step_ms() + three[2].step_ms()) / 2.0) - 1.0);
        let share = over(&|three| three[1].share(&looks_ms));
        let unwatched = over(&|three| three[2].share(&looks_ms));
        println!(
            "{name}: {:+.1} % beside {alone_ms:.1} ms a step; by its own clock {:.2} % of the time, unwatched {:.2} %; {}",
            change * 100.0,
            share * 100.0,
            unwatched * 100.0,
            seen[&look.key()]
        );
    }
    let bytes = most_bytes(&owner, &run);
    println!(
        "memory of the worker: {:.1} MB with every view watched, {:.1} MB without any look: {:+.1} %",
        bytes / 1e6,
        plain_bytes / 1e6,
        (bytes / plain_bytes - 1.0) * 100.0
    );
    let delays = delays(&owner, &run, &page.sights);
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize];
    println!(
        "from a step to its frame at a page, {} frames: median {:.0} ms, p95 {:.0} ms, longest {:.0} ms",
        delays.len(),
        at(0.5),
        at(0.95),
        at(1.0)
    );
    owner.steer(&run, &json!({"kind": "stop"}));
}

/// The most memory that a run's worker had.
fn most_bytes(client: &Client, run: &str) -> f64 {
    client.curve(run, "memory.process_bytes").into_iter().map(|(_, bytes)| bytes).fold(0.0, f64::max)
}

/// Follows the stream for so long; gives the steps done then.
fn follow(page: &mut Watcher, time: Duration) -> u64 {
    let until = Instant::now() + time;
    let step = std::cell::Cell::new(0);
    page.follow(time.as_secs() + 30, |tick| {
        step.set(tick.summary.step);
        Instant::now() >= until
    });
    step.get()
}

/// So many seconds of a run.
struct Block {
    wall_ms: f64,
    from_step: u64,
    to_step: u64,
}

impl Block {
    /// Watches this, and counts once that has taken hold.
    fn take(page: &mut Watcher, run: &str, looks: Vec<Look>, secs: u64) -> Self {
        page.want(run, looks);
        let from_step = follow(page, Duration::from_millis(700));
        let began = Instant::now();
        let to_step = follow(page, Duration::from_secs(secs));
        Self { wall_ms: began.elapsed().as_secs_f64() * 1000.0, from_step, to_step }
    }

    fn step_ms(&self) -> f64 {
        self.wall_ms / (self.to_step - self.from_step).max(1) as f64
    }

    /// Share of the time that went to looks.
    fn share(&self, looks_ms: &BTreeMap<u64, f64>) -> f64 {
        looks_ms.range(self.from_step..self.to_step).map(|(_, ms)| ms).sum::<f64>() / self.wall_ms
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// What one view told of itself.
struct View {
    costs_ms: Vec<f64>,
    every_ms: Vec<f64>,
    bytes: usize,
}

impl std::fmt::Display for View {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (cost, every) = (median(&self.costs_ms), median(&self.every_ms));
        write!(out, "{cost:.1} ms a look every {every:.0} ms, {:.1} kB", self.bytes as f64 / 1000.0)
    }
}

fn of_views(sights: &[(Instant, Frame)]) -> BTreeMap<String, View> {
    let mut views: BTreeMap<String, View> = BTreeMap::new();
    for (_, frame) in sights {
        let Frame::Seen { pace, .. } = frame else { panic!("{frame:?}") };
        let view = views.entry(frame.key()).or_insert(View { costs_ms: vec![], every_ms: vec![], bytes: 0 });
        view.costs_ms.push(pace.cost_ms);
        view.every_ms.push(pace.every_ms);
        view.bytes = wire::encode::to_bytes(frame).unwrap().len();
    }
    views
}

/// Milliseconds from the end of each step that was seen to its frame at the page, shortest first.
fn delays(client: &Client, run: &str, sights: &[(Instant, Frame)]) -> Vec<f64> {
    let curve = |name: &str| client.curve(run, name).into_iter().collect::<BTreeMap<u64, f64>>();
    let (secs, step_ms) = (curve("secs"), curve("step_ms"));
    let journal = client.journal(run).into_iter();
    let evaluated = journal.filter(|record| matches!(record.event, Event::Evaluated { .. }));
    let evaluations: BTreeMap<u64, i64> = evaluated.map(|record| (record.step, record.at_ms)).collect();
    let (now, now_ms) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1000.0);
    let mut delays: Vec<f64> = sights
        .iter()
        .filter_map(|(at, frame)| {
            let last = frame.step().checked_sub(1)?;
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
