//! What looking inside costs a run, and how soon a page sees a step: `cargo run --release -p stories --example xray_cost [rounds] [seconds] [preset]`.
//!
//! Each round trains for so many seconds unwatched and then as long with each view watched by one page, side by side on the same run, so
//! that whatever else the machine does falls on all alike. When a step ended is known by the worker's own clock: an evaluation's event
//! tells the time of day, and the curve `secs` how much work was done from there. When it was seen is the moment at which the page has
//! the tick with its picture.

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
    let cadence = json!({"cadence.eval_every": EVAL_EVERY, "cadence.eval_batches": 1, "cadence.sample_every": 0, "keep.every": 0});
    let spec = json!({"preset": preset, "corpus": owner.bring("walk"), "steps": 100_000_000, "overrides": cadence});
    let run = owner.start_run(&spec);
    owner.wait_step(&run, 60, 50);
    let passage = Passage::default;
    let views = [
        ("nothing", vec![]),
        ("the map", vec![Look::Map { passage: passage() }]),
        ("attention of block 0", vec![Look::Attention { passage: passage(), layer: 0 }]),
        ("the logit lens", vec![Look::Lens { passage: passage() }]),
        ("units of block 0", vec![Look::Units { passage: passage(), layer: 0 }]),
        ("all matrices", vec![Look::Gallery { of: Of::Weight }]),
        ("the embedding", vec![Look::Embedding {}]),
    ];
    let mut page = Watcher::begin(&owner, &run);
    let mut step_ms = vec![vec![]; views.len()];
    for round in 0..rounds {
        for (view, (_, looks)) in views.iter().enumerate() {
            page.want(&run, looks.clone());
            // What was asked for is there, and what was asked before is gone.
            follow(&mut page, Duration::from_millis(1500));
            let (began, before) = (Instant::now(), follow(&mut page, Duration::ZERO));
            let after = follow(&mut page, Duration::from_secs(secs));
            step_ms[view].push(began.elapsed().as_secs_f64() * 1000.0 / (after - before) as f64);
            eprintln!("round {}: {:.2} ms a step with {}", round + 1, step_ms[view][round], views[view].0);
        }
    }
    println!("{rounds} rounds of {secs} s on {preset}; step time is the median of rounds");
    let alone = median(&step_ms[0]);
    let seen = of_views(&page.sights);
    for ((name, looks), times) in views.iter().zip(&step_ms) {
        let ratios: Vec<f64> = times.iter().zip(&step_ms[0]).map(|(with, without)| with / without).collect();
        let shown = looks.first().and_then(|look| seen.get(&look.key())).map_or(String::new(), |view| view.to_string());
        let change = (median(&ratios) - 1.0) * 100.0;
        println!("{name}: {:.2} ms a step, {change:+.1} % beside {alone:.2}{shown}", median(times));
    }
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
        write!(out, "; {cost:.1} ms a look every {every:.0} ms, {} kB", self.bytes / 1000)
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
