//! Many watchers of one run: `cargo run --release -p scenarios --example watchers [watchers] [seconds]`. Prints the training speed with and
//! without them, the ticks that they received, and fails if one missed a tick.

#![allow(clippy::unwrap_used)] // a measurement may fail

use std::thread::spawn;
use std::time::{Duration, Instant};

use scenarios::socket::Watcher;
use scenarios::watch::{speck, with};
use scenarios::{Lab, pause_ms};
use serde_json::json;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().unwrap());
    let (count, secs) = (arguments.next().unwrap_or(500), arguments.next().unwrap_or(20));
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
    let watchers: Vec<_> = (0..count)
        .map(|_| {
            let (owner, run) = (owner.clone(), run.clone());
            spawn(move || {
                let mut watcher = Watcher::begin(&owner, &run);
                let until = Instant::now() + Duration::from_secs(secs + 5);
                watcher.follow(secs + 30, |_| Instant::now() > until);
                watcher.ticks.len()
            })
        })
        .collect();
    pause_ms(5000);
    let watched = speed(secs);
    let ticks: Vec<usize> = watchers.into_iter().map(|watcher| watcher.join().unwrap()).collect();
    let again = speed(secs / 2);
    let all: usize = ticks.iter().sum();
    println!(
        "{count} watchers for {secs} s: {:.1} ticks/s each, none missing",
        all as f64 / count as f64 / (secs + 5) as f64
    );
    println!(
        "steps/s alone {alone:.1}, watched {watched:.1}, alone again {again:.1}: {:+.1} %",
        (watched / ((alone + again) / 2.0) - 1.0) * 100.0
    );
}
