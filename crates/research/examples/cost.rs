//! Prints what one step of all rules costs, and the size of the state.
//!
//! ```sh
//! cargo run --release -p research --example cost
//! ```

#[path = "../tests/research/synthetic.rs"]
#[allow(dead_code)]
mod synthetic;

use std::time::Instant;

use research::rules::{Checker, RULES};

const STEPS: u64 = 20_000;

fn main() {
    let rows = synthetic::healthy(1, STEPS);
    let facts = synthetic::facts(STEPS);
    let mut checker = Checker::default();
    let began = Instant::now();
    let found: usize = rows.iter().map(|(step, values)| checker.feed(&facts, *step, values).len()).sum();
    let nanos = began.elapsed().as_nanos() as f64 / STEPS as f64;
    let bytes = checker.encode().map_or(0, |state| state.len());
    println!("{} rules, {STEPS} steps, {found} findings", RULES.len());
    println!("{nanos:.0} ns per step; 20 runs at 20 steps/s use {:.2} % of a core", nanos * 400.0 / 1e9 * 100.0);
    println!("{bytes} bytes of state");
}
