//! How often the rules of diagnosis are right: trains runs with planted faults and healthy ones, and judges them by their series alone.
//!
//! ```sh
//! cargo run --release -p engine --example detection -- train FOLDER --part fit --seeds 101..111
//! cargo run --release -p engine --example detection -- fit FOLDER
//! cargo run --release -p engine --example detection -- train FOLDER --part report --seeds 1..21
//! cargo run --release -p engine --example detection -- report FOLDER [--into REPOSITORY]
//! ```
//!
//! `train` keeps the series of each run in a file and skips runs that have one, so it continues after an interruption. `fit` proposes
//! thresholds from the part `fit`. `report` reads the part `report`, which has other seeds and other texts, and writes `detection.md`,
//! `calibration.json` (what the rules state about false alarms) and `cases.json` (pictures of the page Rules), with `--into` also where the
//! program reads the two.
//!
//! - `configuration`: the healthy runs; `fault`: the planted ones; `datasets`: their texts; `plant`: changes of weights and data;
//! - `training`: one run; `record`: its file; `jobs`: all runs of a part, in parallel;
//! - `judge`: the rules over a recorded run; `interval`: confidence intervals; `fit`, `report`, `cases`: what comes of it.

mod cases;
mod configuration;
mod datasets;
mod fault;
mod fit;
mod interval;
mod jobs;
mod judge;
mod plant;
mod record;
mod report;
mod training;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::datasets::Part;

/// Whatever goes wrong ends the command with its message.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const USAGE: &str = "detection train FOLDER --part fit|report --seeds FIRST..END [--threads N] [--only NAME]
detection fit FOLDER
detection report FOLDER [--into REPOSITORY]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match carry_out(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(args: &[String]) -> Outcome<()> {
    let [command, folder, options @ ..] = args else { return Err(USAGE.into()) };
    let folder = Path::new(folder);
    match command.as_str() {
        "train" => jobs::train(folder, &TrainOptions::read(options)?),
        "fit" => fit::print(folder),
        "report" => report::write(folder, option(options, "--into")?.map(PathBuf::from).as_deref()),
        _ => Err(USAGE.into()),
    }
}

/// The part, the seeds and the threads of a training.
struct TrainOptions {
    part: Part,
    seeds: Range<u64>,
    threads: usize,
    /// Only runs whose name contains this.
    only: Option<String>,
}

impl TrainOptions {
    fn read(options: &[String]) -> Outcome<Self> {
        let seeds = option(options, "--seeds")?.ok_or("--seeds FIRST..END is missing")?;
        let (first, end) = seeds.split_once("..").ok_or_else(|| format!("--seeds {seeds}: enter FIRST..END"))?;
        let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get());
        Ok(Self {
            part: option(options, "--part")?.ok_or("--part fit|report is missing")?.parse()?,
            seeds: first.parse()?..end.parse()?,
            threads: option(options, "--threads")?.map_or_else(|| Ok(cores()), |text| text.parse())?,
            only: option(options, "--only")?.map(str::to_owned),
        })
    }
}

/// The value after an option.
fn option<'a>(options: &'a [String], name: &str) -> Outcome<Option<&'a str>> {
    let Some(at) = options.iter().position(|option| option == name) else { return Ok(None) };
    let value = options.get(at + 1).ok_or_else(|| format!("{name} has no value"))?;
    Ok(Some(value))
}
