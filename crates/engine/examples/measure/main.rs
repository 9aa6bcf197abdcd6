//! Measurements of the engine, and inspections for a comparison with another implementation.
//!
//! ```sh
//! cargo run --release -p engine --example measure -- diagnosis [ROUNDS]
//! cargo run --release -p engine --example measure -- generation
//! cargo run --release -p engine --example measure -- overhead [STEPS]
//! cargo run --release -p engine --example measure -- xray CHECKPOINT_FOLDER CORPORA_FOLDER < INSPECTIONS
//! ```
//!
//! They are one program, because each program that links the engine has 150 MB.

mod diagnosis;
mod generation;
mod overhead;
mod xray;

use std::path::Path;

/// Whatever goes wrong ends the command with its message.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "enter diagnosis [ROUNDS], generation, overhead [STEPS], or xray CHECKPOINT_FOLDER CORPORA_FOLDER";

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["diagnosis"] => diagnosis::run(40),
        ["diagnosis", rounds] => diagnosis::run(rounds.parse()?),
        ["generation"] => generation::run(),
        ["overhead"] => overhead::run(400),
        ["overhead", steps] => overhead::run(steps.parse()?),
        ["xray", checkpoint, corpora] => xray::run(Path::new(checkpoint), Path::new(corpora)),
        _ => Err(USAGE.into()),
    }
}
